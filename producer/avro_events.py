"""Write events as Avro, keys and values. Pure, but for what the registry does once a table.

The fast twin of `connect_events`, which writes the same bytes from Connect values: here a cell
is Avro's bytes, a row is its cells one after the other, and whatever is the same for a
transaction, a table or a batch is encoded once. A property holds the two together.
"""

from __future__ import annotations

import io
import json
from typing import Any, Final

import fastavro

from producer.avro_encoding import (
    UNWRITABLE,
    Encode,
    branches,
    encode_long,
    encode_utf8,
    encoder,
    field_encoders,
    required_encoder,
)
from producer.avro_format import avro_json
from producer.avro_serializer import AvroSerializer, AvroWriter
from producer.column_types.column_type import ColumnType, Parse
from producer.column_types.numbers import parse_boolean
from producer.column_types.strings import parse_string
from producer.connect_events import ConnectEvents
from producer.connect_schema import STRING, ConnectSchema
from producer.envelope_schema import SOURCE, envelope_schema
from producer.errors import ValueNotConvertible
from producer.event_source import Server, Source, source_value
from producer.event_writer import RelationEvents, WriterOptions
from producer.key_headers import KeyHeader
from producer.open_transaction import OpenTransaction
from producer.relations import RelationRows
from producer.row_codec import LEFT_OUT, CellCodec, Cells
from producer.table_shape import ShapedColumn, TableShape
from schemas.change_id import Lsn
from schemas.topics import Topics

_NULL: Final = b"\x00"
_SOME: Final = b"\x02"
"""The branches of an optional field without a default, as all of the envelope's own are."""

_SHORT_TEXT: Final = 64
_MOST_KEPT: Final = 256
"""Bytes; longer values are not worth their memory."""

_SOURCE_FIELDS: Final = field_encoders(SOURCE)
_BEFORE_SEQUENCE: Final = ("version", "connector", "name", "ts_ms", "snapshot", "db")
_BEFORE_LSN: Final = ("ts_us", "ts_ns", "schema", "table", "txId")
_BEHIND_LSN: Final = ("xmin", "origin", "origin_lsn")

SourceParts = tuple[bytes, str, bytes, bytes]
"""A source block around the two places of the LSN: before `sequence`, the beginning of its
text, before `lsn`, behind it."""


class AvroRelation(RelationEvents):
    """One relation's rows and keys as Avro's bytes; a row has the branch of its union before it."""

    def __init__(
        self, shape: TableShape, topic: str, options: WriterOptions, serializer: AvroSerializer
    ) -> None:
        codecs = [_codec(column, options) for column in shape.columns]
        rows = RelationRows(shape, codecs, options.on_conversion_failure)
        super().__init__(shape, topic, rows, options, null=_NULL)
        self._written = shape.written
        self._is_whole = len(self._written) == len(shape.columns)
        if options.modes.debezium_values:
            # A column without a zero is nullable.
            self.invented = tuple(
                codec.null if column.zero is None else _zero(column)
                for column, codec in zip(shape.columns, codecs, strict=True)
            )
        adjust = options.adjust_schema_name
        self.key_schema = shape.key_schema(adjust(f"{topic}.Key"), options.adjust_field_name)
        self.key_writer: AvroWriter | None = None
        self.key_header: KeyHeader | None = None
        if self.key_schema is not None:
            self.key_header = KeyHeader(self.key_schema)
            self.key_writer = serializer.schema(topic, self.key_schema, is_key=True)
        row_schema = shape.row_schema(adjust(f"{topic}.Value"), options.adjust_field_name)
        envelope = envelope_schema(adjust(f"{topic}.Envelope"), row_schema)
        self.header = serializer.schema(topic, envelope).header

    def key(self, cells: Cells) -> bytes | None:
        """Return the row's key, or None without a key."""
        if self.key_writer is None:
            return None
        return self._join([cells[number] for number in self.shape.key])

    def row(self, cells: Cells) -> bytes:
        """Return the whole row."""
        if self._is_whole:
            return _SOME + self._join(cells)
        return _SOME + self._join([cells[number] for number in self._written])

    def _join(self, cells: Cells | list[Any]) -> bytes:
        try:
            return b"".join(cells)
        except TypeError as error:
            table = f"{self.shape.pg_schema}.{self.shape.table}"
            raise ValueNotConvertible(
                f"a row of {table} lacks the value of a column that may not be null, and Avro has "
                "no form for that: give the table REPLICA IDENTITY FULL, or set "
                "event.converting.failure.handling.mode=fail to see which value has no form"
            ) from error


class AvroEvents(ConnectEvents):
    """Writes the keys and values of one output as Avro."""

    def __init__(self, options: WriterOptions, topics: Topics, serializer: AvroSerializer) -> None:
        super().__init__(options, topics, serializer, serializer)
        self._avro = serializer
        self._transaction: OpenTransaction | None = None
        self._parts_by_relation: dict[int, SourceParts] = {}
        self._clock_us = -1
        self._clock = b""
        self._read_of: tuple[Source, Lsn | None] | None = None
        self._read_source = b""

    def relation(self, shape: TableShape, topic: str) -> AvroRelation:  # type: ignore[override]
        """Return the relation's rows and keys in this output."""
        self._parts_by_relation.pop(shape.oid, None)
        return AvroRelation(shape, topic, self._options, self._avro)

    def key(self, relation: Any, key: bytes | None) -> bytes | None:  # type: ignore[override]
        """Return a row's key."""
        if key is None:
            return None
        header: bytes = relation.key_writer.header
        return header + key

    def key_header(self, relation: Any, key: bytes) -> bytes:  # type: ignore[override]
        """Return a row's key as the value of a header: the other half of a changed key."""
        header: bytes = relation.key_header.of_value(_decoded(relation.key_schema, key))
        return header

    def change(
        self,
        relation: Any,
        transaction: OpenTransaction,
        lsn: Lsn,
        op: str,
        before: bytes,
        after: bytes,
        now_us: int,
    ) -> bytes:
        """Return a row's event, or that of a truncated table; it has been counted before."""
        if transaction is not self._transaction:
            self._transaction = transaction
            self._parts_by_relation.clear()
        shape = relation.shape
        parts = self._parts_by_relation.get(shape.oid)
        if parts is None:
            source = transaction.source(shape.pg_schema, shape.table)
            parts = self._parts_by_relation[shape.oid] = _parts(self._options.server, source)
        head, sequence, middle, tail = parts
        place = str(lsn)
        if self._options.transaction_metadata:
            block = b"\x02%b%b%b" % (
                encode_utf8(f"{transaction.xid}:{place}".encode()),
                encode_long(transaction.total_order),
                encode_long(transaction.counts[relation.collection]),
            )
        else:
            block = _NULL
        if now_us != self._clock_us:
            self._clock_us, self._clock = now_us, _clock(now_us)
        # In the order of the envelope's fields.
        return b"".join(
            (
                relation.header,
                before,
                after,
                head,
                encode_utf8(f'{sequence}{place}"]'.encode()),
                middle,
                encode_long(lsn),
                tail,
                block,
                _OPERATIONS[op],
                self._clock,
            )
        )

    def read(
        self, relation: Any, source: Source, lsn: Lsn | None, after: bytes, now_us: int
    ) -> bytes:
        """Return a row's event that was read by a snapshot."""
        if (source, lsn) != self._read_of:
            self._read_of = source, lsn
            self._read_source = _SOURCE_ENCODER(source_value(self._options.server, source, lsn))
        if now_us != self._clock_us:
            self._clock_us, self._clock = now_us, _clock(now_us)
        header: bytes = relation.header
        return b"".join(
            (header, _NULL, after, self._read_source, _NULL, _OPERATIONS["r"], self._clock)
        )


_SOURCE_ENCODER: Final = encoder(SOURCE)
_OPERATIONS: Final = {op: encode_utf8(op.encode()) for op in ("c", "u", "d", "r", "t")}


def _codec(column: ShapedColumn, options: WriterOptions) -> CellCodec:
    kind, schema, rule = column.type, column.schema, column.rule
    if kind is None or schema is None:
        return LEFT_OUT
    null_value = unavailable = None
    if options.replace_null_with_default and schema.optional:
        null_value = schema.default
    if rule is not None:
        parse, of_value = kind.parse, rule.of_value
        encode = _value_encoder(schema, lambda text: of_value(parse(text)))
        if kind.unavailable is not None:
            unavailable = of_value(kind.unavailable)
        if rule.of_null is not None:
            null_value = rule.of_null
    else:
        encode = _cell_encoder(schema, kind)
        unavailable = kind.unavailable
    return CellCodec(kind, encode, _cell(schema, null_value), _cell(schema, unavailable))


def _cell_encoder(schema: ConnectSchema, kind: ColumnType) -> Encode:
    _, some = branches(schema)
    if kind.parse is parse_string:
        return _text_encoder(some)
    if kind.parse is parse_boolean:
        return {b"t": some + b"\x01", b"f": some + b"\x00"}.__getitem__
    if schema.type == STRING:
        return _written_text_encoder(some, kind)
    return _value_encoder(schema, kind.parse)


def _value_encoder(schema: ConnectSchema, parse: Parse) -> Encode:
    _, some = branches(schema)
    write = required_encoder(schema)
    last: bytes | None = None
    cell = b""

    def encode(text: bytes) -> bytes:
        nonlocal last, cell
        # With the whole old row sent, most values come twice, one right after the other.
        if text == last:
            return cell
        value = parse(text)
        try:
            encoded = some + write(value)
        except UNWRITABLE as error:
            raise ValueError(
                f"{type(value).__name__} is no {schema.name or schema.type}"
            ) from error
        if len(text) < _MOST_KEPT:
            last, cell = text, encoded
        return encoded

    return encode


def _text_encoder(some: bytes) -> Encode:
    """Return the encoder of strings that takes their UTF-8 and does not decode it."""
    heads = [some + encode_long(length) for length in range(_SHORT_TEXT)]

    def encode(text: bytes) -> bytes:
        if not text.isascii():
            text.decode()  # Raises where it is no UTF-8.
        length = len(text)
        return heads[length] + text if length < _SHORT_TEXT else some + encode_utf8(text)

    return encode


def _written_text_encoder(some: bytes, kind: ColumnType) -> Encode:
    """Return the encoder of strings that are not PostgreSQL's text, such as a time in ISO 8601.

    By way of their JSON, which types write in a quarter of the time that parsing takes.
    """
    encode_json, parse = kind.encode_json, kind.parse

    def encode(text: bytes) -> bytes:
        quoted = encode_json(text)
        # Without an escape the string is what is between the quotes.
        return some + encode_utf8(parse(text).encode() if b"\\" in quoted else quoted[1:-1])

    return encode


def _cell(schema: ConnectSchema, value: Any) -> bytes | None:
    """Return the cell of what stands for a value; None where the schema has no form for that.

    No row can be made with it: a null that is not allowed, a placeholder that is no number.
    """
    try:
        return encoder(schema)(value)
    except ValueError:
        return None


def _zero(column: ShapedColumn) -> bytes | None:
    return None if column.schema is None else _cell(column.schema, column.zero)


def _parts(server: Server, source: Source) -> SourceParts:
    value = source_value(server, source, None)
    last = "null" if source.last_commit_lsn is None else f'"{source.last_commit_lsn}"'
    return (
        _fields(value, _BEFORE_SEQUENCE) + _SOME,
        f'[{last},"',
        _fields(value, _BEFORE_LSN) + _SOME,
        _fields(value, _BEHIND_LSN),
    )


def _fields(value: dict[str, Any], names: tuple[str, ...]) -> bytes:
    return b"".join(_SOURCE_FIELDS[name](value[name]) for name in names)


def _clock(now_us: int) -> bytes:
    times = (now_us // 1000, now_us, now_us * 1000)
    return b"".join(_SOME + encode_long(time) for time in times)


def _decoded(schema: ConnectSchema, key: bytes) -> Any:
    """Return a key's value again: only an update that changes the key needs it."""
    parsed = fastavro.parse_schema(_plain(json.loads(avro_json(schema))))
    return fastavro.schemaless_reader(io.BytesIO(key), parsed, None)


def _plain(schema: Any) -> Any:
    """Return the schema without logical types, which would become Python's dates and decimals."""
    if isinstance(schema, dict):
        return {name: _plain(part) for name, part in schema.items() if name != "logicalType"}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema
