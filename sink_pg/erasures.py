"""Keep what was erased from being stored again. Edge: SQL.

A change keeps its id in every replay, and bemi_erased_changes has the ids of those that were
erased; whatever is about to be stored under one of them is erased before. The records come from
the topic of erasures, so a table that is made anew, or restored from before an erasure, knows of
them once a sink or a replay begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.erasure import Erasure, ErasureRecord, Part
from sink_pg.change_rows import ChangeRow
from sink_pg.erased_forms import erased_forms
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.pg_connection import Connection
from sink_pg.statements import statement


def load_erasures(connection: Connection, topic: ErasureTopic) -> int:
    """Take the records that the destination does not know yet; return how many changes they name.

    Touches no row of `changes`: `bemi-sink erase --recorded` does.
    """
    row: Any = connection.execute(
        statement("watermarks"), {"topic": topic.name, "partitions": [0]}
    ).fetchone()
    known = 0 if row is None else row[1]
    records, end = topic.read(known)
    if end != known:
        with connection.transaction():
            for record in records:
                insert_record(connection, record)
            connection.execute(
                statement("advance_erasures"), {"topic": topic.name, "next_offset": end}
            )
    return sum(len(record.changes) for record in records)


def insert_record(connection: Connection, record: ErasureRecord) -> None:
    """Take one record, within the caller's transaction."""
    insert_erasure(connection, record.erasure)
    connection.execute(
        statement("insert_erased_changes"),
        {
            "erasure": record.erasure.id,
            "ids": [change.id for change in record.changes],
            "committed_at": [change.committed_at for change in record.changes],
        },
    )


def insert_erasure(connection: Connection, erasure: Erasure) -> None:
    """Take what was decided, without the changes; does nothing where it is known."""
    parts = [part.value for part in erasure.parts]
    members = None if erasure.members is None else list(erasure.members)
    connection.execute(
        statement("insert_erasure"), {**erasure._asdict(), "parts": parts, "members": members}
    )


def erase_staged(connection: Connection) -> None:
    """Erase what has to be of the rows in the staging table, before they are stored."""
    rows: Iterable[Any] = connection.execute(statement("erasures_of_staged")).fetchall()
    for erasure, parts, members in rows:
        forms = erased_forms([Part(part) for part in parts])
        connection.execute(
            statement("erase_staged").format(**forms), {"erasure": erasure, "members": members}
        )


class ErasedChanges:
    """Tells whether rows may be among the erased, mostly without asking the database."""

    def __init__(self) -> None:
        self._until: str | None = None
        self._is_known = False

    def forget(self) -> None:
        """Ask again: the destination may know of more."""
        self._is_known = False

    def are_among(self, connection: Connection, rows: Sequence[ChangeRow]) -> bool:
        """Return whether any of the rows is of an erased change.

        Changes younger than every erased one are none, and those are what a sink mostly stores.
        """
        if not self._is_known:
            row: Any = connection.execute(statement("erased_until")).fetchone()
            self._until, self._is_known = row[0], True
        if self._until is None or not rows or min(row.commit_day for row in rows) > self._until:
            return False
        ids = [row.line[:36].decode() for row in rows]
        found: Any = connection.execute(statement("any_is_erased"), {"ids": ids}).fetchone()
        return bool(found[0])
