"""The record of an erasure: whatever is written is read, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.erasure import ErasedChange, Erasure, ErasureRecord, Part, parse_erasure

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = st.uuids().map(str)
records = st.builds(
    ErasureRecord,
    st.builds(
        Erasure,
        ids,
        texts,
        texts,
        texts,
        st.lists(st.sampled_from(Part), max_size=3).map(tuple),
        st.none() | st.lists(texts, max_size=3).map(tuple),
    ),
    st.lists(st.builds(ErasedChange, ids, texts), max_size=5).map(tuple),
)
EXAMPLE = ErasureRecord(
    Erasure(
        "6f1c3f1e-0000-4000-8000-000000000001", "2026-11-28T08:00:00+00:00", "owner", "4711",
        (Part.VALUES,), None,
    ),
    (ErasedChange("6f1c3f1e-0000-8000-8000-000000000002", "2026-11-01T08:00:00Z"),),
)  # fmt: skip


@given(records)
def test_what_is_written_is_read(record: ErasureRecord) -> None:
    assert parse_erasure(record.value()) == record


@given(st.binary(max_size=40))
def test_any_bytes_are_a_record_or_a_value_error(value: bytes) -> None:
    with pytest.raises(ValueError, match="does not say which"):
        parse_erasure(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "7"),
        ("parts", ["everything"]),
        ("members", "email"),
        ("members", [7]),
        ("changes", [["7", "2026-11-01"]]),
        ("changes", [["6f1c3f1e-0000-8000-8000-000000000002"]]),
        ("reason", None),
    ],
)
def test_a_record_with_a_field_that_is_none_is_refused(field: str, value: object) -> None:
    fields = json.loads(EXAMPLE.value())
    with pytest.raises(ValueError, match="does not say which"):
        parse_erasure(json.dumps({**fields, field: value}).encode())
