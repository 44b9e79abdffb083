"""Write events as JSON, with or without their schemas. Pure.

What Connect's JsonConverter writes. Most of an event is the same for a transaction, a table or
a batch: those parts are made once, and an event is one formatting of them with the row's cells.
Everything is Text (see `row_codec`) until the last step, which also refuses what is not UTF-8.

`connect_events` writes the same from values, slower and in any format; a property holds the two
together.
"""

from __future__ import annotations

from typing import Any

import orjson

from producer.cell_forms import CellForm
from producer.connect_schema import STRUCT, ConnectSchema, encode_json, json_value, schema_node
from producer.envelope_schema import (
    HEARTBEAT_KEY,
    HEARTBEAT_VALUE,
    MESSAGE_KEY,
    TRANSACTION_KEY,
    TRANSACTION_VALUE,
    envelope_schema,
    message_value,
)
from producer.errors import MalformedMessage
from producer.event_source import Source, SourceText, place_of, source_value
from producer.event_writer import (
    CONTENT_FORMS,
    EventWriter,
    RelationEvents,
    WriterOptions,
)
from producer.json_rows import JsonFields, JsonObject, JsonRows, RowEvent
from producer.key_headers import KeyHeader
from producer.open_transaction import OpenTransaction
from producer.pgoutput import LogicalMessage
from producer.relations import RelationRows
from producer.row_codec import (
    LEFT_OUT,
    MALFORMED,
    CellCodec,
    Cells,
    Text,
    json_cell_codec,
)
from producer.table_shape import ShapedColumn, TableShape
from schemas.change_id import Lsn
from schemas.topics import MESSAGES_COLLECTION

MOST_NAMES = 10_000
"""Names kept as JSON, of tables and of prefixes, which a program may invent for ever."""


class JsonRelation(RelationEvents):
    """One relation's rows and keys as JSON Text."""

    def __init__(self, shape: TableShape, topic: str, options: WriterOptions) -> None:
        codecs = [_codec(column, options) for column in shape.columns]
        rows = RelationRows(shape, codecs, options.on_conversion_failure)
        super().__init__(shape, topic, rows, options, null="null")
        self.place = place_of(shape.pg_schema, shape.table)
        names = [_text(options.adjust_field_name(column.name)) for column in shape.columns]
        row = JsonFields(tuple((names[number], number) for number in shape.written))
        key = JsonFields(tuple((names[number], number) for number in shape.key))
        before = _old_fields(shape, row, options)
        self._row = JsonObject(row)
        self._before = JsonObject(before)
        self._key = self._old_key = None
        keys = None
        if shape.key:
            keys = key, _with_zeros(shape, key) if options.modes.debezium_values else key
            self._key, self._old_key = (JsonObject(fields) for fields in keys)
        self._rows = JsonRows(codecs, row, before, keys)
        adjust = options.adjust_schema_name
        self.key_frame = _NO_FRAME
        key_schema = shape.key_schema(adjust(f"{topic}.Key"), options.adjust_field_name)
        if options.key_schemas and key_schema is not None:
            self.key_frame = _frame(key_schema)
        self.key_header = None if key_schema is None else KeyHeader(key_schema)
        self.value_frame = _NO_FRAME
        if options.value_schemas:
            row_schema = shape.row_schema(adjust(f"{topic}.Value"), options.adjust_field_name)
            self.value_frame = _frame(envelope_schema(adjust(f"{topic}.Envelope"), row_schema))

    def event(self, data: bytes, text: Text, at: int) -> RowEvent:
        """Return what the row message that begins at `at` says."""
        try:
            return self._rows.event(data, text, at)
        except MALFORMED:
            # Or not made for it: the slow way knows.
            return super().event(data, text, at)

    def key(self, cells: Cells) -> Text | None:
        """Return the row's key as a JSON object in the key's order, or None without a key."""
        return None if self._key is None else self._key.write(cells)

    def old_key(self, cells: Cells, is_full: bool) -> Text | None:
        """Return an old row's key: of all of it, or of what was sent."""
        if is_full or self._old_key is None:
            return self.key(cells)
        return self._old_key.write(cells)

    def row(self, cells: Cells) -> Text:
        """Return the whole row as a JSON object."""
        return self._row.write(cells)

    def before(self, cells: Cells, is_full: bool) -> Text:
        """Return the old row as a JSON object: whole, or what was sent of it."""
        return self._row.write(cells) if is_full else self._before.write(cells)


class JsonEvents(EventWriter):
    """Writes the keys and values of one output as JSON."""

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._content = CONTENT_FORMS[options.modes.binary_handling_mode]
        self._frames = {
            kind: (
                _frame(key) if options.key_schemas else _NO_FRAME,
                _frame(value) if options.value_schemas else _NO_FRAME,
            )
            for kind, key, value in (
                ("message", MESSAGE_KEY, message_value(self._content.schema)),
                ("transaction", TRANSACTION_KEY, TRANSACTION_VALUE),
                ("heartbeat", HEARTBEAT_KEY, HEARTBEAT_VALUE),
            )
        }
        self._transaction: OpenTransaction | None = None
        self._source = SourceText(options.server)
        self._names: dict[str, Text] = {}
        self._clock_us = -1
        self._clock = ""

    def relation(self, shape: TableShape, topic: str) -> JsonRelation:
        """Return the relation's rows and keys in this output."""
        return JsonRelation(shape, topic, self._options)

    def key(self, relation: JsonRelation, key: Text | None) -> bytes | None:
        """Return a row's key."""
        if key is None:
            return None
        head, tail = relation.key_frame
        return encode_text(f"{head}{key}{tail}" if head else key)

    def key_header(self, relation: JsonRelation, key: Text) -> bytes:
        """Return a row's key as the value of a header: the other half of a changed key."""
        header, encoded = relation.key_header, encode_text(key)
        return encoded if header is None or header.is_as_json else header.of_json(encoded)

    def change(
        self,
        relation: JsonRelation,
        transaction: OpenTransaction,
        lsn: Lsn,
        op: str,
        before: Text,
        after: Text,
        now_us: int,
    ) -> bytes:
        """Return a row's event, or that of a truncated table; it has been counted before."""
        if transaction is not self._transaction:
            self._begin(transaction)
        if now_us != self._clock_us:
            self._clock_us = now_us
            self._clock = _clock(now_us)
        place = str(lsn)
        block = "null"
        if self._options.transaction_metadata:
            block = (
                f'{{"id":"{transaction.xid}:{place}","total_order":{transaction.total_order},'
                f'"data_collection_order":{transaction.counts[relation.collection]}}}'
            )
        open_, close = relation.value_frame
        text = (
            f'{open_}{{"before":{before},"after":{after},'
            f'"source":{self._source.block(relation.place, place)},'
            f'"transaction":{block},"op":"{op}",{self._clock}{close}'
        )
        return encode_text(text)

    def read(
        self, relation: JsonRelation, source: Source, lsn: Lsn | None, after: Text, now_us: int
    ) -> bytes:
        """Return a row's event that was read by a snapshot."""
        head, tail = self.read_frame(relation, source, lsn, now_us)
        return encode_text(f"{head}{after}{tail}")

    def read_frame(
        self, relation: JsonRelation, source: Source, lsn: Lsn | None, now_us: int
    ) -> tuple[Text, Text]:
        """Return what stands before and behind the row in the events of a snapshot."""
        block = orjson.dumps(source_value(self._options.server, source, lsn)).decode("latin-1")
        open_, close = relation.value_frame
        return (
            f'{open_}{{"before":null,"after":',
            f',"source":{block},"transaction":null,"op":"r",{_clock(now_us)}{close}',
        )

    def message(
        self, place: OpenTransaction | Source, message: LogicalMessage, lsn: Lsn, now_us: int
    ) -> tuple[bytes, bytes]:
        """Return key and value of a message's event; one without transaction has a Source."""
        block = "null"
        at = str(lsn)
        if isinstance(place, Source):
            self._transaction = None
            self._source.begin(
                place.ts_us, place.last_commit_lsn, place.xid, place.xmin, place.origin
            )
        else:
            if place is not self._transaction:
                self._begin(place)
            if self._options.transaction_metadata:
                block = (
                    f'{{"id":"{place.xid}:{at}","total_order":{place.total_order},'
                    f'"data_collection_order":{place.counts[MESSAGES_COLLECTION]}}}'
                )
        prefix = self._name(message.prefix)
        value = (
            f'{{"op":"m","ts_ms":{now_us // 1000},"source":{self._source.block(_NO_TABLE, at)},'
            f'"transaction":{block},"message":{{"prefix":{prefix},'
            f'"content":"{self._content.encode_json(message.content)}"}}}}'
        )
        return self._record("message", f'{{"prefix":{prefix}}}', value)

    def begin(self, transaction: OpenTransaction) -> tuple[bytes, bytes]:
        """Return key and value that announce a transaction."""
        name = f'"{transaction.xid}:{transaction.begin_lsn}"'
        value = (
            f'{{"status":"BEGIN","id":{name},"event_count":null,"data_collections":null,'
            f'"ts_ms":{transaction.begin.commit_time_us // 1000}}}'
        )
        return self._record("transaction", f'{{"id":{name}}}', value)

    def end(self, transaction: OpenTransaction, lsn: Lsn) -> tuple[bytes, bytes]:
        """Return key and value that say a transaction is complete."""
        name = f'"{transaction.xid}:{lsn}"'
        collections = ",".join(
            [
                f'{{"data_collection":{self._name(collection)},"event_count":{count}}}'
                for collection, count in transaction.counts.items()
            ]
        )
        value = (
            f'{{"status":"END","id":{name},"event_count":{transaction.total_order},'
            f'"data_collections":[{collections}],'
            f'"ts_ms":{transaction.begin.commit_time_us // 1000}}}'
        )
        return self._record("transaction", f'{{"id":{name}}}', value)

    def heartbeat(self, now_us: int) -> tuple[bytes, bytes]:
        """Return key and value of a heartbeat."""
        key = f'{{"serverName":{self._name(self._options.server.topic_prefix)}}}'
        return self._record("heartbeat", key, f'{{"ts_ms":{now_us // 1000}}}')

    def _begin(self, transaction: OpenTransaction) -> None:
        self._transaction = transaction
        begin = transaction.begin
        self._source.begin(
            begin.commit_time_us,
            transaction.last_commit_lsn,
            begin.xid,
            transaction.xmin,
            transaction.origin,
        )

    def _name(self, name: str) -> Text:
        """Return a name as a JSON string; there are few, and each comes often."""
        text = self._names.get(name)
        if text is None:
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            text = self._names[name] = _text(name)
        return text

    def _record(self, kind: str, key: Text, value: Text) -> tuple[bytes, bytes]:
        (open_key, close_key), (open_, close) = self._frames[kind]
        if open_key:
            key = f"{open_key}{key}{close_key}"
        if open_:
            value = f"{open_}{value}{close}"
        return encode_text(key), encode_text(value)


def json_record(schema: ConnectSchema, value: Any, *, with_schema: bool) -> bytes:
    """Return a key or a value as JsonConverter writes it."""
    if not with_schema:
        return encode_json(schema, value)
    return orjson.dumps({"schema": schema_node(schema), "payload": json_value(schema, value)})


def encode_text(text: Text) -> bytes:
    """Return the bytes of a Text; raises MalformedMessage where they are no UTF-8."""
    encoded = text.encode("latin-1")
    if not text.isascii():
        try:
            encoded.decode()
        except UnicodeDecodeError as error:
            raise MalformedMessage(f"a value is not UTF-8: {error.reason}") from None
    return encoded


def _codec(column: ShapedColumn, options: WriterOptions) -> CellCodec:
    kind, schema, rule = column.type, column.schema, column.rule
    if kind is None or schema is None:
        return LEFT_OUT
    null = unavailable = "null"
    if options.replace_null_with_default and schema.optional and schema.default is not None:
        null = _value_text(schema, schema.default)
    if rule is None:
        if kind.unavailable is not None:
            unavailable = _value_text(schema, kind.unavailable)
        return json_cell_codec(kind, null=null, unavailable=unavailable)
    if rule.of_null is not None:
        null = _value_text(schema, rule.of_null)
    if kind.unavailable is not None:
        unavailable = _value_text(schema, rule.of_value(kind.unavailable))
    parse, of_value = kind.parse, rule.of_value
    form = CellForm(lambda text: _value_text(schema, of_value(parse(text))))
    return CellCodec(kind, form.encode, null, unavailable, form)


def _old_fields(shape: TableShape, row: JsonFields, options: WriterOptions) -> JsonFields:
    """Return the fields of a row of which only the identity was sent."""
    if not options.modes.debezium_values:
        if options.value_schemas:
            return row  # The columns that were not sent are optional there, and null.
        # The other columns are left out: a null would say that they were null.
        return JsonFields(
            tuple(
                (name, number)
                for name, number in row.fields
                if isinstance(number, int) and shape.columns[number].is_identity
            )
        )
    return _with_zeros(shape, row)


def _with_zeros(shape: TableShape, written: JsonFields) -> JsonFields:
    """Return the fields with what Debezium invents for those that were not sent."""
    fields: list[tuple[Text, int | Text]] = []
    for name, number in written.fields:
        column = shape.columns[int(number)]
        if column.is_identity or column.schema is None or column.zero is None:
            fields.append((name, number))
        else:
            fields.append((name, _value_text(column.schema, column.zero)))
    return JsonFields(tuple(fields))


def _value_text(schema: ConnectSchema, value: Any) -> Text:
    return encode_json(schema, value).decode("latin-1")


def _text(value: str) -> Text:
    return orjson.dumps(value).decode("latin-1")


_NO_FRAME = ("", "")
_NO_TABLE = place_of("", "")  # A message is about none.


def _frame(schema: ConnectSchema) -> tuple[Text, Text]:
    """Return what stands around a payload that carries its schema."""
    if schema.type != STRUCT:
        raise ValueError("a record is a struct")
    return f'{{"schema":{orjson.dumps(schema_node(schema)).decode("latin-1")},"payload":', "}"


def _clock(now_us: int) -> Text:
    return f'"ts_ms":{now_us // 1000},"ts_us":{now_us},"ts_ns":{now_us}000}}'
