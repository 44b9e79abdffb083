"""Row messages as events: any row survives, every way gives the same, no bytes surprise."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer import pgoutput
from producer.column_types.column_type import READABLE, TypeFacts, ValueModes
from producer.configuration.column_rules import ColumnRules
from producer.connect_events import ConnectEvents, ConnectRelation, JsonSerializer
from producer.errors import MalformedMessage, ValueNotConvertible
from producer.event_source import Server
from producer.event_writer import Event, RelationEvents, WriterOptions
from producer.json_events import JsonEvents, JsonRelation
from producer.open_transaction import OpenTransaction
from producer.table_shape import CatalogColumn, CatalogFacts, TableRules, TableShape, shape
from schemas.change_id import Lsn, Xid
from schemas.topics import Topics
from tests.unit.producer import pgoutput_bytes as wire
from tests.unit.producer.pgoutput_bytes import UNCHANGED, TupleData

TYPE_NAMES = {
    16: "bool", 17: "bytea", 20: "int8", 21: "int2", 23: "int4", 25: "text", 700: "float4",
    701: "float8", 1700: "numeric", 1082: "date", 1083: "time", 1114: "timestamp",
    1184: "timestamptz", 3802: "jsonb", 1007: "_int4", 99999: "unknown",
}  # fmt: skip
INT4 = TypeFacts(23, "pg_catalog", "int4")
TYPES = {
    oid: TypeFacts(oid, "pg_catalog", name, element=INT4 if name == "_int4" else None)
    for oid, name in TYPE_NAMES.items()
}
BIGINT, TEXT, BOOLEAN = 20, 25, 16
UNAVAILABLE = "__debezium_unavailable_value"
# Code is compiled for each relation that is drawn, which takes its time on a busy machine.
unhurried = settings(deadline=None)

SERVER = Server("p", "shop")
PRECISE = ValueModes(binary_handling_mode="hex")

storable = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
names = st.lists(st.text(storable, max_size=8), min_size=1, max_size=6, unique=True)
good_texts = {
    16: st.sampled_from([b"t", b"f"]),
    17: st.binary(max_size=5).map(lambda value: b"\\x" + value.hex().encode()),
    20: st.integers(-(2**63), 2**63 - 1).map(lambda value: b"%d" % value),
    21: st.integers(-(2**15), 2**15 - 1).map(lambda value: b"%d" % value),
    23: st.integers(-(2**31), 2**31 - 1).map(lambda value: b"%d" % value),
    25: st.text(storable, max_size=20).map(str.encode),
    700: st.sampled_from([b"1.5", b"-0", b"NaN", b"Infinity", b"1e+20"]),
    701: st.floats().map(lambda value: repr(value).replace("inf", "Infinity").encode()),
    1700: st.decimals(allow_nan=False, allow_infinity=False, places=3).map(
        lambda value: str(value).encode()
    ),
    1082: st.dates().map(lambda value: value.isoformat().encode()),
    1083: st.times().map(lambda value: value.isoformat().encode()),
    1114: st.datetimes().map(lambda value: value.isoformat(" ").encode()),
    1184: st.datetimes().map(lambda value: value.isoformat(" ").encode() + b"+00"),
    3802: st.sampled_from([b"{}", b'{"a": "\\u0000"}']),
    1007: st.sampled_from([b"{}", b"{1,NULL,-3}"]),
    99999: st.text(storable, max_size=5).map(str.encode),
}


def shaped(
    type_oids: list[int],
    modes: ValueModes = READABLE,
    column_names: list[str] | None = None,
    identity: str = "f",
    rules: TableRules | None = None,
    columns: dict[str, CatalogColumn] | None = None,
) -> TableShape:
    described = [
        (column_names[i] if column_names else f"c{i}", type_oid, identity == "f" or i == 0)
        for i, type_oid in enumerate(type_oids)
    ]
    message = pgoutput.decode(wire.relation(5, "public", "t", described, identity))
    assert isinstance(message, pgoutput.Relation)
    key = (described[0][0],) if described else ()
    facts = CatalogFacts(key=key, types=TYPES, columns=columns or {})
    return shape(message, facts, modes, rules or TableRules())


def json_relation(table: TableShape, modes: ValueModes = READABLE) -> JsonRelation:
    return JsonEvents(WriterOptions(SERVER, modes)).relation(table, "p.public.t")


def event(relation: RelationEvents, payload: bytes) -> Event:
    data = b"head" + payload
    return relation.event(data, data.decode("latin-1"), 4)


def inserted(type_oids: list[int], row: TupleData) -> dict[str, Any]:
    _, _, _, _, after = event(json_relation(shaped(type_oids)), wire.insert(5, row))
    parsed: dict[str, Any] = json.loads(after.encode("latin-1"))
    return parsed


@st.composite
def row_messages(draw: st.DrawFn) -> tuple[list[int], str, bytes]:
    """Draw columns, the replica identity and a message about a row of them."""
    type_oids = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=6))
    cells = [st.one_of(good_texts[oid], st.none()) for oid in type_oids]
    row = draw(st.tuples(*cells).map(list))
    old = draw(st.tuples(*cells).map(list))
    new: TupleData = [
        UNCHANGED if draw(st.integers(0, 9)) == 0 else value if draw(st.booleans()) else old[i]
        for i, value in enumerate(row)
    ]
    key: TupleData = [value if i == 0 else None for i, value in enumerate(old)]
    messages = [
        ("f", wire.insert(5, row)),
        ("f", wire.update(5, old, new)),
        ("f", wire.delete(5, old)),
        ("d", wire.update(5, None, new)),
        ("d", wire.update(5, key, new, is_full=False)),
        ("d", wire.delete(5, key, is_full=False)),
    ]
    return type_oids, *draw(st.sampled_from(messages))


@unhurried
@given(
    st.lists(
        st.sampled_from([BIGINT, TEXT, BOOLEAN]).flatmap(
            lambda oid: st.tuples(st.just(oid), st.one_of(good_texts[oid], st.none()))
        ),
        max_size=12,
    )
)
def test_any_row_survives(row: list[tuple[int, bytes | None]]) -> None:
    def value(type_oid: int, text: bytes | None) -> Any:
        if text is None:
            return None
        if type_oid == BOOLEAN:
            return text == b"t"
        return int(text) if type_oid == BIGINT else text.decode()

    assert inserted([oid for oid, _ in row], [text for _, text in row]) == {
        f"c{i}": value(*column) for i, column in enumerate(row)
    }


@unhurried
@given(row_messages(), st.sampled_from([READABLE, PRECISE, replace(PRECISE, debezium_values=True)]))
def test_the_code_made_for_a_relation_gives_what_the_cells_give(
    drawn: tuple[list[int], str, bytes], modes: ValueModes
) -> None:
    type_oids, identity, payload = drawn
    columns = {f"c{i}": CatalogColumn(not_null=i % 2 == 0) for i in range(len(type_oids))}
    relation = json_relation(shaped(type_oids, modes, identity=identity, columns=columns), modes)
    data = b"head" + payload
    slow = RelationEvents.event(relation, data, data.decode("latin-1"), 4)
    assert relation.event(data, data.decode("latin-1"), 4) == slow


def whole(writer: Any, relation: RelationEvents, payload: bytes) -> tuple[Any, Any]:
    """Return key and value as JSON, as an event of some transaction."""
    transaction = OpenTransaction(pgoutput.Begin(Lsn(9), 10**15, Xid(7)), Lsn(8), None)
    transaction.count_event("public.t")
    op, _, key, before, after = event(relation, payload)
    value = writer.change(relation, transaction, Lsn(5), op, before, after, 10**15)
    key_bytes = writer.key(relation, key)
    return key_bytes and json.loads(key_bytes), json.loads(value)


@unhurried
@given(row_messages(), st.booleans())
def test_values_by_any_serializer_are_the_json_of_the_fast_way(
    drawn: tuple[list[int], str, bytes], with_schemas: bool
) -> None:
    type_oids, identity, payload = drawn
    table = shaped(type_oids, PRECISE, identity=identity)
    options = WriterOptions(SERVER, PRECISE, key_schemas=with_schemas, value_schemas=with_schemas)
    fast = JsonEvents(options)
    serializer = JsonSerializer(with_schema=with_schemas)
    slow = ConnectEvents(options, Topics("p"), serializer, serializer)
    found = whole(fast, fast.relation(table, "p.public.t"), payload)
    expected = whole(slow, slow.relation(table, "p.public.t"), payload)
    if not with_schemas and identity == "d" and found[1]["before"] is not None:
        # Without a schema what was not sent is left out, with one it is null.
        expected[1]["before"] = {k: expected[1]["before"][k] for k in found[1]["before"]}
    assert found == expected


@unhurried
@given(names, st.data())
def test_any_name_of_a_column_is_a_field(column_names: list[str], data: st.DataObject) -> None:
    table = shaped([TEXT] * len(column_names), column_names=column_names)
    row: TupleData = [data.draw(good_texts[TEXT]) for _ in column_names]
    _, _, _, _, after = event(json_relation(table), wire.insert(5, row))
    assert list(json.loads(after.encode("latin-1"))) == column_names


@unhurried
@given(st.sampled_from(sorted(TYPES)), st.binary(max_size=30))
def test_hostile_texts_give_valid_json_or_a_typed_error(type_oid: int, text: bytes) -> None:
    writer = JsonEvents(WriterOptions(SERVER, PRECISE))
    relation = writer.relation(shaped([type_oid], PRECISE), "p.public.t")
    with suppress(MalformedMessage, ValueNotConvertible):
        whole(writer, relation, wire.insert(5, [text]))


@unhurried
@given(names, st.binary(max_size=100), st.sampled_from([b"I", b"U", b"D", b"X"]))
def test_any_bytes_give_a_row_or_a_typed_error(
    column_names: list[str], rest: bytes, kind: bytes
) -> None:
    relation = json_relation(shaped([TEXT] * len(column_names), column_names=column_names))
    with suppress(MalformedMessage, ValueNotConvertible):
        event(relation, kind + (5).to_bytes(4, "big") + rest)


@unhurried
@given(st.data())
def test_a_row_with_one_byte_changed_gives_a_row_or_a_typed_error(data: st.DataObject) -> None:
    relation = json_relation(shaped([BIGINT, TEXT, BOOLEAN]))
    payload = bytearray(wire.update(5, [b"1", b"a", None], [b"1", UNCHANGED, b"t"]))
    position = data.draw(st.integers(0, len(payload) - 1))
    payload[position] = data.draw(st.integers(0, 255))
    with suppress(MalformedMessage, ValueNotConvertible):
        event(relation, bytes(payload))


ROW_MESSAGES = [
    wire.insert(5, [b"1", None]),
    wire.update(5, None, [b"1", None]),
    wire.update(5, [b"0", None], [b"1", None]),
    wire.update(5, [b"0", None], [b"1", None], is_full=False),
    wire.delete(5, [b"1", None]),
]


@pytest.mark.parametrize("payload", ROW_MESSAGES)
def test_a_row_cut_off_anywhere_is_malformed(payload: bytes) -> None:
    relation = json_relation(shaped([BIGINT, TEXT]))
    event(relation, payload)
    for length in range(5, len(payload)):
        with pytest.raises(MalformedMessage):
            event(relation, payload[:length])


@pytest.mark.parametrize("payload", ROW_MESSAGES)
def test_a_row_with_bytes_left_over_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        event(json_relation(shaped([BIGINT, TEXT])), payload + b"n")


@pytest.mark.parametrize("row", [[b"1"], [b"1", None, None]])
def test_a_row_of_other_columns_is_malformed_and_names_its_table(row: TupleData) -> None:
    with pytest.raises(MalformedMessage, match=r"public\.t"):
        event(json_relation(shaped([BIGINT, TEXT])), wire.insert(5, row))


def test_a_value_that_was_not_sent_is_the_full_old_rows_or_unavailable() -> None:
    relation = json_relation(shaped([BIGINT, TEXT]))
    new: TupleData = [b"1", UNCHANGED]
    assert json.loads(event(relation, wire.update(5, [b"1", b"long"], new))[4]) == {
        "c0": 1, "c1": "long",
    }  # fmt: skip
    for payload in (wire.update(5, None, new), wire.update(5, [b"1", None], new, is_full=False)):
        assert json.loads(event(relation, payload)[4]) == {"c0": 1, "c1": UNAVAILABLE}


def test_a_value_without_a_form_stops_and_names_its_column() -> None:
    relation = json_relation(shaped([BIGINT, 1700], PRECISE), PRECISE)
    with pytest.raises(ValueNotConvertible, match=r"public\.t\.c1"):
        event(relation, wire.insert(5, [b"1", b"NaN"]))


@pytest.mark.parametrize("kind", [JsonRelation, ConnectRelation])
def test_rules_hold_for_values_nulls_and_what_was_not_sent(kind: type) -> None:
    rules = ColumnRules({"column.mask.with.3.chars": "public.t.c1"})
    table = shaped([BIGINT, TEXT], rules=TableRules(rule_for=rules.rule_for))
    options = WriterOptions(SERVER)
    serializer = JsonSerializer(with_schema=False)
    relation = (
        JsonRelation(table, "t", options)
        if kind is JsonRelation
        else ConnectRelation(table, "t", options, serializer, serializer)
    )
    messages = [
        wire.insert(5, [b"1", b"secret"]),
        wire.insert(5, [b"1", None]),
        wire.update(5, None, [b"1", UNCHANGED]),
    ]
    for payload in messages:
        after = event(relation, payload)[4]
        assert (json.loads(after) if isinstance(after, str) else after) == {"c0": 1, "c1": "***"}
