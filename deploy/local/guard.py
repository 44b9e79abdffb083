"""End what was started when the one who started it dies without being able to.

A program that is killed with SIGKILL cannot stop its servers, and they would go on, holding
ports and memory. So the first child makes a small process that waits for this one to end,
by reading a pipe that only this one holds open, and then kills what is still on its list.
It is not needed in an orderly end: everything is off the list by then.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import subprocess
import sys
import threading

from deploy.local import process_table
from deploy.local.paths import REPOSITORY

_lock = threading.Lock()
_guard: subprocess.Popen[str] | None = None


def watch(pid: int) -> None:
    """Kill this process, and all below it, should the calling program die."""
    _tell(f"+{pid} {process_table.start_time(pid)}")


def forget(pid: int) -> None:
    """Take a process that has ended off the list."""
    _tell(f"-{pid}")


def _tell(line: str) -> None:
    global _guard
    with _lock:
        if _guard is None:
            _guard = subprocess.Popen(
                [sys.executable, "-m", "deploy.local.guard"],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
            )
            atexit.register(_close)
        # A guard that was itself killed protects no longer, which is no reason to fail.
        with contextlib.suppress(BrokenPipeError):
            assert _guard.stdin is not None  # noqa: S101 - opened as a pipe above
            _guard.stdin.write(line + "\n")
            _guard.stdin.flush()


def _close() -> None:
    if _guard is not None and _guard.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            _guard.stdin.close()
        _guard.wait()


def _keep() -> None:
    """Read the list until the pipe is closed, then kill what is left on it."""
    # Only the end of the pipe ends the guard.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    watched: dict[int, str] = {}
    for line in sys.stdin:
        pid, _, start_time = line[1:].strip().partition(" ")
        if line.startswith("+"):
            watched[int(pid)] = start_time
        else:
            watched.pop(int(pid), None)
    for number, start_time in watched.items():
        if process_table.start_time(number) == start_time:
            process_table.kill_tree(number)


if __name__ == "__main__":
    _keep()
