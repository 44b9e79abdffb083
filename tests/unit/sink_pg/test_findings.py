"""Where on its way a change went missing, for every combination of what is known."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink_pg.findings import Finding, InTopic, OnTheWay, TableChanges, explained
from sink_pg.table_patterns import Table

CHANGES = TableChanges("75", 0x16_0000_0010, Table("public", "task"))


def reason(
    expected: int,
    in_topic: int,
    stored: int,
    by_stitcher: int = 0,
    by_sink: int = 0,
    first: int = 0,
) -> str:
    origin = "t.wal [0] offset 9"
    found = Finding(CHANGES.commit_lsn, "7", None, origin, "", CHANGES, expected, stored)
    place = InTopic()
    for ordinal in range(in_topic):
        place.add(ordinal, 0, 40 + ordinal)
    way = OnTheWay(
        {CHANGES: place}, Counter({CHANGES: by_stitcher}), Counter({CHANGES: by_sink}), {0: first}
    )
    return str(explained(found, way))


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((5, 5, 3), "2 removed from the table, or lost by the sink; .*--from-offset 0:40"),
        ((5, 5, 4, 0, 1), "5 in .changes, 4 stored: 1 put aside by the sink"),
        ((5, 3, 3), "2 left out by a rule or hook of the stitcher"),
        ((5, 4, 4, 1), "4 stored: 1 put aside by the stitcher"),
        ((5, 3, 3, 0, 0, 12), "2 not in .changes, whose retention"),
        ((5, 4, 3), "1 left out by a rule.*; 1 removed from the table"),
        ((5, 5, 6), "more rows than the source has changes"),
        ((5, 5, 5), "as many rows as changes, but not the same ones"),
    ],
)
def test_reason_names_the_place(counts: tuple[int, ...], words: str) -> None:
    text = reason(*counts)
    assert text.startswith("commit LSN 16/10, transaction 7, t.wal [0] offset 9: public.task: 5 ")
    assert re.search(words, text), text


@given(st.lists(st.integers(0, 300)))
def test_changes_in_the_topic_are_counted_once_however_often_they_stand_there(
    ordinals: list[int],
) -> None:
    place = InTopic()
    for offset, ordinal in enumerate(ordinals):
        place.add(ordinal, 3, offset)
    assert place.changes == len(set(ordinals))
    assert place.first_offset == (0 if ordinals else -1)
