"""Records of `.changes` and of `.dead-letters`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.avro import decode_change
from schemas.avro import encode_change as encode_avro
from schemas.change import Change
from stitcher_stream.change_records import (
    TOO_LARGE_WITH_CONTEXT,
    change_key,
    dead_letter_headers,
    encode_change,
    encode_within,
)
from stitcher_stream.contexts import Context
from stitcher_stream.errors import MalformedChange
from stitcher_stream.stitch import WalRecord
from tests.unit.stitcher_stream.changes import a_change


def change(**fields: Any) -> Change:
    return a_change(**{"after": {"id": 1}, "context": Context({"n": 1}, b'{"n": 1}')} | fields)


def test_value_has_the_contracts_fields_in_their_order() -> None:
    decoded = json.loads(encode_change(change()))
    assert list(decoded) == list(Change.__annotations__)
    assert decoded == change()


def test_value_can_be_written_as_avro() -> None:
    decoded: Change = json.loads(encode_change(change()))
    assert decode_change(encode_avro(decoded)) == decoded


def test_key_is_the_rows_identity() -> None:
    assert change_key(change()) == b'["public","task","1"]'
    assert change_key(change(primary_key=None)) == b'["public","task",null]'
    assert json.loads(change_key(change(primary_key="\ud800"))) == ["public", "task", "\ud800"]


def test_context_stands_in_the_value_as_it_was_sent() -> None:
    encoded = rb'{"a": "\ud800",  "big": 123456789012345678901234567890}'
    value = encode_change(change(context=Context(json.loads(encoded), encoded)))
    assert encoded in value


def test_lone_surrogates_in_a_row_are_written_as_escapes() -> None:
    context = rb'{"a": "\udc00"}'
    row = {"\ud800": "\udfff", "n": 18446744073709551615, "f": 0.1}
    value = encode_change(change(after=row, context=Context(json.loads(context), context)))
    decoded = json.loads(value)
    assert decoded["after"] == row
    assert decoded["context"] == {"a": "\udc00"}
    assert list(decoded) == list(Change.__annotations__)


def test_deeply_nested_row_is_written() -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    assert json.loads(encode_change(change(after={"a": deep})))["after"] == {"a": deep}


def test_what_json_cannot_hold_is_a_dead_letter() -> None:
    with pytest.raises(MalformedChange):
        encode_change(change(after={"a": "\ud800", "b": float("inf")}))


def test_context_is_left_out_where_the_record_would_be_too_large() -> None:
    large = Context({"sql": "x" * 1000}, json.dumps({"sql": "x" * 1000}).encode())
    decoded = json.loads(encode_within(change(context=large), 900))
    assert decoded["context"] == {}
    assert decoded["context_error"] == TOO_LARGE_WITH_CONTEXT
    assert decoded["after"] == {"id": 1}
    assert json.loads(encode_within(change(context=large), 2000))["context"] == large


def test_dead_letter_says_why_and_where_it_stood_and_keeps_its_headers() -> None:
    record = WalRecord(b"k", b"v", (("epoch", b"e"), ("commit_lsn", b"1")), 42)
    assert dead_letter_headers(record, "bemi.wal", 3, "not JSON") == [
        ("reason", b"not JSON"),
        ("stage", b"stitcher_stream"),
        ("origin_topic", b"bemi.wal"),
        ("origin_partition", b"3"),
        ("origin_offset", b"42"),
        ("epoch", b"e"),
        ("commit_lsn", b"1"),
    ]
