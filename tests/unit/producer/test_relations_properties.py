"""Rows of a relation as JSON: any row survives, any bytes give a row or MalformedMessage."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer import pgoutput
from producer.column_values import value_encoder
from producer.errors import MalformedMessage
from producer.relations import CatalogFacts, RowEncoder
from tests.unit.producer import pgoutput_bytes as wire
from tests.unit.producer.pgoutput_bytes import UNCHANGED, TupleData

TYPES = [16, 17, 20, 21, 23, 25, 26, 700, 701, 1700, 1082, 1083, 1114, 1184, 3802, 99999]
BIGINT, TEXT, BOOLEAN = 20, 25, 16
UNAVAILABLE = "__debezium_unavailable_value"

storable = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
columns = st.lists(st.tuples(st.text(storable, max_size=8), st.sampled_from(TYPES)), max_size=12)
typed_values = st.one_of(
    st.tuples(st.just(BIGINT), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(TEXT), st.text(storable, max_size=20)),
    st.tuples(st.just(BOOLEAN), st.booleans()),
    st.tuples(st.sampled_from(TYPES), st.none()),
)


def relation(type_oids: list[int], names: list[str] | None = None) -> RowEncoder:
    described = [
        (names[i] if names else f"c{i}", type_oid, True) for i, type_oid in enumerate(type_oids)
    ]
    message = pgoutput.decode(wire.relation(5, "public", "t", described, "f"))
    assert isinstance(message, pgoutput.Relation)
    return RowEncoder(message, CatalogFacts(key=()))


def text_of(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return b"t" if value else b"f"
    return str(value).encode()


@given(st.lists(typed_values, max_size=12))
def test_any_row_survives(row: list[tuple[int, Any]]) -> None:
    encoder = relation([type_oid for type_oid, _ in row])
    values = encoder.inserted(wire.insert(5, [text_of(value) for _, value in row]))
    assert json.loads(encoder.row(values)) == {f"c{i}": v for i, (_, v) in enumerate(row)}


@given(st.sampled_from(TYPES), st.binary(max_size=30))
def test_the_code_made_for_a_relation_encodes_as_the_encoders_do(
    type_oid: int, text: bytes
) -> None:
    encoder = relation([type_oid])
    try:
        expected = value_encoder(type_oid, -1)(text)
    except ValueError:
        with pytest.raises(MalformedMessage):
            encoder.inserted(wire.insert(5, [text]))
    else:
        assert encoder.inserted(wire.insert(5, [text])) == (expected,)


@given(columns, st.binary(max_size=100), st.sampled_from(["inserted", "updated", "deleted"]))
def test_any_bytes_give_a_row_or_malformed_message(
    described: list[tuple[str, int]], rest: bytes, method: str
) -> None:
    encoder = relation([type_oid for _, type_oid in described], [name for name, _ in described])
    kind = {"inserted": b"I", "updated": b"U", "deleted": b"D"}[method]
    with suppress(MalformedMessage):
        getattr(encoder, method)(kind + (5).to_bytes(4, "big") + rest)


@given(st.data())
def test_a_row_with_one_byte_changed_gives_a_row_or_malformed_message(data: st.DataObject) -> None:
    encoder = relation([BIGINT, TEXT, BOOLEAN])
    payload = bytearray(wire.update(5, [b"1", b"a", None], [b"1", UNCHANGED, b"t"]))
    position = data.draw(st.integers(5, len(payload) - 1))
    payload[position] = data.draw(st.integers(0, 255))
    with suppress(MalformedMessage):
        encoder.updated(bytes(payload))


ROW_MESSAGES: list[tuple[str, bytes]] = [
    ("inserted", wire.insert(5, [b"1", None])),
    ("updated", wire.update(5, None, [b"1", None])),
    ("updated", wire.update(5, [b"0", None], [b"1", None])),
    ("updated", wire.update(5, [b"0", None], [b"1", None], is_full=False)),
    ("deleted", wire.delete(5, [b"1", None])),
]


@pytest.mark.parametrize(("method", "payload"), ROW_MESSAGES)
def test_a_row_cut_off_anywhere_is_malformed(method: str, payload: bytes) -> None:
    encoder = relation([BIGINT, TEXT])
    getattr(encoder, method)(payload)
    for length in range(5, len(payload)):
        with pytest.raises(MalformedMessage):
            getattr(encoder, method)(payload[:length])


@pytest.mark.parametrize(("method", "payload"), ROW_MESSAGES)
def test_a_row_with_bytes_left_over_is_malformed(method: str, payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        getattr(relation([BIGINT, TEXT]), method)(payload + b"n")


@pytest.mark.parametrize("row", [[b"1"], [b"1", None, None]])
def test_a_row_of_other_columns_is_malformed_and_names_its_table(row: TupleData) -> None:
    with pytest.raises(MalformedMessage, match=r"public\.t"):
        relation([BIGINT, TEXT]).inserted(wire.insert(5, row))


def test_a_value_that_was_not_sent_is_the_full_old_rows_or_unavailable() -> None:
    encoder = relation([BIGINT, TEXT])
    new: TupleData = [b"1", UNCHANGED]
    _, values = encoder.updated(wire.update(5, [b"1", b"long"], new))
    assert json.loads(encoder.row(values)) == {"c0": 1, "c1": "long"}
    for payload in (wire.update(5, None, new), wire.update(5, [b"1", None], new, is_full=False)):
        _, values = encoder.updated(payload)
        assert json.loads(encoder.row(values)) == {"c0": 1, "c1": UNAVAILABLE}
