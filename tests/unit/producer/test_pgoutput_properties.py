"""Decoding pgoutput: any bytes give a message or MalformedMessage."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from producer import pgoutput
from producer.errors import MalformedMessage

kinds = st.sampled_from([bytes([kind]) for kind in b"BCRIUDTMOY"])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_malformed_message(payload: bytes) -> None:
    with suppress(MalformedMessage):
        pgoutput.decode(payload)


@given(kinds, st.binary(max_size=200))
def test_any_bytes_behind_a_known_kind_do_too(kind: bytes, rest: bytes) -> None:
    with suppress(MalformedMessage):
        pgoutput.decode(kind + rest)
