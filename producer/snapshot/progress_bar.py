"""Show how far the snapshot is: a bar on a terminal, lines in the log elsewhere. Edge."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

LOG_SECONDS = 10.0

log = logging.getLogger(__name__)


class SnapshotProgress:
    """Rows published so far, of about as many as the server estimates."""

    def __init__(self, estimated_rows: float) -> None:
        self._estimated = max(int(estimated_rows), 0)
        self._rows = 0
        self._started_at = self._logged_at = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("snapshot"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("rows, {task.speed:,.0f}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )

    def __enter__(self) -> SnapshotProgress:
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task("snapshot", total=self._estimated or None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None:
            self._log("snapshot: %s rows published in %.1f s, %.0f rows/s")

    def add(self, rows: int) -> None:
        """Take note of more rows."""
        self._rows += rows
        if self._bar is not None:
            # Estimates are old: the bar must not stand at its end while rows still come.
            total = max(self._estimated, self._rows) or None
            self._bar.update(self._bar.task_ids[0], advance=rows, total=total)
        elif time.monotonic() - self._logged_at >= LOG_SECONDS:
            self._logged_at = time.monotonic()
            self._log(f"snapshot: %s of about {self._estimated} rows in %.1f s, %.0f rows/s")

    def _log(self, line: str) -> None:
        seconds = max(time.monotonic() - self._started_at, 0.001)
        log.info(line, self._rows, seconds, self._rows / seconds)
