"""The databases of a local pipeline: what is tracked, and where the changes go.

A tracked database that DB_* name is looked at before anything is started, so that what it
lacks is said first and in one line.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from urllib.parse import quote

import psycopg

from runtime.errors import Stop
from runtime.postgres import connection_parameters
from runtime.settings import SourceDatabase

CONNECT_TIMEOUT_SECONDS = 10
TRACKED_PREFIX = "DB_"
DESTINATION_PREFIX = "DESTINATION_DB_"


class UnreachableDatabase(Stop):
    """The tracked database cannot be reached; check DB_HOST, DB_PORT, DB_NAME, DB_USER."""


class LogicalDecodingOff(Stop):
    """The tracked server does not write what logical decoding needs."""


def is_given(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment names a database to track."""
    return bool(environ.get("DB_HOST"))


def require_logical_decoding(environ: Mapping[str, str]) -> None:
    """Return if the tracked database can be reached and decoded, else say what to do."""
    settings = SourceDatabase.from_environ(
        {name: value for name, value in environ.items() if name.startswith(TRACKED_PREFIX)}
    )
    where = f"{settings.db_host}:{settings.db_port}"
    try:
        with psycopg.connect(
            **connection_parameters(settings),
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
        ) as connection:
            row = connection.execute("SELECT current_setting('wal_level')").fetchone()
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise UnreachableDatabase(
            f"cannot use the database that DB_* name ({settings.db_name} at {where}): {reason}"
        ) from error
    if row != ("logical",):
        raise LogicalDecodingOff(
            f"wal_level of {where} is {row[0] if row else 'unknown'}; run there "
            "`ALTER SYSTEM SET wal_level = logical;`, restart PostgreSQL, then `make up` again"
        )


def broker_folder(environ: Mapping[str, str], *, own: bool) -> str:
    """Return the name of the folder for the brokers' data: each tracked database has its own.

    Topics of one database must not be read into another one's `changes`.
    """
    if own:
        return "kafka"
    names = ("DB_HOST", "DB_PORT", "DB_NAME")
    tracked = "\n".join(environ.get(name, "") for name in names)
    return f"kafka-{hashlib.sha256(tracked.encode()).hexdigest()[:12]}"


def without_databases(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the settings of the tracked database."""
    return {name: value for name, value in environ.items() if not name.startswith(TRACKED_PREFIX)}


def psql_line(environ: Mapping[str, str], psql: str = "psql") -> str:
    """Return a command that opens the database that `changes` is in, without a password.

    psql asks for it; so this can be shown on any screen.
    """

    def named(*names: str, default: str) -> str:
        found = [environ[name] for name in names if environ.get(name)]
        return found[0] if found else default

    host = named("DESTINATION_DB_HOST", "DB_HOST", default="127.0.0.1")
    port = named("DESTINATION_DB_PORT", "DB_PORT", default="5432")
    user = named("DESTINATION_DB_USER", "DESTINATION_DB_USERNAME", "DB_USER", default="postgres")
    name = named("DESTINATION_DB_NAME", "DESTINATION_DB_DATABASE", "DB_NAME", default="postgres")
    # An IPv6 address stands in brackets in an address of this form.
    shown_host = f"[{host}]" if ":" in host else quote(host, safe="")
    address = f"postgresql://{quote(user, safe='')}@{shown_host}:{port}/{quote(name, safe='')}"
    return f"{psql} {shlex.quote(address)}"
