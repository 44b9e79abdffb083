"""Write events in any format, from Connect values. Pure, but for what a serializer does.

Rows are decoded to Connect values and an event is one struct, given to the serializers of key and
value: Avro's, or JSON's where only one of the two is Avro. `json_events` is the fast way for JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from producer.connect_schema import ConnectSchema
from producer.envelope_schema import (
    HEARTBEAT_KEY,
    HEARTBEAT_VALUE,
    MESSAGE_KEY,
    TRANSACTION_KEY,
    TRANSACTION_VALUE,
    envelope_schema,
    message_value,
)
from producer.event_source import Source, source_value
from producer.event_writer import (
    CONTENT_FORMS,
    EventWriter,
    RelationEvents,
    WriterOptions,
    begin_value,
    end_value,
    transaction_block,
)
from producer.json_events import json_record
from producer.key_headers import KeyHeader
from producer.open_transaction import OpenTransaction
from producer.pgoutput import LogicalMessage
from producer.relations import RelationRows
from producer.row_codec import LEFT_OUT, CellCodec, Cells
from producer.table_shape import ShapedColumn, TableShape
from schemas.change_id import Lsn
from schemas.topics import MESSAGES_COLLECTION, Topics

Encode = Callable[[Any], bytes]


class Serializer(Protocol):
    """Turns Connect values into the bytes of records."""

    def encoder(self, topic: str, schema: ConnectSchema, *, is_key: bool) -> Encode:
        """Return the encoder of a topic's keys or values; may talk to a registry."""


class JsonSerializer:
    """JsonConverter's form, with or without schemas."""

    def __init__(self, *, with_schema: bool) -> None:
        self._with_schema = with_schema

    def encoder(self, topic: str, schema: ConnectSchema, *, is_key: bool) -> Encode:
        """Return the encoder of a topic's keys or values."""
        return lambda value: json_record(schema, value, with_schema=self._with_schema)


class ConnectRelation(RelationEvents):
    """One relation's rows and keys as Connect values."""

    def __init__(
        self,
        shape: TableShape,
        topic: str,
        options: WriterOptions,
        key_serializer: Serializer,
        value_serializer: Serializer,
    ) -> None:
        codecs = [_codec(column, options) for column in shape.columns]
        rows = RelationRows(shape, codecs, options.on_conversion_failure)
        super().__init__(shape, topic, rows, options, null=None)
        names = [options.adjust_field_name(column.name) for column in shape.columns]
        self._written = [(number, names[number]) for number in shape.written]
        self._key = [(number, names[number]) for number in shape.key]
        if options.modes.debezium_values:
            # A column without a zero is nullable.
            self.invented = tuple(
                codec.null if column.zero is None else column.zero
                for column, codec in zip(shape.columns, codecs, strict=True)
            )
        adjust = options.adjust_schema_name
        key_schema = shape.key_schema(adjust(f"{topic}.Key"), options.adjust_field_name)
        self.encode_key: Encode | None = None
        self.key_header = None if key_schema is None else KeyHeader(key_schema)
        if key_schema is not None:
            self.encode_key = key_serializer.encoder(topic, key_schema, is_key=True)
        row_schema = shape.row_schema(adjust(f"{topic}.Value"), options.adjust_field_name)
        self.encode_value = value_serializer.encoder(
            topic, envelope_schema(adjust(f"{topic}.Envelope"), row_schema), is_key=False
        )

    def key(self, cells: Cells) -> dict[str, Any] | None:
        """Return the row's key, or None without a key."""
        return {name: cells[number] for number, name in self._key} or None

    def row(self, cells: Cells) -> dict[str, Any]:
        """Return the whole row."""
        return {name: cells[number] for number, name in self._written}


class ConnectEvents(EventWriter):
    """Writes the keys and values of one output by its serializers."""

    def __init__(
        self,
        options: WriterOptions,
        topics: Topics,
        key_serializer: Serializer,
        value_serializer: Serializer,
    ) -> None:
        self._options = options
        self._topics = topics
        self._keys = key_serializer
        self._values = value_serializer
        self._content = CONTENT_FORMS[options.modes.binary_handling_mode]
        self._encoders: dict[tuple[str, bool], Encode] = {}

    def relation(self, shape: TableShape, topic: str) -> ConnectRelation:
        """Return the relation's rows and keys in this output."""
        return ConnectRelation(shape, topic, self._options, self._keys, self._values)

    def key(self, relation: ConnectRelation, key: dict[str, Any] | None) -> bytes | None:
        """Return a row's key."""
        if key is None or relation.encode_key is None:
            return None
        return relation.encode_key(key)

    def key_header(self, relation: ConnectRelation, key: dict[str, Any]) -> bytes:
        """Return a row's key as the value of a header: the other half of a changed key."""
        assert relation.key_header is not None  # noqa: S101 - there is a key.
        return relation.key_header.of_value(key)

    def change(
        self,
        relation: ConnectRelation,
        transaction: OpenTransaction,
        lsn: Lsn,
        op: str,
        before: Any,
        after: Any,
        now_us: int,
    ) -> bytes:
        """Return a row's event, or that of a truncated table; it has been counted before."""
        source = transaction.source(relation.shape.pg_schema, relation.shape.table)
        block = None
        if self._options.transaction_metadata:
            block = transaction_block(transaction, lsn, relation.collection)
        return relation.encode_value(self._envelope(source, lsn, op, before, after, block, now_us))

    def read(
        self, relation: ConnectRelation, source: Source, lsn: Lsn | None, after: Any, now_us: int
    ) -> bytes:
        """Return a row's event that was read by a snapshot."""
        return relation.encode_value(self._envelope(source, lsn, "r", None, after, None, now_us))

    def message(
        self, place: OpenTransaction | Source, message: LogicalMessage, lsn: Lsn, now_us: int
    ) -> tuple[bytes, bytes]:
        """Return key and value of a message's event; one without transaction has a Source."""
        block = None
        source = place if isinstance(place, Source) else place.source("", "")
        if self._options.transaction_metadata and not isinstance(place, Source):
            block = transaction_block(place, lsn, MESSAGES_COLLECTION)
        value = {
            "op": "m",
            "ts_ms": now_us // 1000,
            "source": source_value(self._options.server, source, lsn),
            "transaction": block,
            "message": {
                "prefix": message.prefix,
                "content": self._content.encode(message.content),
            },
        }
        topic = self._topics.message
        return self._record(
            topic,
            MESSAGE_KEY,
            {"prefix": message.prefix},
            message_value(self._content.schema),
            value,
        )

    def begin(self, transaction: OpenTransaction) -> tuple[bytes, bytes]:
        """Return key and value that announce a transaction."""
        return self._metadata(begin_value(transaction))

    def end(self, transaction: OpenTransaction, lsn: Lsn) -> tuple[bytes, bytes]:
        """Return key and value that say a transaction is complete."""
        return self._metadata(end_value(transaction, lsn))

    def heartbeat(self, now_us: int) -> tuple[bytes, bytes]:
        """Return key and value of a heartbeat."""
        key = {"serverName": self._options.server.topic_prefix}
        value = {"ts_ms": now_us // 1000}
        return self._record(self._topics.heartbeat, HEARTBEAT_KEY, key, HEARTBEAT_VALUE, value)

    def _metadata(self, value: dict[str, Any]) -> tuple[bytes, bytes]:
        topic = self._topics.transaction
        return self._record(topic, TRANSACTION_KEY, {"id": value["id"]}, TRANSACTION_VALUE, value)

    def _record(
        self,
        topic: str,
        key_schema: ConnectSchema,
        key: Any,
        value_schema: ConnectSchema,
        value: Any,
    ) -> tuple[bytes, bytes]:
        encode_key = self._encoder(self._keys, topic, key_schema, is_key=True)
        encode_value = self._encoder(self._values, topic, value_schema, is_key=False)
        return encode_key(key), encode_value(value)

    def _encoder(
        self, serializer: Serializer, topic: str, schema: ConnectSchema, *, is_key: bool
    ) -> Encode:
        encode = self._encoders.get((topic, is_key))
        if encode is None:
            encode = self._encoders[topic, is_key] = serializer.encoder(
                topic, schema, is_key=is_key
            )
        return encode

    def _envelope(
        self,
        source: Source,
        lsn: Lsn | None,
        op: str,
        before: Any,
        after: Any,
        block: dict[str, Any] | None,
        now_us: int,
    ) -> dict[str, Any]:
        return {
            "before": before,
            "after": after,
            "source": source_value(self._options.server, source, lsn),
            "transaction": block,
            "op": op,
            "ts_ms": now_us // 1000,
            "ts_us": now_us,
            "ts_ns": now_us * 1000,
        }


def _codec(column: ShapedColumn, options: WriterOptions) -> CellCodec:
    kind, schema, rule = column.type, column.schema, column.rule
    if kind is None or schema is None:
        return LEFT_OUT
    null = None
    if options.replace_null_with_default and schema.optional:
        null = schema.default
    if rule is None:
        return CellCodec(kind, kind.parse, null, kind.unavailable)
    if rule.of_null is not None:
        null = rule.of_null
    parse, of_value = kind.parse, rule.of_value
    return CellCodec(kind, lambda text: of_value(parse(text)), null, of_value(kind.unavailable))
