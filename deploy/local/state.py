"""The one folder that a local pipeline keeps between its runs.

It belongs to one running program at a time, which a lock sees to that the system itself
takes back when that program ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.paths import STATE
from deploy.local.ports import choose_port
from runtime.errors import Stop


class AlreadyRunning(Stop):
    """`make up` runs already; stop it with Ctrl-C where it was started."""


class CannotRemove(Stop):
    """The state folder cannot be removed."""


class State:
    """Paths, chosen ports and the lock of a state folder."""

    def __init__(self, folder: Path = STATE) -> None:
        self.folder = folder
        self.logs = folder / "logs"

    @contextmanager
    def owned(self) -> Iterator[State]:
        """Hold the folder for this program, or raise AlreadyRunning."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise AlreadyRunning(
                    f"`make up` runs already (process {lock.read().strip()}): "
                    "stop it with Ctrl-C where it was started"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield self

    def port(self, name: str, usual: int) -> int:
        """Return a free port: the one of the last run, else the usual one, else any."""
        path = self.folder / "ports.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        kept[name] = choose_port(usual, kept.get(name))
        path.write_text(json.dumps(kept, indent=2) + "\n")
        return int(kept[name])

    def log(self, name: str) -> Path:
        """Return a fresh log file's path; the log of the run before is kept beside it."""
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{name}.log"
        if path.exists():
            path.replace(path.with_suffix(".log.1"))
        return path

    def remove(self) -> None:
        """Delete the folder with everything in it, unless a running program owns it."""
        if not self.folder.exists():
            return
        with self.owned():
            try:
                shutil.rmtree(self.folder)
            except OSError as error:
                raise CannotRemove(
                    f"cannot remove {self.folder}: {error.strerror} ({error.filename}); "
                    "it was made by another user: remove it as that user"
                ) from error
