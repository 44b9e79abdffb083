"""One stage of the pipeline, or the example site, as a supervised process."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from deploy.local.paths import REPOSITORY
from deploy.local.process import CannotStart, ChildProcess
from runtime.service import EXIT_PERSON_MUST_ACT

READY_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.1
READY = re.compile(r"\bready\b", re.MULTILINE)

Readiness = Callable[[ChildProcess], bool]


def logs_ready(process: ChildProcess) -> bool:
    """Tell whether the process has logged that it is ready since it was last started."""
    return READY.search(process.output()) is not None


def answers_http(url: str) -> Readiness:
    """Return a check that holds once the address answers with status 200."""

    def check(_process: ChildProcess) -> bool:
        try:
            with urlopen(url, timeout=5) as answer:  # noqa: S310 - made by the stack, http
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    return check


class Stage:
    """A program of this project with a way to see that it is ready."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        environ: Mapping[str, str],
        log_path: Path,
        is_ready: Readiness = logs_ready,
    ) -> None:
        self.name = name
        self._process = ChildProcess(
            name, argv, log_path=log_path, environ=environ, folder=REPOSITORY
        )
        self._is_ready = is_ready

    @property
    def is_running(self) -> bool:
        """Tell whether the process runs."""
        return self._process.is_running

    @property
    def needs_person(self) -> bool:
        """Tell whether the stage ended because a person must act; a restart is of no use then."""
        return self._process.exit_code == EXIT_PERSON_MUST_ACT

    def start(self) -> None:
        """Start the stage, without waiting for it."""
        self._process.start()

    def wait_until_ready(self, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> None:
        """Return when the started stage is ready; raise CannotStart when it ends or is late."""
        deadline = time.monotonic() + timeout_seconds
        while not self._is_ready(self._process):
            if not self._process.is_running:
                raise CannotStart(
                    f"{self.name} ended with code {self._process.exit_code} before it was ready"
                )
            if time.monotonic() > deadline:
                raise CannotStart(f"{self.name} is not ready after {timeout_seconds:.0f} seconds")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the stage in order."""
        self._process.stop(timeout_seconds=STOP_TIMEOUT_SECONDS)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return self._process.tail(lines)
