"""Seal what is stored, so that a later change to it can be shown. Edge: SQL.

A seal is made in the transaction that stores the rows, as its last step. It holds a hash over
the rows as PostgreSQL has stored them, and the hash of the seal before it: one chain for all
sinks of a destination. The rows are those whose created_at is the seal's time.

What it proves: whoever knows the hash of a seal can tell whether anything that was stored up to
then has been changed, removed or added since. It does not prove it to somebody who knows no
hash: who may write the tables may write the whole chain anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from psycopg import sql

from sink_pg.batch import Advance
from sink_pg.change_rows import COPY_COLUMNS, ChangeRow
from sink_pg.pg_connection import Connection
from sink_pg.statements import statement

_COMMITTED_AT = COPY_COLUMNS.index("committed_at")


def seal(
    connection: Connection, rows: Iterable[ChangeRow], topic: str, advances: Sequence[Advance] = ()
) -> None:
    """Seal those of the rows that this transaction has stored; COMMIT has to follow at once.

    Other sinks wait for that before they seal theirs. Where none was stored there is no seal.
    """
    times = {row.line.split(b"\t", _COMMITTED_AT + 1)[_COMMITTED_AT].decode() for row in rows}
    if not times:
        return
    found: Any = connection.execute(
        statement("hash_stored").format(row_hash=row_hash()), {"times": list(times)}
    ).fetchone()
    row_count, oldest, newest, rows_hash = found
    if row_count:
        places = {
            str(each.partition): [each.expected_offset or 0, each.watermark.next_offset]
            for each in advances
        }
        _insert(connection, row_count, rows_hash, oldest, newest, {topic: places})


def seal_removal(connection: Connection, removed_before: datetime) -> None:
    """Note in the chain that retention has removed everything older.

    In the transaction that does so, as its last step; does nothing where nothing is sealed.
    """
    if has_seals(connection):
        _insert(connection, 0, b"", None, None, {}, removed_before)


def seal_erased(connection: Connection, topic: str, offset: int) -> None:
    """Seal what this transaction has erased; COMMIT has to follow at once.

    The seals of the rows stay as they are: beside them stands now, sealed itself, what the rows'
    hashes were and what they are. Does nothing where nothing is sealed.
    """
    if not has_seals(connection):
        return
    found: Any = connection.execute(
        statement("hash_erased").format(entry_hash=statement("entry_hash"))
    ).fetchone()
    count, entries_hash = found
    if count:
        _insert(connection, count, entries_hash, None, None, {topic: {"0": [offset, offset + 1]}})


def has_seals(connection: Connection) -> bool:
    """Return whether any row is sealed."""
    row = connection.execute(statement("has_seals")).fetchone()
    return row is not None and bool(row[0])


def _insert(
    connection: Connection,
    row_count: int,
    rows_hash: bytes,
    oldest: str | None,
    newest: str | None,
    places: dict[str, dict[str, list[int]]],
    removed_before: datetime | None = None,
) -> None:
    connection.execute(statement("lock_seals"))
    connection.execute(
        statement("insert_seal").format(seal_hash=seal_hash()),
        {
            "row_count": row_count,
            "rows_hash": rows_hash,
            "oldest": oldest,
            "newest": newest,
            "places": json.dumps(places),
            "removed_before": removed_before,
        },
    )


def row_hash() -> sql.SQL:
    """Return the expression of a row's hash, over a row named `stored`."""
    return statement("row_hash_1")


def seal_hash() -> sql.SQL:
    """Return the expression of a seal's own hash, over a row named `seal`."""
    return statement("seal_hash")
