"""Look at the system's processes: who descends from whom, who is alive, since when.

Reads /proc where there is one (Linux), else asks `ps`. A process id is reused by the system,
so one that was written down names its process only together with its start time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

POLL_SECONDS = 0.02
PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "stat").exists()
# Positions after the name in /proc/PID/stat, see proc_pid_stat(5).
STATE, PARENT, START_TIME = 0, 1, 19


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below this one, parents first."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found += below
        waiting += below
    return found


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and has not ended; a zombie has ended."""
    if HAS_PROC:
        fields = _stat(pid)
        return fields is not None and fields[STATE] not in ("Z", "X")
    return _ps("stat=", pid).strip()[:1] not in ("", "Z")


def start_time(pid: int) -> str | None:
    """Return when the process started, in a form only good for comparing, or None."""
    if HAS_PROC:
        fields = _stat(pid)
        return None if fields is None else fields[START_TIME]
    return _ps("lstart=", pid).strip() or None


def command(pid: int) -> str:
    """Return the process's command line, empty when it is gone."""
    if HAS_PROC:
        try:
            return (PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            return ""
    return _ps("command=", pid).strip()


def send_signal(pid: int, signal_number: signal.Signals) -> None:
    """Send a signal; a process that is gone is not an error."""
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return


def kill_tree(pid: int) -> list[int]:
    """Kill a process and everything below it; return the ids, some of which may live on a bit.

    A frozen parent starts nothing new while its children are being listed. Some servers,
    PostgreSQL among them, put each child into a session of its own, so that the process
    group would not do.
    """
    send_signal(pid, signal.SIGSTOP)
    tree = [pid, *descendants(pid)]
    for each in tree:
        send_signal(each, signal.SIGKILL)
    return tree


def wait_until_gone(pids: Iterable[int], timeout_seconds: float = 10.0) -> None:
    """Return when none of the processes is alive, or raise TimeoutError."""
    deadline = time.monotonic() + timeout_seconds
    while left := [pid for pid in pids if is_alive(pid)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"these processes outlive being killed: {left}")
        time.sleep(POLL_SECONDS)


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may itself hold any character.
    return text.rpartition(")")[2].split()


def _parents() -> dict[int, int]:
    if not HAS_PROC:
        lines = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        return {int(pid): int(parent) for pid, parent in (line.split() for line in lines)}
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            parents[int(entry.name)] = int(fields[PARENT])
    return parents


def _ps(column: str, pid: int) -> str:
    return subprocess.run(
        ["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
