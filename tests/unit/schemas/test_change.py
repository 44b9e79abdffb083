"""A stitched change: its key and its Avro form."""

from __future__ import annotations

import json
from importlib.resources import files

from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import decode_change, encode_change
from schemas.change import Change, join_primary_key

CHANGE: Change = {
    "id": "018bcfe5-687b-8123-8abc-000000000001",
    "database": "shop",
    "schema": "public",
    "table": "todo",
    "primary_key": "1",
    "operation": "UPDATE",
    "before": {"id": 1, "task": "Sleep"},
    "after": {"id": 1, "task": "Schläf\u0000"},
    "context": {"user_id": 1},
    "committed_at": "2023-11-14T22:13:20.123456Z",
    "queued_at": "2023-11-14T22:13:20.200000Z",
    "transaction_id": 7,
    "position": 1002,
    "commit_lsn": 2000,
    "ordinal": 1,
    "epoch": "71.1.4.slot.shop",
    "context_error": None,
}


def test_a_single_key_is_its_value() -> None:
    assert [join_primary_key([value]) for value in (1, "a,b", True)] == ["1", "a,b", "true"]


def test_several_keys_are_joined_with_commas() -> None:
    assert join_primary_key([1, "EU"]) == "1,EU"


@given(st.lists(st.text(), min_size=2, max_size=4), st.lists(st.text(), min_size=2, max_size=4))
def test_different_composite_keys_have_different_texts(one: list[str], other: list[str]) -> None:
    if len(one) == len(other):
        assert (join_primary_key(one) == join_primary_key(other)) == (one == other)


def test_a_change_round_trips_through_avro() -> None:
    assert decode_change(encode_change(CHANGE)) == CHANGE


def test_a_change_without_key_round_trips_through_avro() -> None:
    change: Change = {**CHANGE, "primary_key": None, "context_error": "not JSON"}
    assert decode_change(encode_change(change)) == change


def test_the_schema_has_the_fields_of_a_change_in_order() -> None:
    schema = json.loads(files("schemas").joinpath("change.avsc").read_text())
    assert [field["name"] for field in schema["fields"]] == list(Change.__annotations__)
