"""Changes in Avro, with either beginning, and back."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import (
    AVRO_MARKS,
    as_json,
    change_schema,
    decode_change,
    encode_change,
    registry_header,
    single_object_header,
)
from schemas.change import Change, Operation
from sink_pg.change_rows import Record, change_row
from sink_pg.errors import UnreadableChange
from stitcher_stream.change_records import avro_encoder
from stitcher_stream.change_records import encode_change as encode_json
from stitcher_stream.contexts import Context
from stitcher_stream.errors import MalformedChange
from tests.unit.stitcher_stream.changes import a_change

texts = st.text(st.characters(exclude_categories=["Cs"]))
rows: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    texts,
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()))
    | st.lists(st.integers(0, 9), max_size=2),
    max_size=3,
)
bigints = st.integers(0, 2**63 - 1)
times = st.datetimes().map(lambda time: time.isoformat(timespec="microseconds") + "Z")
changes = st.builds(
    a_change,
    database=texts,
    schema=texts,
    table=texts,
    primary_key=st.none() | texts,
    operation=st.sampled_from([operation.value for operation in Operation]),
    before=rows,
    after=rows,
    context=rows.map(lambda row: Context(row, json.dumps(row).encode())),
    committed_at=times,
    queued_at=times,
    transaction_id=bigints,
    position=bigints,
    commit_lsn=bigints,
    ordinal=bigints,
    epoch=texts,
    context_error=st.none() | texts,
)
headers = st.sampled_from([single_object_header(), registry_header(1), registry_header(2**32 - 1)])


@given(changes, headers)
def test_a_record_says_in_avro_what_it_would_say_in_json(change: Change, header: bytes) -> None:
    encoded = avro_encoder(header)(change)
    assert encoded[:1] in AVRO_MARKS
    assert as_json(encoded) == encode_json(change)


@given(changes, headers)
def test_the_sink_stores_the_same_row_from_either(change: Change, header: bytes) -> None:
    in_json, in_avro = (
        Record("changes", 0, 0, None, value)
        for value in (encode_json(change), avro_encoder(header)(change))
    )
    assert change_row(in_avro).line == change_row(in_json).line


def test_the_sink_puts_other_avro_aside() -> None:
    with pytest.raises(UnreadableChange, match="Avro"):
        change_row(Record("changes", 0, 0, None, b"\x00\x00\x00\x00\x01other"))


@given(changes)
def test_any_reader_of_avro_reads_it_by_the_schema(change: Change) -> None:
    record: Any = fastavro.schemaless_reader(BytesIO(encode_change(change)), change_schema(), None)
    assert str(record["id"]) == change["id"]
    assert (
        record["committed_at"]
        .isoformat(timespec="microseconds")
        .startswith(change["committed_at"][:-1])
    )
    assert json.loads(record["after"]) == change["after"]
    assert decode_change(encode_change(change)) == change


def test_single_object_encoding_begins_with_the_schemas_fingerprint() -> None:
    # Two bytes of mark and the fingerprint, the lowest byte first, as the specification has it.
    assert single_object_header()[:2] == b"\xc3\x01"
    assert len(single_object_header()) == 10


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00", b"\x00\x00\x00\x00\x01", b"\xc3\x01", b"\xc3\x01" + bytes(20), b"{}", b"\xff"],
)
def test_what_is_no_change_in_avro_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="Avro"):
        as_json(value)


@given(changes, st.data())
def test_damaged_record_is_refused_or_read_and_raises_nothing_else(
    change: Change, data: st.DataObject
) -> None:
    encoded = bytearray(encode_change(change, registry_header(1)))
    at = data.draw(st.integers(5, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    length = data.draw(st.integers(5, len(encoded)))
    with suppress(ValueError):
        as_json(bytes(encoded[:length]))


def test_something_behind_the_record_is_refused() -> None:
    with pytest.raises(ValueError, match="follows"):
        as_json(encode_change(a_change(), single_object_header()) + b"\x00")


@pytest.mark.parametrize(
    "fields",
    [
        {"primary_key": "\ud800"},
        {"after": {"a": object()}},
        {"operation": "UPSERT"},
        {"ordinal": None},
    ],
)
def test_what_avro_cannot_hold_is_a_dead_letter(fields: dict[str, Any]) -> None:
    with pytest.raises(MalformedChange):
        avro_encoder(b"")(a_change(**fields))
