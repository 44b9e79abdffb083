"""Hold one MVCC snapshot of the database for many readers. Edge.

A new slot comes with the snapshot of exactly its position: what had committed by then is in the
rows, what commits later comes by the stream. With a slot that was there before any later
snapshot will do: the stream brings everything since the slot's position, so what rows and
stream both have is told twice and ends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from producer.errors import from_psycopg
from producer.replication_stream import SESSION_OPTIONS

Connection = psycopg.Connection[tuple[Any, ...]]
Connect = Callable[[], Connection]
"""Opens a connection in autocommit mode with READ_OPTIONS."""

READ_OPTIONS = (
    f"{SESSION_OPTIONS} -c row_security=off -c idle_in_transaction_session_timeout=0"
    " -c max_parallel_workers_per_gather=0 -c jit=off"
)
"""row_security off: a policy that would hide rows is an error, not a gap nobody sees."""


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """A snapshot that any session may read under while the context that holds it is open."""

    connection: Connection
    """In the transaction that holds it."""
    name: str
    xmin: int
    """Every transaction below is seen in it."""
    txid: int | None
    at_us: int


@contextmanager
def shared_snapshot(connect: Connect, of_new_slot: str | None) -> Iterator[SharedSnapshot]:
    """Hold the new slot's snapshot, or one of this moment where that is None."""
    try:
        with closing(connect()) as connection:
            # Of a transaction of its own: one that stays open keeps others from making slots.
            (txid,) = _row(
                connection,
                "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_xact_id()::text END",
            )
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                if of_new_slot is not None:
                    connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(of_new_slot))
                name, xmin, at_us = _row(
                    connection,
                    "SELECT pg_export_snapshot(), pg_snapshot_xmin(pg_current_snapshot())::text,"
                    " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
                )
                yield SharedSnapshot(
                    connection, name, int(xmin), None if txid is None else int(txid), at_us
                )
    except psycopg.Error as error:
        raise from_psycopg(error) from error


@contextmanager
def seen_under(name: str, connection: Connection) -> Iterator[None]:
    """Run a transaction of the connection under the snapshot of that name."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(name))
        yield


def _row(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - the query returns one row by its making.
    return row
