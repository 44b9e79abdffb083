"""Reading the stream's bytes: any bytes give a message or the typed error, nothing else.

`python -m tests.fuzz` does the same for as long as wanted, over whole streams.
"""

from __future__ import annotations

import random
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer import pgoutput
from producer.errors import MalformedMessage
from tests.fuzz.damage import ALLOWED, MODES, RECORDED, ROWS, Reader, damaged, with_values

kinds = st.sampled_from([bytes([kind]) for kind in b"BCRIUDTMOY"])
recorded = st.sampled_from(RECORDED)
recorded_rows = st.sampled_from([each for each in RECORDED if each[0] in ROWS])
recorded_inserts = st.sampled_from([each for each in RECORDED if each[:1] == b"I"])
seeds = st.integers(0, 2**32 - 1)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_malformed_message(payload: bytes) -> None:
    with suppress(MalformedMessage):
        pgoutput.decode(payload)


@given(kinds, st.binary(max_size=200))
def test_any_bytes_behind_a_known_kind_do_too(kind: bytes, rest: bytes) -> None:
    with suppress(MalformedMessage):
        pgoutput.decode(kind + rest)


@given(recorded, seeds)
def test_a_damaged_message_of_a_real_server_does_too(payload: bytes, seed: int) -> None:
    with suppress(MalformedMessage):
        pgoutput.decode(damaged(payload, random.Random(seed)))


@pytest.mark.parametrize("kind", sorted({payload[:1] for payload in RECORDED}))
def test_a_message_that_is_cut_off_anywhere_is_malformed(kind: bytes) -> None:
    payload = next(each for each in RECORDED if each[:1] == kind)
    reader = _reader("readable")
    for end in range(len(payload)):
        with pytest.raises(ALLOWED):
            reader.take(payload[:end])


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_huge_length_is_malformed_and_takes_no_memory(length: int) -> None:
    row = next(each for each in RECORDED if each[:1] == b"I")
    at = row.index(b"t", 8) + 1
    with pytest.raises(MalformedMessage):
        _reader("readable").take(row[:at] + struct.pack(">I", length) + row[at + 4 :])
    with pytest.raises(MalformedMessage):
        pgoutput.decode(b"T" + struct.pack(">IB", length, 0))
    with pytest.raises(MalformedMessage):
        pgoutput.decode(b"M\0" + bytes(8) + b"p\0" + struct.pack(">I", length))


def _reader(modes: str) -> Reader:
    """Return a reader that has been told of every recorded relation, in a transaction."""
    reader = Reader(MODES[modes])
    for payload in RECORDED:
        if payload[:1] in (b"R", b"B"):
            reader.take(payload)
    return reader


READERS = {modes: _reader(modes) for modes in MODES}


@pytest.mark.parametrize("modes", MODES)
@given(payload=recorded_rows, seed=seeds)
def test_a_damaged_row_gives_valid_json_or_the_typed_error(
    modes: str, payload: bytes, seed: int
) -> None:
    with suppress(*ALLOWED):
        READERS[modes].take(damaged(payload, random.Random(seed)))


@pytest.mark.parametrize("modes", MODES)
@given(payload=recorded_inserts, seed=seeds)
def test_a_row_of_hostile_values_gives_valid_json_or_the_typed_error(
    modes: str, payload: bytes, seed: int
) -> None:
    with suppress(*ALLOWED):
        READERS[modes].take(with_values(payload, random.Random(seed)))
