"""Which records of a topic to read again: from a place to a place in each partition. Pure.

A place is an offset in one partition, `P:N`, or a moment, which stands for the first record
of each partition that Kafka dates at or after it. The end is exclusive in both forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from runtime.errors import Stop


class UnusablePlace(Stop):
    """A place in the topic was given that cannot be understood."""


class RangeNotThere(Stop):
    """The topic does not have the records that were asked for."""


class OffsetPlace(NamedTuple):
    """A record of one partition."""

    partition: int
    offset: int


class TimePlace(NamedTuple):
    """The first record of each partition from this moment on."""

    milliseconds: int


Place = OffsetPlace | TimePlace


class OffsetRange(NamedTuple):
    """The records of a partition from `start` up to, not with, `end`."""

    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PartitionEdges:
    """What a partition holds, and where the moments that were asked for fall in it.

    `at` has the offset of the first record at or after each moment (milliseconds), which is
    `end` where all records are older.
    """

    first: int
    end: int
    at: Mapping[int, int]


def parse_offset(text: str) -> OffsetPlace:
    """Return the place written as `P:N`: partition and offset.

    Raises UnusablePlace.
    """
    partition, colon, offset = text.partition(":")
    if not (colon and _is_number(partition) and _is_number(offset)):
        raise UnusablePlace(f"{text!r} is not a place: write partition and offset, as in 0:1500")
    return OffsetPlace(int(partition), int(offset))


def parse_time(text: str) -> TimePlace:
    """Return the moment, written as ISO 8601; without a zone it is in UTC.

    Raises UnusablePlace.
    """
    return TimePlace(int(parse_moment(text).timestamp() * 1000))


def parse_place(text: str) -> Place:
    """Return the place, in either form; raises UnusablePlace."""
    if _is_number(text.replace(":", "", 1)) and ":" in text:
        return parse_offset(text)
    return parse_time(text)


def parse_moment(text: str) -> datetime:
    """Return the moment with its zone, UTC where none is given; raises UnusablePlace."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnusablePlace(
            f"{text!r} is neither a place such as 0:1500 nor a time such as 2026-01-31T08:00:00Z"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def moments(places: Iterable[Place]) -> frozenset[int]:
    """Return the moments among the places, for `PartitionEdges.at`."""
    return frozenset(place.milliseconds for place in places if isinstance(place, TimePlace))


def ranges(
    topic: str,
    starts: Sequence[Place],
    ends: Sequence[Place],
    partitions: Mapping[int, PartitionEdges],
) -> list[OffsetRange]:
    """Return what to read, by partition; a partition without any record in it is left out.

    Where offsets are given, the partitions without one are left out. Without a start reading
    begins at the oldest record, without an end it goes to the newest of this moment. Raises
    UnusablePlace for places that contradict each other, RangeNotThere where the topic does
    not have them.
    """
    named_starts, start_moment = _by_partition(topic, "start", starts, partitions)
    named_ends, end_moment = _by_partition(topic, "end", ends, partitions)
    found = []
    for partition, edges in sorted(partitions.items()):
        if named_starts and partition not in named_starts:
            continue
        if not named_starts and named_ends and partition not in named_ends:
            continue
        start = edges.first if start_moment is None else edges.at[start_moment]
        end = edges.end if end_moment is None else edges.at[end_moment]
        start, end = named_starts.get(partition, start), named_ends.get(partition, end)
        _refuse_missing(topic, OffsetRange(partition, start, end), edges)
        if start < end:
            found.append(OffsetRange(partition, start, end))
    return found


def _by_partition(
    topic: str, which: str, places: Sequence[Place], partitions: Mapping[int, PartitionEdges]
) -> tuple[dict[int, int], int | None]:
    named: dict[int, int] = {}
    moment: int | None = None
    for place in places:
        if isinstance(place, TimePlace):
            if moment is not None:
                raise UnusablePlace(f"two times are given as the {which}; give one")
            moment = place.milliseconds
        elif place.partition in named:
            raise UnusablePlace(f"two {which} offsets are given for partition {place.partition}")
        elif place.partition not in partitions:
            raise RangeNotThere(
                f"topic {topic} has no partition {place.partition}; it has {len(partitions)},"
                " numbered from 0"
            )
        else:
            named[place.partition] = place.offset
    if named and moment is not None:
        raise UnusablePlace(f"the {which} is given as a time and as offsets; give one of them")
    return named, moment


def _refuse_missing(topic: str, wanted: OffsetRange, edges: PartitionEdges) -> None:
    if wanted.start < edges.first:
        raise RangeNotThere(
            f"{topic} [{wanted.partition}] does not have offset {wanted.start} any more: the"
            f" topic's retention removed everything before {edges.first}. What is left begins"
            f" with {wanted.partition}:{edges.first}"
        )
    for offset in (wanted.start, wanted.end):
        if offset > edges.end:
            raise RangeNotThere(
                f"{topic} [{wanted.partition}] has no offset {offset}: it ends at {edges.end}"
            )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
