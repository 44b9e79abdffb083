"""Partitions are planned around what stands, without gap or overlap."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import is_own_table
from sink_pg.periods import Period, Range, next_start, planned, start_of, upcoming

UTC = timezone.utc
NOW = datetime(2026, 11, 24, 18, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "names", "first", "last"),
    [
        (
            Period.MONTH,
            ["y2026m11", "y2026m12", "y2027m01"],
            datetime(2026, 11, 1, tzinfo=UTC),
            datetime(2027, 2, 1, tzinfo=UTC),
        ),
        (
            Period.WEEK,
            ["y2026w48", "y2026w49", "y2026w50"],
            datetime(2026, 11, 23, tzinfo=UTC),
            datetime(2026, 12, 14, tzinfo=UTC),
        ),
        (
            Period.DAY,
            ["y2026m11d24", "y2026m11d25", "y2026m11d26"],
            datetime(2026, 11, 24, tzinfo=UTC),
            datetime(2026, 11, 27, tzinfo=UTC),
        ),
    ],
)
def test_present_and_next_periods_are_planned(
    period: Period, names: list[str], first: datetime, last: datetime
) -> None:
    plan = planned(period, upcoming(period, NOW, ahead=2), existing=[])
    assert [part.name for part in plan] == [f"bemi_changes_{name}" for name in names]
    assert (plan[0].lower, plan[-1].upper) == (first, last)


def test_week_of_the_turn_of_the_year_has_the_name_of_its_own_year() -> None:
    (part,) = planned(Period.WEEK, [datetime(2027, 1, 2, tzinfo=UTC)], existing=[])
    assert part.name == "bemi_changes_y2026w53"


def test_periods_are_those_of_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert start_of(Period.DAY, datetime(2026, 11, 1, 8, tzinfo=tokyo)) == datetime(
        2026, 10, 31, tzinfo=UTC
    )


def test_partition_that_reaches_into_a_period_leaves_the_rest_of_it() -> None:
    plan = planned(Period.MONTH, [NOW], [Range(None, NOW)])
    assert [(part.name, part.lower) for part in plan] == [
        ("bemi_changes_y2026m11_from_24_180500_000000", NOW)
    ]


def test_days_that_stand_in_a_month_are_left_out_of_it() -> None:
    day = datetime(2026, 11, 10, tzinfo=UTC)
    plan = planned(Period.MONTH, [NOW], [Range(day, day + timedelta(days=1))])
    assert [(part.lower.day, part.upper.day) for part in plan] == [(1, 10), (11, 1)]


times = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(
    period=st.sampled_from(Period),
    wanted=st.lists(times, max_size=6),
    cuts=st.lists(times, unique=True, max_size=8).map(sorted),
    is_open_below=st.booleans(),
    is_open_above=st.booleans(),
)
def test_every_time_gets_one_partition_and_none_that_stands_is_touched(
    period: Period,
    wanted: list[datetime],
    cuts: list[datetime],
    is_open_below: bool,
    is_open_above: bool,
) -> None:
    bounds: list[datetime | None] = [*cuts[: len(cuts) // 2 * 2]]
    if bounds and is_open_below:
        bounds[0] = None
    if bounds and is_open_above:
        bounds[-1] = None
    existing = [Range(*pair) for pair in zip(bounds[::2], bounds[1::2], strict=True)]
    plan = planned(period, wanted, existing)
    everything = [*existing, *(part.range for part in plan)]
    assert len({part.name for part in plan}) == len(plan)
    assert all(is_own_table(part.name) and len(part.name) < 63 for part in plan)
    for time in wanted:
        start = start_of(period, time)
        for probe in (time, start, next_start(period, start) - timedelta(microseconds=1)):
            instant = Range(probe, probe + timedelta(microseconds=1))
            assert sum(range_.overlaps(instant) for range_ in everything) == 1
    assert planned(period, wanted, everything) == []
