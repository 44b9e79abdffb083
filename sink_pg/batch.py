"""What is stored together, and when there is enough of it. Pure: time is an argument.

A batch knows where each of its partitions was stored up to when it began and where it will
be when the batch is stored; both go into the same transaction as the rows. It drops
redelivered changes and keeps unreadable records as dead letters, and both move the
watermark like any other record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from runtime.errors import DeadLetter
from sink_pg.change_rows import ChangeRow, Record, change_row
from sink_pg.watermark import Watermark

DAYS_SAMPLE = 50
"""Rows of a batch, at least, of which the day is looked at."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch has enough: the first limit that is reached counts."""

    rows: int
    bytes: int
    age_seconds: float


class RefusedRecord(NamedTuple):
    """A record that cannot become a row, and why."""

    record: Record
    reason: str


class Advance(NamedTuple):
    """How one partition's watermark moves; `expected_offset` is None for a new partition."""

    partition: int
    expected_offset: int | None
    watermark: Watermark


class Batch:
    """Records of one topic on their way into one transaction."""

    def __init__(
        self, limits: BatchLimits, watermarks: Mapping[int, Watermark], topic_id: str | None = None
    ) -> None:
        self._limits = limits
        self.topic_id = topic_id
        """The id of the topic that the records are of, where brokers give one."""
        self._stored = dict(watermarks)
        self._reached: dict[int, Watermark] = {}
        self._first_at = 0.0
        self._bytes = 0
        self._records = 0
        self.rows: list[ChangeRow] = []
        self.refused: list[RefusedRecord] = []
        self.redelivered = 0

    def add(self, records: Iterable[Record], now: float) -> None:
        """Take records in the order of their partitions.

        A record below its partition's watermark is ignored whole: it was counted before.
        """
        for record in records:
            watermark = self._reached.get(record.partition) or self._stored.get(record.partition)
            if watermark is None:
                watermark = Watermark(next_offset=0)
            elif record.offset < watermark.next_offset:
                self.redelivered += 1
                continue
            if self._records == 0:
                self._first_at = now
            self._records += 1
            self._bytes += record.size
            self._reached[record.partition] = self._take(record, watermark)

    def _take(self, record: Record, watermark: Watermark) -> Watermark:
        next_offset = record.offset + 1
        try:
            row = change_row(record)
        except DeadLetter as error:
            self.refused.append(RefusedRecord(record, str(error)))
            return watermark._replace(next_offset=next_offset)
        if watermark.covers(row.epoch, row.commit_lsn, row.ordinal):
            self.redelivered += 1
            return watermark._replace(next_offset=next_offset)
        self.rows.append(row)
        return Watermark(next_offset, row.epoch, row.commit_lsn, row.ordinal, self.topic_id)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store, not even progress."""
        return self._records == 0

    @property
    def begins_epoch(self) -> bool:
        """Whether a partition goes on in another epoch than it was stored in."""
        return any(
            reached.epoch is not None
            and ((stored := self._stored.get(partition)) is None or stored.epoch != reached.epoch)
            for partition, reached in self._reached.items()
        )

    @property
    def room(self) -> int:
        """How many records may still be read for this batch; at least one."""
        return max(1, self._limits.rows - self._records)

    def is_full(self, now: float) -> bool:
        """Return whether it is time to store the batch; an empty one is never full."""
        return self._records > 0 and (
            self.is_at_limit or now - self._first_at >= self._limits.age_seconds
        )

    @property
    def is_at_limit(self) -> bool:
        """Whether no more may be read into it."""
        return self._records >= self._limits.rows or self._bytes >= self._limits.bytes

    def seconds_left(self, now: float, when_empty: float) -> float:
        """Return how long the batch may wait for more before its age makes it full."""
        if self._records == 0:
            return when_empty
        return max(0.0, self._first_at + self._limits.age_seconds - now)

    def advances(self) -> list[Advance]:
        """Return how the partitions' watermarks move, in the order of the partitions."""
        return [
            Advance(partition, self._expected_offset(partition), watermark)
            for partition, watermark in sorted(self._reached.items())
        ]

    def commit_days(self) -> set[str]:
        """Return the days, as 2026-01-31, that a sample of the rows was committed on.

        A sample, because it is asked for each batch and only to make partitions in time; a row
        of a day that is not in it has the default partition.
        """
        sample = self.rows[:: max(1, len(self.rows) // DAYS_SAMPLE)] + self.rows[-1:]
        return {row.commit_day for row in sample}

    def _expected_offset(self, partition: int) -> int | None:
        stored = self._stored.get(partition)
        return None if stored is None else stored.next_offset

    def next_batch(self) -> Batch:
        """Return the empty batch that follows once this one is stored."""
        return Batch(self._limits, {**self._stored, **self._reached}, self.topic_id)
