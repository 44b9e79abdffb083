"""Events in Avro: the fast way writes the bytes that the way over Connect values writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from producer import pgoutput
from producer.avro_events import AvroEvents
from producer.avro_serializer import AvroSerializer
from producer.column_types.column_type import READABLE, TypeFacts, ValueModes
from producer.configuration.column_rules import ColumnRule
from producer.connect_events import ConnectEvents
from producer.event_source import Server, Source
from producer.event_writer import EventWriter, RelationEvents, WriterOptions
from producer.name_adjustment import field_name_adjuster, schema_name_adjuster
from producer.open_transaction import OpenTransaction
from producer.pgoutput import Begin, LogicalMessage, Origin
from producer.table_shape import CatalogColumn, CatalogFacts, TableRules, shape
from schemas.change_id import Lsn, Xid
from schemas.topics import Topics
from tests.unit.producer import pgoutput_bytes as wire
from tests.unit.producer.pgoutput_bytes import UNCHANGED

OID = 5
# A lossless mode has a text for each type's value that was not sent, which Avro cannot have.
READABLE_TYPED = replace(READABLE, lossless=False)
TOPICS = Topics("shop")
TOPIC = "shop.public.todo"
storable = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
texts = st.text(storable, max_size=12).map(str.encode)
numbers = st.integers(-(2**31), 2**31 - 1).map(lambda number: str(number).encode())
decimals = st.decimals(-1000, 1000, places=2).map(lambda number: f"{number:f}".encode())
# Oid, name, modifier, values as PostgreSQL writes them, defaults as the catalogue does.
TYPES: list[tuple[int, str, int, st.SearchStrategy[bytes], list[str | None]]] = [
    (25, "text", -1, texts, [None, "'none'::text"]),
    (23, "int4", -1, numbers, [None, "7"]),
    (20, "int8", -1, numbers, [None, "0"]),
    (16, "bool", -1, st.sampled_from([b"t", b"f"]), [None, "true"]),
    (1700, "numeric", (8 << 16 | 2) + 4, decimals, [None, "1.50"]),
    (1700, "numeric", -1, decimals, [None]),
    (701, "float8", -1, st.sampled_from([b"1.5", b"-0", b"NaN", b"Infinity"]), [None, "2.5"]),
    (17, "bytea", -1, st.binary(max_size=5).map(lambda raw: b"\\x" + raw.hex().encode()), [None]),
    (3802, "jsonb", -1, st.sampled_from([b"{}", b'{"a": "\xc3\xa9"}']), [None]),
    (1184, "timestamptz", -1, st.sampled_from([b"2024-02-29 01:02:03+00", b"infinity"]), [None]),
    (1114, "timestamp", -1, st.sampled_from([b"2024-02-29 01:02:03.5"]), [None]),
]
STORED_APART = ("text", "bytea", "jsonb")
"""Of those that a value may be missing of because it was not changed."""
lsns = st.integers(1, 2**63 - 1).map(Lsn)
times = st.integers(0, 2**53)
origins = st.none() | st.builds(Origin, lsns, st.text(max_size=5))


class Registry:
    """Gives an id to each schema, the same for the same."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}

    def id_of(self, subject: str, schema: str) -> int:
        return self._ids.setdefault((subject, schema), len(self._ids) + 1)


class Writers:
    """Both ways, with one registry."""

    def __init__(self, options: WriterOptions) -> None:
        serializer = AvroSerializer(Registry())
        self.fast: EventWriter = AvroEvents(options, TOPICS, serializer)
        self.generic: EventWriter = ConnectEvents(options, TOPICS, serializer, serializer)


@st.composite
def options(draw: st.DrawFn) -> WriterOptions:
    modes = draw(st.sampled_from([ValueModes(), READABLE_TYPED, ValueModes(debezium_values=True)]))
    return WriterOptions(
        Server("shop", draw(st.text(max_size=5))),
        modes,
        transaction_metadata=draw(st.booleans()),
        replace_null_with_default=draw(st.booleans()),
        adjust_schema_name=schema_name_adjuster("avro"),
        adjust_field_name=field_name_adjuster("avro"),
    )


@st.composite
def transactions(draw: st.DrawFn) -> OpenTransaction:
    begin = Begin(draw(lsns), draw(times), Xid(draw(st.integers(1, 2**32 - 1))))
    transaction = OpenTransaction(begin, draw(lsns), draw(st.none() | lsns))
    transaction.origin = draw(origins)
    return transaction


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Any], pgoutput.Relation, CatalogFacts]:
    """Return the columns' types, and what the stream and the catalogue say of them."""
    kinds = [TYPES[1], *draw(st.lists(st.sampled_from(TYPES), max_size=5))]
    identity = draw(st.sampled_from("df"))
    described = [
        (f"c-{number}", kind[0], identity == "f" or number == 0)
        for number, kind in enumerate(kinds)
    ]
    message = pgoutput.decode(wire.relation(OID, "public", "todo", described, identity))
    assert isinstance(message, pgoutput.Relation)
    columns = tuple(
        column.__class__(column.name, column.type_oid, kind[2], column.is_identity)
        for column, kind in zip(message.columns, kinds, strict=True)
    )
    relation = message.__class__(
        message.oid, message.pg_schema, message.table, message.replica_identity, columns
    )
    facts = CatalogFacts(
        key=draw(st.sampled_from([(), ("c-0",)])) if identity == "f" else ("c-0",),
        columns={
            f"c-{number}": CatalogColumn(
                number == 0 or draw(st.booleans()), draw(st.sampled_from(kind[4]))
            )
            for number, kind in enumerate(kinds)
        },
        types={kind[0]: TypeFacts(kind[0], "pg_catalog", kind[1]) for kind in kinds},
    )
    return kinds, relation, facts


def rows(kinds: list[Any], facts: CatalogFacts) -> st.SearchStrategy[list[Any]]:
    return st.tuples(
        *(
            kind[3] if facts.columns[f"c-{number}"].not_null else st.none() | kind[3]
            for number, kind in enumerate(kinds)
        )
    ).map(list)


@settings(deadline=None)  # It compiles code for each table.
@given(st.data(), options(), tables(), transactions())
def test_both_ways_write_the_same_event(
    data: st.DataObject,
    options: WriterOptions,
    table: tuple[list[Any], pgoutput.Relation, CatalogFacts],
    transaction: OpenTransaction,
) -> None:
    kinds, relation, facts = table
    masked = data.draw(st.booleans())
    mask = ColumnRule({}, lambda _text: "***", lambda _raw: b"", of_null="***") if masked else None
    rules = TableRules(
        captures_column=lambda name: name != "c-1",
        rule_for=lambda column: mask if column.type_oid == 25 else None,
    )
    table_shape = shape(relation, facts, options.modes, rules)
    writers = Writers(options)
    sides = [
        (writer, writer.relation(table_shape, TOPIC)) for writer in (writers.fast, writers.generic)
    ]
    full = relation.replica_identity is pgoutput.ReplicaIdentity.FULL
    new, old = data.draw(rows(kinds, facts)), data.draw(rows(kinds, facts))
    identity = old if full else [old[0], *(None for _ in old[1:])]
    unchanged = [
        data.draw(st.sampled_from([value, UNCHANGED])) if kind[1] in STORED_APART else value
        for kind, value in zip(kinds, new, strict=True)
    ]
    for message in (
        wire.insert(OID, new),
        wire.update(OID, None, new),
        wire.update(OID, identity, unchanged, is_full=full),
        wire.delete(OID, identity, is_full=full),
    ):
        lsn, now = data.draw(lsns), data.draw(times)
        transaction.count_event("public.todo")
        fast, generic = (
            written(writer, events, transaction, message, lsn, now) for writer, events in sides
        )
        assert fast == generic
    source = Source(data.draw(times), "public", "todo", "true", xid=5)
    for place in data.draw(st.lists(st.none() | lsns, max_size=3)):
        reads = [
            writer.read(events, source, place, events.row(events.rows.from_texts(new)), 7)
            for writer, events in sides
        ]
        assert reads[0] == reads[1]


def written(
    writer: EventWriter,
    relation: RelationEvents,
    transaction: OpenTransaction,
    message: bytes,
    lsn: Lsn,
    now: int,
) -> list[bytes | None]:
    """Return everything that the message becomes."""
    text = message.decode("latin-1")
    op, old_key, key, before, after = relation.event(message, text, 0)
    return [
        writer.key(relation, old_key),
        writer.key(relation, key),
        None if key is None else writer.key_header(relation, key),
        writer.change(relation, transaction, lsn, op, before, after, now),
    ]


@given(options(), transactions(), lsns, times, st.binary(max_size=5))
def test_both_ways_write_the_same_beside_the_tables(
    options: WriterOptions, transaction: OpenTransaction, lsn: Lsn, now: int, content: bytes
) -> None:
    writers = Writers(options)
    message = LogicalMessage(True, lsn, "p", content)
    transaction.count_event("LOGICAL_DECODING_MESSAGE")
    fast, generic = (
        [
            writer.message(transaction, message, lsn, now),
            writer.begin(transaction),
            writer.end(transaction, lsn),
            writer.heartbeat(now),
        ]
        for writer in (writers.fast, writers.generic)
    )
    assert fast == generic
