"""Which partitions `changes` should have, by time. Pure: the time of now is an argument.

A partition holds the changes committed in [lower, upper). Periods are days, weeks (from
Monday) or months of UTC. What already stands is respected, whatever its bounds are: only the
ranges between get partitions, so the period may be changed at any time and a table of another
maker may reach into the middle of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import NamedTuple

from schemas.topics import OWN_PARTITION_PREFIX

_BEGINNING = datetime.min.replace(tzinfo=timezone.utc)
_END = datetime.max.replace(tzinfo=timezone.utc)


class Period(str, Enum):
    """How much time a partition holds."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Range(NamedTuple):
    """The times from `lower` on and before `upper`; None is without a bound."""

    lower: datetime | None
    upper: datetime | None

    def overlaps(self, other: Range) -> bool:
        """Return whether any time is in both."""
        return self._begin < other._end and other._begin < self._end

    @property
    def _begin(self) -> datetime:
        return self.lower or _BEGINNING

    @property
    def _end(self) -> datetime:
        return self.upper or _END


class PlannedPartition(NamedTuple):
    """A partition that is not there yet."""

    name: str
    lower: datetime
    upper: datetime

    @property
    def range(self) -> Range:
        """The times it will hold."""
        return Range(self.lower, self.upper)


def planned(
    period: Period, times: Iterable[datetime], existing: Sequence[Range]
) -> list[PlannedPartition]:
    """Return the partitions that are missing for the periods of these times, oldest first."""
    starts = sorted({start_of(period, time) for time in times})
    return [part for start in starts for part in _missing_parts(period, start, existing)]


def upcoming(period: Period, now: datetime, ahead: int) -> Iterator[datetime]:
    """Yield a time in the present period and one in each of so many that follow."""
    start = start_of(period, now)
    for _ in range(ahead + 1):
        yield start
        start = next_start(period, start)


def start_of(period: Period, time: datetime) -> datetime:
    """Return the beginning of the period that holds the time."""
    day = time.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period is Period.MONTH else day


def next_start(period: Period, start: datetime) -> datetime:
    """Return the beginning of the period that follows the one that begins here."""
    if period is Period.DAY:
        return start + timedelta(days=1)
    if period is Period.WEEK:
        return start + timedelta(days=7)
    return (start + timedelta(days=31)).replace(day=1)


def _missing_parts(
    period: Period, start: datetime, existing: Sequence[Range]
) -> Iterator[PlannedPartition]:
    end = next_start(period, start)
    at = start
    for range_ in sorted(existing, key=lambda each: each.lower or _BEGINNING):
        if not range_.overlaps(Range(at, end)):
            continue
        if range_.lower is not None and range_.lower > at:
            yield PlannedPartition(_name(period, start, at), at, range_.lower)
        if range_.upper is None or range_.upper >= end:
            return
        at = range_.upper
    yield PlannedPartition(_name(period, start, at), at, end)


def _name(period: Period, start: datetime, lower: datetime) -> str:
    if period is Period.WEEK:
        year, week, _ = start.isocalendar()
        name = f"y{year:04}w{week:02}"
    else:
        name = f"y{start.year:04}m{start.month:02}"
        if period is Period.DAY:
            name += f"d{start.day:02}"
    # A part of a period is named by where it begins, so that no two have one name.
    part = "" if lower == start else f"_from_{lower:%d_%H%M%S_%f}"
    return f"{OWN_PARTITION_PREFIX}{name}{part}"
