"""Run a stage as a process: logs, signals, exit codes.

Exit codes: 0 after SIGTERM or SIGINT, 1 on a defect, 2 when a person must act. Whoever
supervises the process may restart it on 1 and should not on 2.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runtime.errors import Stop
from runtime.health import Health, StopEvent

EXIT_DEFECT = 1
EXIT_PERSON_MUST_ACT = 2

log = logging.getLogger(__name__)


def collect_garbage_less_often() -> None:
    """Leave the libraries out of collections and let a whole batch pass between two.

    The stages make no cycles by the record, but each collection looks at every record that
    is held: with Python's thresholds the stitcher did 36,000 changes/s instead of 50,000.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@contextmanager
def exit_on_stop() -> Iterator[None]:
    """End the process with the error's text where a person must act; for use before logs are."""
    try:
        yield
    except Stop as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_PERSON_MUST_ACT)


def run(work: Callable[[threading.Event], None], health: Health | None = None) -> int:
    """Run the stage's work until it returns, and return the process's exit code.

    The event is set by SIGTERM and SIGINT; work must look at it at least once a second and
    return in order, with everything it acknowledged safe. The health is told of each look.
    """
    stopping = threading.Event() if health is None else StopEvent(health)

    def stop(signal_number: int, _frame: object) -> None:
        log.info("stopping on %s", signal.Signals(signal_number).name)
        stopping.set()

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, stop)
    try:
        work(stopping)
    except Stop as error:
        log.error("stopped, a person must act: %s", error)
        return EXIT_PERSON_MUST_ACT
    except Exception:
        log.exception("stopped by a defect")
        return EXIT_DEFECT
    return 0
