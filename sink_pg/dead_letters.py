"""Look at the records put aside, try them again, give them up. Edge: SQL.

A retry takes the way of any record: the change is stored unless it is already, and the letter
goes in the same transaction. So a record is stored or still put aside, never both and never
neither. The watermark is not touched: it counted the record when it was put aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

import psycopg

from runtime.errors import DeadLetter
from sink_pg.batch import RefusedRecord
from sink_pg.change_rows import Record, change_row, storable_text
from sink_pg.errors import NoSuchDeadLetter
from sink_pg.pg_connection import Connection, stage_error
from sink_pg.pg_writer import MAX_REASON_LENGTH, insert_new
from sink_pg.seals import has_seals, seal
from sink_pg.statements import statement

RETRIED = "dead letters"
"""What stands in a seal in place of the topic."""


class Letter(NamedTuple):
    """A record that was put aside; `bytes` are those of its value."""

    id: int
    topic: str
    partition: int
    offset: int
    bytes: int | None
    created_at: datetime
    retries: int
    reason: str


class Outcome(str, Enum):
    """What became of a record that was tried again."""

    STORED = "stored"
    KNOWN = "stored before"
    REFUSED = "still refused"
    TAKEN = "taken by another"


def list_letters(connection: Connection, limit: int) -> tuple[list[Letter], int]:
    """Return the oldest letters, at most so many, and how many there are in all."""
    try:
        rows: list[Any] = connection.execute(
            statement("list_dead_letters"), {"limit": limit}
        ).fetchall()
        counts: list[Any] = connection.execute(statement("count_dead_letters")).fetchall()
    except psycopg.Error as error:
        raise stage_error(error) from error
    return [Letter(*row) for row in rows], counts[0][0]


def find_ids(connection: Connection, ids: Sequence[int] | None) -> list[int]:
    """Return the ids, or all there are; raises NoSuchDeadLetter where one is not there."""
    try:
        rows: list[Any] = connection.execute(
            statement("dead_letter_ids"), {"ids": None if ids is None else list(ids)}
        ).fetchall()
    except psycopg.Error as error:
        raise stage_error(error) from error
    found = [identifier for (identifier,) in rows]
    if ids is not None and (missing := sorted(set(ids) - set(found))):
        raise NoSuchDeadLetter(
            f"no dead letter has the id {', '.join(map(str, missing))}; nothing was done."
            " `bemi-sink dead-letters list` shows those there are"
        )
    return found


def retry_letter(connection: Connection, identifier: int) -> Outcome:
    """Try the record again, in one transaction; one still refused keeps its letter."""
    try:
        with connection.transaction():
            rows: list[Any] = connection.execute(
                statement("take_dead_letter"), {"id": identifier}
            ).fetchall()
            if not rows:
                return Outcome.TAKEN
            topic, partition, offset, key, value = rows[0]
            refused: list[RefusedRecord] = []
            inserted = _store(connection, Record(topic, partition, offset, key, value), refused)
            if refused:
                reason = storable_text(refused[0].reason[:MAX_REASON_LENGTH])
                connection.execute(
                    statement("keep_dead_letter"), {"id": identifier, "reason": reason}
                )
                return Outcome.REFUSED
            connection.execute(statement("drop_dead_letters"), {"ids": [identifier]})
            return Outcome.STORED if inserted else Outcome.KNOWN
    except psycopg.Error as error:
        raise stage_error(error) from error


def drop_letters(connection: Connection, ids: Iterable[int]) -> int:
    """Delete the letters for good; return how many there still were."""
    try:
        return connection.execute(statement("drop_dead_letters"), {"ids": list(ids)}).rowcount
    except psycopg.Error as error:
        raise stage_error(error) from error


def _store(connection: Connection, record: Record, refused: list[RefusedRecord]) -> int:
    try:
        row = change_row(record)
    except DeadLetter as error:
        refused.append(RefusedRecord(record, str(error)))
        return 0
    connection.execute(statement("create_staging"))
    inserted = insert_new(connection, [row], refused)
    if inserted and has_seals(connection):
        seal(connection, [row], RETRIED)
    return inserted
