"""Show how far a command is: a bar on a terminal, lines in the log elsewhere. Edge."""

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


class ProgressBar:
    """Counts what is done of what there is to do, with the rate and the time left.

    The total may be an estimate: it grows where more is done.
    """

    def __init__(self, name: str, total: int, unit: str = "records") -> None:
        self._name = name
        self._unit = unit
        self._total = total
        self._done = 0
        self._started_at = self._logged_at = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn(name),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(unit + ", {task.fields[rate]:,.0f}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )

    def __enter__(self) -> ProgressBar:
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task(self._name, total=self._total, rate=0.0)
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
            seconds = max(time.monotonic() - self._started_at, 0.001)
            log.info(
                "%s: %d %s in %.1f s, %.0f/s",
                self._name, self._done, self._unit, seconds, self._done / seconds,
            )  # fmt: skip

    def add(self, count: int) -> None:
        """Take note of more that is done."""
        self.move_to(self._done + count)

    def move_to(self, done: int) -> None:
        """Take note of how much is done in all."""
        self._done = done
        self._total = max(self._total, done)
        now = time.monotonic()
        rate = done / max(now - self._started_at, 0.001)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=self._total, rate=rate)
        elif now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            seconds_left = (self._total - done) / max(rate, 0.001)
            log.info(
                "%s: %d of %d %s, %.0f/s, about %.0f s left",
                self._name, done, self._total, self._unit, rate, seconds_left,
            )  # fmt: skip
