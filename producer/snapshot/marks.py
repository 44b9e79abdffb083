"""What the source block of a row says that was read, not streamed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from producer.event_source import Source
from producer.table_shape import TableShape
from schemas.change_id import Lsn


class Mark(str, Enum):
    """Debezium's words for `source.snapshot`."""

    FIRST = "first"
    FIRST_OF_TABLE = "first_in_data_collection"
    ROW = "true"
    LAST_OF_TABLE = "last_in_data_collection"
    LAST = "last"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True)
class Reading:
    """Where and when rows were read; the same for all rows of a snapshot.

    `lsn` is where the stream begins that follows: whoever compares positions takes every
    streamed change for newer than the row.
    """

    lsn: Lsn | None
    txid: int | None
    at_us: int

    def source(self, shape: TableShape, mark: Mark) -> Source:
        """Return the source block of the table's rows."""
        return Source(self.at_us, shape.pg_schema, shape.table, mark.value, xid=self.txid)
