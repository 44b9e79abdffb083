"""A PostgreSQL server of one's own, in one folder, reachable on loopback only.

The superuser is `bemi` with a random password that is kept in the folder. The data survives
stop, kill and start; the port does not change while the object lives.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from deploy.local import process_table
from deploy.local.ports import LOOPBACK
from deploy.local.postgres_account import unprivileged
from deploy.local.process import CannotStart, ChildProcess
from deploy.local.requirements import (
    POSTGRES_ADVICE,
    MissingRequirements,
    PostgresPrograms,
    find_postgres,
)

SUPERUSER = "bemi"
START_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05
SETTINGS_FILE = "bemi.conf"
SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": "50",
    "max_replication_slots": "50",
    "max_connections": "200",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class LocalPostgres:
    """A PostgreSQL server that can be started, stopped, killed and started again."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        settings: Mapping[str, str] | None = None,
        initdb_options: Sequence[str] = (),
        programs: PostgresPrograms | None = None,
        log_path: Path | None = None,
    ) -> None:
        self._folder = folder.resolve()
        programs = programs or find_postgres(major=self._major_of_data())
        if programs is None:
            raise MissingRequirements(self._advice())
        self.host = LOOPBACK
        self.port = port
        self.user = SUPERUSER
        self.version = programs.version
        self._settings = SETTINGS | dict(settings or {})
        self.programs = programs.folder
        self._initdb_options = initdb_options
        self._log_path = log_path or self._folder / "postgres.log"
        self._process: ChildProcess | None = None

    @property
    def password(self) -> str:
        """Return the superuser's password; there is one from the first start on."""
        return self._password_file.read_text()

    @property
    def name(self) -> str:
        """Return what the server is called."""
        return "postgres"

    @property
    def is_running(self) -> bool:
        """Tell whether the server's process runs."""
        return self._process is not None and self._process.is_running

    def dsn(self, dbname: str) -> str:
        """Return libpq's address of a database, the password in it."""
        return (
            f"postgresql://{quote(self.user)}:{quote(self.password)}"
            f"@{self.host}:{self.port}/{quote(dbname, safe='')}"
        )

    @property
    def needs_person(self) -> bool:
        """Return False: a server that has ended can always be started again."""
        return False

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Make the cluster if there is none, start the server, return when it answers."""
        if self.is_running:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        way = unprivileged(self._folder, self.programs / "postgres")
        if not self._data.exists():
            self._make_cluster()
        self._end_former_server()
        self._write_settings()
        self._process = ChildProcess(
            "postgres",
            [
                *way.prefix,
                str(self.programs / "postgres"),
                *("-D", str(self._data)),
                *("-p", str(self.port)),
                *("-c", f"listen_addresses={self.host}"),
                *("-c", "unix_socket_directories="),
            ],
            log_path=self._log_path,
            folder=self._folder,
            account=way.account,
        )
        self._process.start()
        self._wait_until_it_answers(self._process, time.monotonic() + timeout_seconds)

    def stop(self, timeout_seconds: float = 20.0) -> None:
        """Disconnect everyone, write everything down and end ("fast" shutdown)."""
        if self._process is not None:
            self._process.stop(signal.SIGINT, timeout_seconds)

    def kill(self) -> None:
        """End all of the server's processes at once, as the crash of the machine would."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Stop the server in order and start it again."""
        self.stop()
        self.start()

    def ensure_database(self, name: str) -> None:
        """Make the database unless it exists."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
            if found.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the server's log."""
        return "" if self._process is None else self._process.tail(lines)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _password_file(self) -> Path:
        return self._folder / "password"

    def _major_of_data(self) -> int | None:
        version = self._data / "PG_VERSION"
        return int(version.read_text()) if version.exists() else None

    def _advice(self) -> str:
        major = self._major_of_data()
        if major is None:
            return POSTGRES_ADVICE
        return (
            f"the database in {self._folder} was made by PostgreSQL {major}, whose programs are "
            "not found now: install that version, or start anew after `make clean-up`"
        )

    def _make_cluster(self) -> None:
        # initdb runs in a folder of another name, so that a half-made cluster, left by a
        # machine that was switched off, is never taken for a whole one.
        unfinished = self._folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._password_file.unlink(missing_ok=True)
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
        owner = self._folder.stat()
        os.chown(self._password_file, owner.st_uid, owner.st_gid)
        way = unprivileged(self._folder, self.programs / "initdb")
        done = way.run(
            [
                str(self.programs / "initdb"),
                *("--pgdata", str(unfinished)),
                *("--username", SUPERUSER),
                *("--pwfile", str(self._password_file)),
                *("--auth", "scram-sha-256"),
                *("--encoding", "UTF8"),
                # macOS has no C.UTF-8; there C sorts the same and UTF8 is the encoding.
                *("--locale", "C" if sys.platform == "darwin" else "C.UTF-8"),
                "--no-instructions",
                *self._initdb_options,
                *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
            ],
            folder=self._folder,
        )
        if done.returncode != 0:
            raise CannotStart(f"initdb failed: {(done.stderr or done.stdout).strip()}")
        with (unfinished / "postgresql.conf").open("a") as file:
            file.write(f"\ninclude_if_exists = '{SETTINGS_FILE}'\n")
        unfinished.rename(self._data)

    def _end_former_server(self) -> None:
        # PostgreSQL refuses to start while the process that its lock file names exists. After
        # a crash of the machine that may be any process, and after a crash of the program
        # that ran it a zombie. This folder has one owner, so it is known what to do.
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return
        if str(self._data) in process_table.command(pid):
            process_table.wait_until_gone(process_table.kill_tree(pid))
        lock.unlink()

    def _write_settings(self) -> None:
        # A file and not the command line, because ALTER SYSTEM must be able to override it.
        lines = [
            f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n"
            for name, value in self._settings.items()
        ]
        path = self._data / SETTINGS_FILE
        path.write_text("".join(lines))
        owner = self._data.stat()
        os.chown(path, owner.st_uid, owner.st_gid)

    def _wait_until_it_answers(self, process: ChildProcess, deadline: float) -> None:
        while True:
            if not process.is_running:
                raise CannotStart(
                    f"PostgreSQL ended while starting; its log ends:\n{process.tail()}"
                )
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise CannotStart(f"PostgreSQL does not answer: {error}") from error
            time.sleep(POLL_SECONDS)
