"""What verify finds, and what it means: where on its way a change went missing. Pure.

The same changes are counted at three places: `.wal`, which is what the source committed;
`.changes`, which is what the stitcher made of it; the table. Records that were put aside on
the way are known by the transaction they are of.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from schemas.change_id import format_lsn
from sink_pg.source_counts import SourceTransaction
from sink_pg.table_patterns import Table

_FAR = 1 << 28
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class TableChanges(NamedTuple):
    """The changes of one table in one transaction."""

    system_identifier: str
    commit_lsn: int
    table: Table


@dataclass(frozen=True, slots=True)
class Finding:
    """A transaction of which something is not as the source committed it."""

    commit_lsn: int
    xid: str
    committed_at: datetime | None
    origin: str
    """Topic, partition and offset of its last record in `.wal`."""
    reason: str
    changes: TableChanges | None = None
    expected: int = 0
    stored: int = 0

    def __str__(self) -> str:
        what = "" if self.changes is None else f"{self.changes.table}: "
        at = "" if self.committed_at is None else f" of {self.committed_at.isoformat()}"
        return (
            f"commit LSN {format_lsn(self.commit_lsn)}, transaction {self.xid}{at}, {self.origin}:"
            f" {what}{self.reason}"
        )


@dataclass(slots=True)
class InTopic:
    """What `.changes` has of the changes that a finding is about."""

    partition: int = 0
    first_offset: int = -1
    """-1 where there is none."""
    _ordinals: bytearray = field(default_factory=bytearray)
    _far: set[int] = field(default_factory=set)
    """Ordinals of a connector's stream are LSNs, for which the bits would be gigabytes."""

    def add(self, ordinal: int, partition: int, offset: int) -> None:
        """Take one record; one that is there again is counted once."""
        if self.first_offset < 0:
            self.partition, self.first_offset = partition, offset
        if ordinal >= _FAR:
            self._far.add(ordinal)
            return
        at = ordinal >> 3
        if at >= len(self._ordinals):
            self._ordinals.extend(bytes(at + 1 - len(self._ordinals)))
        self._ordinals[at] |= 1 << (ordinal & 7)

    @property
    def changes(self) -> int:
        """How many different changes there are."""
        return int.from_bytes(self._ordinals, "big").bit_count() + len(self._far)


@dataclass(slots=True)
class OnTheWay:
    """What stands behind `.wal` of the changes that findings are about."""

    in_topic: dict[TableChanges, InTopic]
    put_aside_by_stitcher: Counter[TableChanges] = field(default_factory=Counter)
    put_aside_by_sink: Counter[TableChanges] = field(default_factory=Counter)
    oldest_offsets: dict[int, int] = field(default_factory=dict)
    """Where each partition of `.changes` begins; behind 0 something was removed."""


def finding(
    transaction: SourceTransaction,
    topic: str,
    reason: str,
    table: Table | None = None,
    expected: int = 0,
    stored: int = 0,
) -> Finding:
    """Return a finding about the transaction, or about one table in it."""
    commit_lsn = transaction.position.commit_lsn
    changes = None
    if table is not None:
        changes = TableChanges(transaction.system_identifier, commit_lsn, table)
    return Finding(
        commit_lsn,
        transaction.xid,
        committed_at(transaction),
        f"{topic} [{transaction.partition}] offset {transaction.offset}",
        reason,
        changes,
        expected,
        stored,
    )


def committed_at(transaction: SourceTransaction) -> datetime | None:
    """Return the transaction's commit time, None where nothing in it says so."""
    microseconds = transaction.committed_at_us
    if microseconds is None:
        return None
    return _UNIX_EPOCH + timedelta(microseconds=microseconds)


def explained(found: Finding, way: OnTheWay) -> Finding:
    """Return the finding with the place where its changes went missing."""
    changes = found.changes
    if changes is None:
        return found
    in_topic = way.in_topic.get(changes, InTopic())
    counts = f"{found.expected} expected, {in_topic.changes} in .changes, {found.stored} stored"
    return replace(found, reason=f"{counts}: {'; '.join(_reasons(found, changes, in_topic, way))}")


def _reasons(found: Finding, changes: TableChanges, in_topic: InTopic, way: OnTheWay) -> list[str]:
    reasons = []
    aside, refused = way.put_aside_by_stitcher[changes], way.put_aside_by_sink[changes]
    if found.stored > found.expected:
        reasons.append("more rows than the source has changes: doubled, or written by another")
    elif found.stored == found.expected:
        reasons.append("as many rows as changes, but not the same ones")
    if (missing := found.expected - in_topic.changes - aside) > 0:
        if way.oldest_offsets.get(in_topic.partition, 0) > 0:
            reasons.append(f"{missing} not in .changes, whose retention has removed older records")
        else:
            reasons.append(
                f"{missing} left out by a rule or hook of the stitcher (if so, name the table by"
                " --expect-ignored), or lost by it; `bemi-stitcher restitch` makes them again"
            )
    if aside:
        reasons.append(f"{aside} put aside by the stitcher, see the topic .dead-letters")
    if (missing := in_topic.changes - found.stored - refused) > 0:
        place = f"{in_topic.partition}:{in_topic.first_offset}"
        reasons.append(
            f"{missing} removed from the table, or lost by the sink;"
            f" `bemi-sink replay --from-offset {place}` stores them"
        )
    if refused:
        reasons.append(f"{refused} put aside by the sink, see `bemi-sink dead-letters list`")
    return reasons
