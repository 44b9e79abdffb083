"""Read what the stitcher left out of each transaction, in step with `.wal`. Edge: Kafka.

The stitcher writes `.left-out` in the order of `.wal`, partition by partition, so what is known of
the transactions at hand is read up to them and dropped behind them: the memory is that of a window
of transactions, whatever the topics hold.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from runtime.range_reader import RangeReader
from runtime.topic_ranges import Place
from schemas.left_out import LeftOutChanges, parse_left_out
from sink_pg.change_rows import storable_text
from sink_pg.source_counts import Position, SourceTransaction
from sink_pg.table_patterns import Table

RECORDS_PER_READ = 2_000
READ_SECONDS = 0.5

Tables = dict[Table, LeftOutChanges]

log = logging.getLogger(__name__)


class LeftOutReader:
    """What was left out of the transactions that are compared, window by window."""

    def __init__(self, reader: RangeReader, starts: Sequence[Place]) -> None:
        self._reader = reader
        wanted = reader.ranges(starts, [])
        self._ends = {each.partition: each.end for each in wanted}
        self._known: dict[int, dict[Position, Tables]] = {}
        self._reached: dict[int, Position] = {}
        self._epochs: set[str] = set()
        reader.start(wanted)

    def of(self, window: Sequence[SourceTransaction]) -> list[Tables]:
        """Return for each transaction what was left out of it; they are in the order of `.wal`."""
        last = {each.partition: each.position for each in window}
        self._epochs |= {each.position.epoch for each in window}
        while not self._reader.is_done and not all(map(self._is_behind, last, last.values())):
            self._read()
        found = [self._known.get(each.partition, {}).get(each.position, {}) for each in window]
        for partition, position in last.items():
            self._forget(partition, position)
        return found

    def _is_behind(self, partition: int, position: Position) -> bool:
        """Tell whether everything of the partition up to the position was read."""
        if self._reader.next_offsets.get(partition, 0) >= self._ends.get(partition, 0):
            return True
        reached = self._reached.get(partition)
        # Of an epoch that `.wal` has not come to yet.
        return reached is not None and (
            reached.epoch not in self._epochs
            or (reached.epoch == position.epoch and reached.commit_lsn > position.commit_lsn)
        )

    def _read(self) -> None:
        for record in self._reader.read(RECORDS_PER_READ, READ_SECONDS):
            try:
                left_out = parse_left_out(record.value or b"")
            except ValueError as error:
                log.warning("%s [%d] offset %d: %s", *record[:3], error)
                continue
            position = Position(left_out.epoch, left_out.commit_lsn)
            self._reached[record.partition] = position
            # A transaction that was stitched again: what was told last counts.
            self._known.setdefault(record.partition, {})[position] = {
                Table(storable_text(pg_schema), storable_text(name)): changes
                for (pg_schema, name), changes in left_out.tables.items()
            }

    def _forget(self, partition: int, compared: Position) -> None:
        self._known[partition] = {
            position: tables
            for position, tables in self._known.get(partition, {}).items()
            if position.epoch not in self._epochs
            or (position.epoch == compared.epoch and position.commit_lsn > compared.commit_lsn)
        }


def is_left_out(
    left_out: LeftOutChanges, missing_changes: int, missing_ordinals: int | None
) -> bool:
    """Tell whether just what was left out is missing.

    Fewer may be: rows that were stored before a rule was set stay. The ordinals are None where
    nobody knows them.
    """
    if missing_changes == left_out.changes:
        return missing_ordinals is None or missing_ordinals == left_out.ordinals
    return 0 < missing_changes < left_out.changes
