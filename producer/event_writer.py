"""What `change_events` asks of a format: the bytes of keys and values. Pure.

Two writers do it: `json_events`, fast, for JSON with or without schemas, and `connect_events`
for any format. A pipeline has at most two in use, one for the tables' topics and one for `.wal`;
where both would write the same, one serves both and each event is written once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from producer.column_types.column_type import READABLE, ValueModes
from producer.connect_schema import BYTES, STRING, ConnectSchema
from producer.errors import MalformedMessage
from producer.event_source import Server, Source
from producer.open_transaction import OpenTransaction
from producer.pgoutput import LogicalMessage
from producer.relations import ConversionFailure, RelationRows
from producer.row_codec import Cells, Text
from producer.table_shape import ShapedColumn, TableShape
from schemas.change_id import Lsn

_INSERT, _UPDATE, _DELETE = b"IUD"


def unchanged(name: str) -> str:
    """Return the name as it is: schema.name.adjustment.mode=none."""
    return name


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """What an output's events look like."""

    server: Server
    modes: ValueModes = READABLE
    key_schemas: bool = False
    """JSON keys carry their schema (key.converter.schemas.enable)."""
    value_schemas: bool = False
    transaction_metadata: bool = True
    replace_null_with_default: bool = False
    """What Connect's converters do: a stored NULL is written as the column's default."""
    on_conversion_failure: ConversionFailure = ConversionFailure.FAIL
    adjust_schema_name: Callable[[str], str] = unchanged
    adjust_field_name: Callable[[str], str] = unchanged


Event = tuple[str, Any, Any, Any, Any]
"""What a row message says: operation, old key, key, before, after.

The old key is that before an update, where it is known, and None otherwise. Rows and keys are
opaque to everybody but the writer. A plain tuple, because a named one takes 0.3 us to make.
"""


class RelationEvents(ABC):
    """One relation in one output."""

    def __init__(
        self,
        shape: TableShape,
        topic: str,
        rows: RelationRows,
        options: WriterOptions,
        null: Any,
    ) -> None:
        self.null = null
        """Stands for a row that is not there."""
        self.shape = shape
        self.topic = topic
        self.collection = f"{shape.pg_schema}.{shape.table}"
        """Its name in the counts of a transaction."""
        self.rows = rows
        self.invented: Cells = ()
        """What Debezium writes for each column that was not sent; empty where null is written."""
        self._with_replaced_null = (
            tuple(number for number in shape.written if _replaces_null(shape.columns[number]))
            if options.replace_null_with_default
            else ()
        )

    def event(self, data: bytes, text: Text, at: int) -> Event:
        """Return what the row message that begins at `at` says."""
        kind = data[at]
        if kind == _INSERT:
            cells = self.rows.inserted(data, text, at)
            return "c", None, self.key(cells), self.null, self.row(cells)
        if kind == _UPDATE:
            old, is_full, cells = self.rows.updated(data, text, at)
            if old is None:
                return "u", None, self.key(cells), self.null, self.row(cells)
            before = self.before(old, is_full)
            return "u", self.old_key(old, is_full), self.key(cells), before, self.row(cells)
        if kind == _DELETE:
            old, is_full = self.rows.deleted(data, text, at)
            return "d", None, self.old_key(old, is_full), self.before(old, is_full), self.null
        raise MalformedMessage(f"no row message begins with {data[at : at + 1]!r}")

    def is_unchanged(self, event: Event, data: bytes, at: int) -> bool:
        """Tell whether a row message with its event left the columns that are written as they were.

        Of a whole old row only. A NULL that is written as the default is not equal to the default.
        """
        _, _, _, before, after = event
        if before != after:
            return False
        columns = self._with_replaced_null
        return not columns or self.rows.have_same_nulls(data, at, columns)

    @abstractmethod
    def key(self, cells: Cells) -> Any:
        """Return the row's key, comparable with another's, or None without a key."""

    @abstractmethod
    def row(self, cells: Cells) -> Any:
        """Return the whole row."""

    def old_key(self, cells: Cells, is_full: bool) -> Any:
        """Return an old row's key: of all of it, or of what was sent."""
        return self.key(cells if is_full else self._filled(cells))

    def before(self, cells: Cells, is_full: bool) -> Any:
        """Return the old row: whole, or what was sent of it and null for the rest."""
        return self.row(cells if is_full else self._filled(cells))

    def _filled(self, cells: Cells) -> Cells:
        """Return the cells with what stands for those that were not sent."""
        if not self.invented:
            return cells
        columns = zip(self.shape.columns, cells, self.invented, strict=True)
        return tuple(cell if column.is_identity else other for column, cell, other in columns)


def _replaces_null(column: ShapedColumn) -> bool:
    schema, rule = column.schema, column.rule
    return (
        schema is not None
        and schema.optional
        and schema.default is not None
        and (rule is None or rule.of_null is None)
    )


class EventWriter(ABC):
    """Writes the keys and values of one output.

    A class and not a protocol, since a compiled call of a method is then one through a table.
    """

    @abstractmethod
    def relation(self, shape: TableShape, topic: str) -> RelationEvents:
        """Return the relation's events."""

    @abstractmethod
    def key(self, relation: Any, key: Any) -> bytes | None:
        """Return a row's key."""

    @abstractmethod
    def key_header(self, relation: Any, key: Any) -> bytes:
        """Return a row's key as the value of a header: the other half of a changed key."""

    @abstractmethod
    def change(
        self,
        relation: Any,
        transaction: OpenTransaction,
        lsn: Lsn,
        op: str,
        before: Any,
        after: Any,
        now_us: int,
    ) -> bytes:
        """Return a row's event, or that of a truncated table; it has been counted before."""

    @abstractmethod
    def read(
        self, relation: Any, source: Source, lsn: Lsn | None, after: Any, now_us: int
    ) -> bytes:
        """Return a row's event that was read by a snapshot."""

    @abstractmethod
    def message(
        self, place: OpenTransaction | Source, message: LogicalMessage, lsn: Lsn, now_us: int
    ) -> tuple[bytes, bytes]:
        """Return key and value of a message's event; one without transaction has a Source."""

    @abstractmethod
    def begin(self, transaction: OpenTransaction) -> tuple[bytes, bytes]:
        """Return key and value that announce a transaction."""

    @abstractmethod
    def end(self, transaction: OpenTransaction, lsn: Lsn) -> tuple[bytes, bytes]:
        """Return key and value that say a transaction is complete."""

    @abstractmethod
    def heartbeat(self, now_us: int) -> tuple[bytes, bytes]:
        """Return key and value of a heartbeat."""


def transaction_block(transaction: OpenTransaction, lsn: Lsn, collection: str) -> dict[str, Any]:
    """Return the event's place in its transaction as a Connect value."""
    return {
        "id": f"{transaction.xid}:{lsn}",
        "total_order": transaction.total_order,
        "data_collection_order": transaction.counts[collection],
    }


def begin_value(transaction: OpenTransaction) -> dict[str, Any]:
    """Return the record that announces a transaction as a Connect value."""
    return {
        "status": "BEGIN",
        "id": f"{transaction.xid}:{transaction.begin_lsn}",
        "event_count": None,
        "data_collections": None,
        "ts_ms": transaction.begin.commit_time_us // 1000,
    }


def end_value(transaction: OpenTransaction, lsn: Lsn) -> dict[str, Any]:
    """Return the record that completes a transaction as a Connect value."""
    return {
        "status": "END",
        "id": f"{transaction.xid}:{lsn}",
        "event_count": transaction.total_order,
        "data_collections": [
            {"data_collection": name, "event_count": count}
            for name, count in transaction.counts.items()
        ],
        "ts_ms": transaction.begin.commit_time_us // 1000,
    }


@dataclass(frozen=True, slots=True)
class ContentForm:
    """How the content of a logical message is written: binary.handling.mode."""

    schema: ConnectSchema
    encode: Callable[[bytes], Any]
    encode_json: Callable[[bytes], str]
    """What stands between the quotes in JSON."""


def _hex(content: bytes) -> str:
    return content.hex()


def _base64(content: bytes) -> str:
    return b2a_base64(content, newline=False).decode()


def _base64_url_safe(content: bytes) -> str:
    return urlsafe_b64encode(content).decode()


CONTENT_FORMS: Mapping[str, ContentForm] = {
    "bytes": ContentForm(ConnectSchema(BYTES), bytes, _base64),
    "base64": ContentForm(ConnectSchema(STRING), _base64, _base64),
    "base64-url-safe": ContentForm(ConnectSchema(STRING), _base64_url_safe, _base64_url_safe),
    "hex": ContentForm(ConnectSchema(STRING), _hex, _hex),
}
