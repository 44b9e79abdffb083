"""What is kept of where the producer stands can be read back, and nothing else is taken for it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.errors import OffsetsUnreadable
from producer.source_state import (
    OPERATIONS,
    PublicationState,
    SlotState,
    StoredOffset,
    parse_timeline_history,
)
from schemas.change_id import Lsn

lsns = st.integers(0, 2**64 - 1).map(Lsn)
texts = st.text(max_size=20)
offsets = st.builds(
    StoredOffset, st.integers(0, 2**64 - 1), st.integers(1, 2**32 - 1), texts, texts, texts, lsns
)
publications = st.builds(
    PublicationState,
    texts,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.frozensets(st.sampled_from(OPERATIONS)),
    st.booleans(),
    st.lists(st.tuples(st.integers(0), st.integers(0), texts), max_size=3).map(tuple),
)
json_objects = st.dictionaries(
    st.sampled_from(["system_identifier", "timeline", "database", "slot", "publication", "lsn",
                     "name", "oid", "version", "all_tables", "operations", "members"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda children: st.lists(children, max_size=3),
        max_leaves=5,
    ),
)  # fmt: skip


@given(offsets)
def test_an_offset_is_read_back_as_it_was_stored(offset: StoredOffset) -> None:
    assert StoredOffset.from_json(json.loads(json.dumps(offset.to_json()))) == offset


@given(publications)
def test_a_publication_is_read_back_as_it_was_stored(publication: PublicationState) -> None:
    stored = json.loads(json.dumps(publication.to_json()))
    assert PublicationState.from_json(stored) == publication


@given(json_objects)
def test_any_other_json_is_refused_by_name(value: dict[str, Any]) -> None:
    with suppress(OffsetsUnreadable):
        StoredOffset.from_json(value)
    with suppress(OffsetsUnreadable):
        PublicationState.from_json(value)


SLOT_ROWS: list[tuple[dict[str, Any], str | None]] = [
    ({"wal_status": "reserved"}, None),
    ({"wal_status": "extended"}, None),
    ({"wal_status": "unreserved"}, None),
    ({"wal_status": "lost"}, "wal_removed"),
    ({"wal_status": "lost", "conflicting": False}, "wal_removed"),
    ({"wal_status": "reserved", "conflicting": True}, "conflict with recovery"),
    ({"conflicting": True, "invalidation_reason": "rows_removed"}, "rows_removed"),
    ({"wal_status": "lost", "invalidation_reason": "idle_timeout"}, "idle_timeout"),
    ({"wal_status": "reserved", "conflicting": None, "invalidation_reason": None}, None),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "invalidation"), SLOT_ROWS)
def test_every_version_says_in_its_own_columns_that_a_slot_is_lost(
    columns: dict[str, Any], invalidation: str | None
) -> None:
    row = {"slot_name": "s", "plugin": "pgoutput", "database": "d", "confirmed_flush_lsn": "0/10"}
    assert SlotState.from_row(row | columns) == SlotState(
        "s", "pgoutput", "d", Lsn(16), invalidation
    )


def test_a_physical_slot_has_neither_plugin_nor_position() -> None:
    row = {"slot_name": "s", "plugin": None, "database": None, "confirmed_flush_lsn": None}
    assert SlotState.from_row(row) == SlotState("s", None, None, None)


def test_a_timeline_history_tells_where_each_timeline_ended() -> None:
    content = (
        "1\t0/3000000\tno recovery target specified\n\n# comment\n2\t16/B374D848\tbefore x y\n"
    )
    assert parse_timeline_history(content) == {1: 0x3000000, 2: 0x16_B374D848}
