"""Decoding pgoutput: any row round-trips, any bytes give a message or MalformedMessage."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from producer import pgoutput
from producer.errors import MalformedMessage
from producer.pgoutput import UNCHANGED, Insert, Update
from tests.unit.producer import pgoutput_bytes as wire

values = st.one_of(st.none(), st.just(UNCHANGED), st.binary(max_size=40))
rows = st.lists(values, max_size=12)
oids = st.integers(0, 2**32 - 1)


@given(oids, rows)
def test_any_inserted_row_is_decoded(oid: int, row: pgoutput.TupleData) -> None:
    assert pgoutput.decode(wire.insert(oid, row)) == Insert(oid, row)


@given(oids, rows, rows, st.booleans())
def test_any_updated_row_is_decoded(
    oid: int, old: pgoutput.TupleData, new: pgoutput.TupleData, is_full: bool
) -> None:
    payload = wire.update(oid, old, new, is_full=is_full)
    assert pgoutput.decode(payload) == Update(oid, old, is_full, new)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_malformed_message(payload: bytes) -> None:
    with suppress(MalformedMessage):
        pgoutput.decode(payload)


@given(rows, st.data())
def test_a_damaged_row_gives_a_message_or_malformed_message(
    row: pgoutput.TupleData, data: st.DataObject
) -> None:
    payload = bytearray(wire.update(5, row, row))
    position = data.draw(st.integers(0, len(payload) - 1))
    payload[position] = data.draw(st.integers(0, 255))
    with suppress(MalformedMessage):
        pgoutput.decode(bytes(payload))
