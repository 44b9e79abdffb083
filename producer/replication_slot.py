"""Look at the server and the replication slot, and wait for a slot to be made. Edge."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.rows import dict_row

from producer.errors import (
    UnsupportedEncoding,
    UnsupportedServer,
    WalLevelNotLogical,
    from_psycopg,
)
from producer.source_state import SlotState
from schemas.change_id import Lsn, parse_lsn

OLDEST_SERVER = 140_000  # PostgreSQL 14: pgoutput sends logical messages from there on.

_WAITS_FOR = files("producer").joinpath("sql/slot_waits_for.sql").read_bytes()

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]


def check_server(connection: Connection) -> None:
    """Raise the error that says what to do if the server cannot be captured from."""
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise UnsupportedServer(f"the server is PostgreSQL {version // 10000}; 14 is the oldest")
    wal_level, encoding = _one(
        connection, "SELECT current_setting('wal_level'), current_setting('server_encoding')"
    )
    if wal_level != "logical":
        raise WalLevelNotLogical(
            f"wal_level is {wal_level}; run `ALTER SYSTEM SET wal_level = logical;` on the server "
            f"at {connection.info.host}:{connection.info.port} and restart it"
        )
    if encoding == "SQL_ASCII":
        raise UnsupportedEncoding
    may_replicate, role = _one(
        connection,
        "SELECT rolreplication OR rolsuper, rolname::text FROM pg_roles"
        " WHERE rolname = current_user",
    )
    if not may_replicate:
        # Managed servers grant the right by membership instead, so this is only a hint.
        log.warning("role %s has no REPLICATION attribute", role)


def read_slot(connection: Connection, name: str) -> SlotState | None:
    """Return the slot as it is now, or None where there is none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT * FROM pg_replication_slots WHERE slot_name = %s", [name]
        ).fetchone()
    return None if row is None else SlotState.from_row(row)


def slot_xmin(connection: Connection, name: str) -> int | None:
    """Return the oldest transaction whose catalogue the slot still needs."""
    row = connection.execute(
        "SELECT catalog_xmin::text::bigint FROM pg_replication_slots WHERE slot_name = %s", [name]
    ).fetchone()
    return None if row is None else row[0]


def drop_slot(connection: Connection, name: str) -> None:
    """Drop the slot; what happens from now on is not kept for it (slot.drop.on.stop)."""
    try:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [name])
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    log.info("dropped replication slot %s", name)


class SlotWait:
    """Says whom the making of a slot waits for, each time that changes."""

    def __init__(
        self, connection: Connection, process: int, while_waiting: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._process = process
        self._while_waiting = while_waiting
        self._logged: list[tuple[Any, ...]] | None = None

    def look(self) -> None:
        """Log who is waited for; called about once a second while the slot is being made."""
        self._while_waiting()
        found = self._connection.execute(_WAITS_FOR, {"pid": self._process}).fetchall()
        if found == self._logged:
            return
        self._logged = found
        for pid, user, application, since in found:
            if pid:
                log.warning(
                    "the slot waits for the transaction of process %s (%s, %s), open since %s",
                    pid, user, application, since,
                )  # fmt: skip
            else:
                log.warning("the slot waits for a prepared transaction: see pg_prepared_xacts")
        if not found:
            log.warning(
                "the slot waits for the server to note its running transactions; on a standby, "
                "run `SELECT pg_log_standby_snapshot();` on its primary"
            )


def is_standby(connection: Connection) -> bool:
    """Tell whether the server only follows another."""
    (answer,) = _one(connection, "SELECT pg_is_in_recovery()")
    return bool(answer)


def advance_slot(connection: Connection, name: str) -> Lsn:
    """Give up everything before the present; returns where that is."""
    (lsn,) = _one(
        connection,
        "SELECT end_lsn::text FROM pg_replication_slot_advance(%s, pg_current_wal_lsn())",
        [name],
    )
    return parse_lsn(lsn)


def _one(connection: Connection, query: str, parameters: list[object] | None = None) -> Any:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None  # noqa: S101 - the query returns one row by its making.
    return row
