"""Find out which account PostgreSQL can run as when it refuses the one this program has.

It refuses root. The usual way is another account that owns the data folder. Such an account
cannot reach a folder below one that only root may enter, as a clone in /root is; then a user
namespace makes root look like an ordinary user to the server, while to the file system it
stays the owner. PostgreSQL refuses a user id without a name too, as containers are given
them; there the namespace lends the name of `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import Account
from runtime.errors import Stop

ACCOUNT_NAMES = ("postgres", "nobody")
# The id of `nobody`: it must have a name. The namespace has one user, this program's.
NAMESPACE_ID = 65_534
NAMESPACE = (
    "unshare",
    "--user",
    f"--map-user={NAMESPACE_ID}",
    f"--map-group={NAMESPACE_ID}",
    "--",
)


class RootRefused(Stop):
    """PostgreSQL refuses to run as root; run this as an ordinary user."""


@dataclass(frozen=True, slots=True)
class Unprivileged:
    """How to run a program so that it is not root: put this before it, use this account."""

    prefix: tuple[str, ...] = ()
    account: Account | None = None

    def run(self, argv: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it wrote."""
        return subprocess.run(
            [*self.prefix, *argv],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )


def unprivileged(folder: Path, program: Path) -> Unprivileged:
    """Return a way to run the program as a user who owns and reaches the folder.

    The folder, and all that is in it, is given to that user.
    """
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return Unprivileged()
    for way in _ways():
        if _works(way, 'test -x "$1"', folder.parent, program):
            _give(folder, way.account or Account(os.geteuid(), os.getegid()))
            if _works(way, 'test -w "$1"', folder, program):
                return way
    raise RootRefused(
        "PostgreSQL refuses to run as root or as a user without a name, and no other account "
        f"can enter {folder}: clone to a folder outside /root, or run this as an ordinary user"
    )


def _ways() -> Iterator[Unprivileged]:
    if os.geteuid() == 0:
        for name in ACCOUNT_NAMES:
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                yield Unprivileged(account=Account(entry.pw_uid, entry.pw_gid))
    yield Unprivileged(prefix=NAMESPACE)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _works(way: Unprivileged, check: str, folder: Path, program: Path) -> bool:
    # Tried, not computed: mount options, access lists and containers decide too.
    script = f'{check} && test "$(id -u)" != 0 && exec "$2" --version'
    try:
        done = way.run(["/bin/sh", "-c", script, "sh", str(folder), str(program)], folder=folder)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _give(folder: Path, account: Account) -> None:
    owner = folder.stat()
    if (owner.st_uid, owner.st_gid) == (account.uid, account.gid):
        return
    for path, _folders, files in os.walk(folder):
        os.chown(path, account.uid, account.gid)
        for name in files:
            os.chown(Path(path) / name, account.uid, account.gid, follow_symlinks=False)
