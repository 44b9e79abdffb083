"""One stitched change: what `.changes` carries and the table `changes` stores.

The same fields in the same order as `change.avsc`. In JSON `before`, `after` and `context`
are objects and times are ISO 8601 in UTC with microseconds; in Avro the three are JSON text
and times are timestamp-micros.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, TypedDict


class Operation(str, Enum):
    """What happened to the row, in the words of the table `changes`."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    TRUNCATE = "TRUNCATE"


class Change(TypedDict):
    """A change with the context it was made in."""

    id: str  # UUID, made of source, commit LSN, ordinal and commit time.
    database: str
    schema: str
    table: str
    primary_key: str | None  # join_primary_key() of the row's key; none for a table without.
    operation: str
    before: dict[str, Any]  # {} where PostgreSQL sent no old row.
    after: dict[str, Any]
    context: dict[str, Any]  # {} when the change was made without any.
    committed_at: str
    queued_at: str  # When the producer made the event.
    transaction_id: int
    position: int  # The row's own LSN; rows of one statement may share it.
    commit_lsn: int
    ordinal: int
    epoch: str
    context_error: str | None  # Why a context that was sent is not in `context`.


def join_primary_key(values: Iterable[object]) -> str:
    """Return a row's key as one text that no other key gives.

    One column: its value as text. Several: joined by `,` in the key's order, with `\\` and
    `,` inside a value preceded by `\\`. Booleans are `true` and `false`, as in JSON.
    """
    texts = [
        value
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
        for value in values
    ]
    if len(texts) == 1:
        return texts[0]
    return ",".join(text.replace("\\", "\\\\").replace(",", "\\,") for text in texts)
