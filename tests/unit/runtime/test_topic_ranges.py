"""Which records are read again, for every way to say so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.topic_ranges import (
    OffsetPlace,
    OffsetRange,
    PartitionEdges,
    Place,
    RangeNotThere,
    TimePlace,
    UnusablePlace,
    parse_place,
    parse_time,
    ranges,
)

EDGES = {0: PartitionEdges(10, 100, {5: 20, 9: 100}), 1: PartitionEdges(0, 50, {5: 0, 9: 40})}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("0:1500", OffsetPlace(0, 1500)),
        ("12:0", OffsetPlace(12, 0)),
        ("1970-01-01T00:00:01Z", TimePlace(1000)),
        ("1970-01-01T00:00:01", TimePlace(1000)),
        ("1970-01-01T01:00:00+01:00", TimePlace(0)),
        ("1970-01-02", TimePlace(86_400_000)),
    ],
)
def test_place_is_an_offset_or_a_time(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "7", ":", "0:", ":5", "0:x", "0:-1", "1:2:3", "yesterday"])
def test_text_that_is_no_place_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnusablePlace, match="0:1500"):
        parse_place(text)


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        ([], [], [(0, 10, 100), (1, 0, 50)]),
        ([OffsetPlace(0, 30)], [], [(0, 30, 100)]),
        ([OffsetPlace(0, 30)], [OffsetPlace(0, 31)], [(0, 30, 31)]),
        ([OffsetPlace(0, 30), OffsetPlace(1, 1)], [OffsetPlace(1, 9)], [(0, 30, 100), (1, 1, 9)]),
        ([], [OffsetPlace(1, 9)], [(1, 0, 9)]),
        ([TimePlace(5)], [], [(0, 20, 100), (1, 0, 50)]),
        ([TimePlace(5)], [TimePlace(9)], [(0, 20, 100), (1, 0, 40)]),
        ([TimePlace(9)], [], [(1, 40, 50)]),
        ([TimePlace(5)], [OffsetPlace(0, 25)], [(0, 20, 25)]),
        ([OffsetPlace(0, 30)], [OffsetPlace(0, 30)], []),
        ([OffsetPlace(0, 100)], [], []),
    ],
)
def test_range_goes_from_place_to_place(
    starts: list[Place], ends: list[Place], expected: list[tuple[int, int, int]]
) -> None:
    assert ranges("t", starts, ends, EDGES) == [OffsetRange(*each) for each in expected]


@pytest.mark.parametrize(
    ("starts", "ends", "error", "words"),
    [
        ([OffsetPlace(0, 9)], [], RangeNotThere, "retention removed everything before 10.*0:10"),
        ([OffsetPlace(0, 101)], [], RangeNotThere, "it ends at 100"),
        ([], [OffsetPlace(1, 51)], RangeNotThere, "it ends at 50"),
        ([OffsetPlace(2, 0)], [], RangeNotThere, "no partition 2; it has 2"),
        ([OffsetPlace(0, 20), OffsetPlace(0, 30)], [], UnusablePlace, "two start offsets"),
        ([TimePlace(5), TimePlace(9)], [], UnusablePlace, "two times"),
        ([TimePlace(5), OffsetPlace(0, 30)], [], UnusablePlace, "give one of them"),
    ],
)
def test_what_the_topic_does_not_have_is_named(
    starts: list[Place], ends: list[Place], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ranges("t", starts, ends, EDGES)


@given(st.integers(0, 5), st.lists(st.integers(0, 9), max_size=30), st.integers(0, 12), st.data())
def test_range_between_times_holds_exactly_the_records_between_them(
    first: int, steps: list[int], moment: int, data: st.DataObject
) -> None:
    """The oracle looks at each record; Kafka's answers are made as its manual has them."""
    until = data.draw(st.integers(moment, 100))
    times = [sum(steps[: n + 1]) for n in range(len(steps))]
    end = first + len(times)

    def offset_at(asked: int) -> int:
        return next((first + n for n, time in enumerate(times) if time >= asked), end)

    edges = PartitionEdges(first, end, {moment: offset_at(moment), until: offset_at(until)})
    found = ranges("t", [TimePlace(moment)], [TimePlace(until)], {0: edges})
    read = [offset for each in found for offset in range(each.start, each.end)]
    assert read == [first + n for n, time in enumerate(times) if moment <= time < until]


@given(st.datetimes())
def test_any_time_is_read_to_its_millisecond(moment: object) -> None:
    text = f"{moment}"
    assert parse_time(text) == parse_time(text + "+00:00")
