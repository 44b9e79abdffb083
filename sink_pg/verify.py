"""Compare what the source committed with what is stored. Edge: the loop of a verification.

    `.wal` -> source_counts -> windows of transactions -> SQL on `changes` -> findings
                                                  `.changes`, dead letters ---^

Memory is that of one window of transactions; only findings are kept. What is on its way
while verify starts is left out: it compares up to where the stitcher has committed and, where
the sink lags behind `.changes`, up to the sink's watermark.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import psycopg

from runtime.errors import DeadLetter
from runtime.kafka_client import client_settings
from runtime.progress_bar import ProgressBar
from runtime.range_reader import RangeReader, TopicMissing, committed_offsets
from runtime.retrying import until_it_works
from runtime.topic_ranges import OffsetRange, TimePlace
from schemas.avro import AVRO_MARKS, as_json
from schemas.change_id import Epoch
from schemas.topics import HEADER_COMMIT_LSN, HEADER_EPOCH, Topics
from sink_pg.change_rows import Record, change_row
from sink_pg.connector_counts import ConnectorCounts, counts_for
from sink_pg.errors import CannotCompare
from sink_pg.findings import (
    Finding,
    InTopic,
    OnTheWay,
    TableChanges,
    committed_at,
    explained,
    finding,
)
from sink_pg.left_out_reader import LeftOutReader, is_left_out
from sink_pg.pg_connection import Connection, connect, stage_error
from sink_pg.replay import keep_from
from sink_pg.settings import SinkSettings
from sink_pg.source_counts import PartitionCounts, Position, SourceTransaction, read_event
from sink_pg.statements import statement
from sink_pg.table_patterns import Table, TablePatterns, table_of_line

RECORDS_PER_READ = 2_000
READ_SECONDS = 0.5
LINES_PER_WINDOW = 10_000
MOST_FINDINGS = 1_000
CLOCK_TOLERANCE = timedelta(minutes=10)
"""By how much Kafka's clock may be behind the source's: records are dated by the one and
searched by the other."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Which transactions to verify: by commit time, by commit LSN; all where nothing is given."""

    from_time: datetime | None = None
    to_time: datetime | None = None
    from_lsn: int | None = None
    to_lsn: int | None = None
    """The ends are exclusive."""
    expect_ignored: tuple[str, ...] = ()
    """Patterns of tables of which the stitcher's rules leave changes out."""


@dataclass(slots=True)
class Verified:
    """What was compared and found."""

    transactions: int = 0
    changes: int = 0
    too_old: int = 0
    """Transactions older than the retention of `changes`."""
    left_out: int = 0
    """Changes that are missing because the stitcher's rules or hook left them out."""
    ignored: int = 0
    """Changes that are missing as --expect-ignored has it."""
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    """How many there are beyond those that are kept."""

    def add(self, found: Finding) -> None:
        """Take a finding."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(found)
        else:
            self.more_findings += 1


def verify(settings: SinkSettings, request: VerifyRequest, stopping: Event) -> Verified:
    """Compare, and explain what is missing.

    Raises CannotCompare, or another Stop, where nothing can be said.
    """
    connection = connect(settings)
    try:
        return _Verification(settings, request, connection, stopping).run()
    except psycopg.errors.UndefinedTable as error:
        raise CannotCompare("the destination has no table public.changes of the sink's") from error
    except psycopg.Error as error:
        raise stage_error(error) from error
    finally:
        connection.close()


class _Verification:
    def __init__(
        self,
        settings: SinkSettings,
        request: VerifyRequest,
        connection: Connection,
        stopping: Event,
    ) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._request = request
        self._connection = connection
        self._stopping = stopping
        self._expect_ignored = TablePatterns(request.expect_ignored)
        self._keep_from = keep_from(settings)
        self._watermarks: dict[int, Position] = {}
        self._window: list[SourceTransaction] = []
        self._left_out: LeftOutReader | None = None
        self._verified = Verified()

    def run(self) -> Verified:
        with self._reader(self._topics.wal) as wal:
            wanted = until_it_works(self._stopping, lambda: self._settled(wal))
            if wanted is None:
                raise CannotCompare("stopped before anything was compared")
            with ExitStack() as reading:
                self._left_out = self._open_left_out(reading)
                self._read(wal, wanted)
        if not self._verified.transactions and not self._verified.findings:
            raise CannotCompare(
                f"there is no transaction to compare: {self._topics.wal} has none in the range that"
                " the stitcher and the sink are done with. Check the range and BEMI_TOPIC_PREFIX,"
                " and that both have run"
            )
        if self._verified.findings:
            self._explain()
        return self._verified

    def _reader(self, topic: str) -> RangeReader:
        settings = self._settings
        return RangeReader(
            client_settings(settings), topic, settings.kafka_max_message_bytes, "bemi-verify"
        )

    def _open_left_out(self, reading: ExitStack) -> LeftOutReader | None:
        """Return what tells what was left out, None where the stitcher never had a rule."""
        reader = reading.enter_context(self._reader(self._topics.left_out))
        try:
            return LeftOutReader(reader, self._starts())
        except TopicMissing:
            return None

    def _starts(self) -> list[TimePlace]:
        from_time = self._request.from_time
        return [] if from_time is None else [_place(from_time - CLOCK_TOLERANCE)]

    def _settled(self, wal: RangeReader) -> list[OffsetRange]:
        """Return the records of `.wal` whose changes are stored, and note where not all are.

        In this order: what the stitcher has committed is in `.changes` before its end is read.
        """
        ranges = wal.ranges(self._starts(), [])
        stitched = committed_offsets(
            client_settings(self._settings),
            self._topics.stitcher_group,
            self._topics.wal,
            [each.partition for each in ranges],
        )
        with self._reader(self._topics.changes) as changes:
            ends = {partition: edges.end for partition, edges in changes.edges().items()}
        rows: Iterable[Any] = self._connection.execute(
            statement("progress_of_topic"), {"topic": self._topics.changes}
        )
        progress = {partition: tuple(rest) for partition, *rest in rows}
        settled = []
        for each in ranges:
            next_offset, epoch, commit_lsn = progress.get(each.partition, (0, None, 0))
            if next_offset < ends.get(each.partition, 0):
                log.warning(
                    "the sink is %d records behind in partition %d; what they are of is left out",
                    ends[each.partition] - next_offset, each.partition,
                )  # fmt: skip
                if epoch is None:
                    continue
                self._watermarks[each.partition] = Position(epoch, commit_lsn)
            end = min(each.end, stitched[each.partition])
            if each.start < end:
                settled.append(each._replace(end=end))
        return settled

    def _read(self, wal: RangeReader, wanted: list[OffsetRange]) -> None:
        begins_at = {each.partition: each.start for each in wanted}
        counts: dict[int, PartitionCounts | ConnectorCounts] = {}
        total = sum(each.end - each.start for each in wanted)
        begins = sum(each.start for each in wanted)
        partitions = len(wal.edges())
        done: set[int] = set()
        lines = 0
        wal.start(wanted)
        with ProgressBar("verify", total) as progress:
            while not wal.is_done:
                if self._stopping.is_set():
                    raise CannotCompare("stopped before the end")
                for record in wal.read(RECORDS_PER_READ, READ_SECONDS):
                    if record.partition in done:
                        continue
                    partition = record.partition
                    if partition not in counts:
                        counts[partition] = counts_for(
                            record, begins_at[partition] == 0, partitions
                        )
                    transaction = counts[partition].take(record)
                    if transaction is None:
                        continue
                    if self._is_behind_watermark(transaction):
                        done.add(partition)
                    elif self._is_wanted(transaction):
                        lines += self._take(transaction)
                if lines >= LINES_PER_WINDOW:
                    self._compare()
                    lines = 0
                progress.move_to(sum(wal.next_offsets.values()) - begins)
        self._compare()
        for partition_counts in counts.values():
            for transaction in partition_counts.unfinished():
                if self._is_wanted(transaction):
                    self._add(transaction, "it was cut off in .wal and never came again whole")

    def _is_behind_watermark(self, transaction: SourceTransaction) -> bool:
        watermark = self._watermarks.get(transaction.partition)
        position = transaction.position
        return (
            watermark is not None
            and position.epoch == watermark.epoch
            and position.commit_lsn >= watermark.commit_lsn
        )

    def _is_wanted(self, transaction: SourceTransaction) -> bool:
        request, lsn = self._request, transaction.position.commit_lsn
        if (request.from_lsn is not None and lsn < request.from_lsn) or (
            request.to_lsn is not None and lsn >= request.to_lsn
        ):
            return False
        at = committed_at(transaction)
        if at is None:
            return True
        if (request.from_time is not None and at < request.from_time) or (
            request.to_time is not None and at >= request.to_time
        ):
            return False
        if self._keep_from is not None and at < self._keep_from:
            self._verified.too_old += 1
            return False
        return True

    def _take(self, transaction: SourceTransaction) -> int:
        """Judge what `.wal` alone tells, and keep the rest for the window; return its lines."""
        verified = self._verified
        verified.transactions += 1
        for gap in transaction.gaps:
            self._add(transaction, f"the producer recorded a gap before it: {gap}")
        for table, count in transaction.undeclared():
            declared = "nothing" if count.declared is None else str(count.declared)
            self._add(
                transaction,
                f"{table}: its END counts {declared}, but .wal has {count.changes} changes"
                + (f" and {transaction.unreadable} unreadable" if transaction.unreadable else ""),
            )
        lines = 0
        for count in transaction.tables.values():
            verified.changes += count.changes
            lines += count.changes > 0
        if lines and committed_at(transaction) is None:
            self._add(transaction, "its records do not say when it was committed")
        elif lines:
            self._window.append(transaction)
        return lines

    def _add(self, transaction: SourceTransaction, reason: str) -> None:
        self._verified.add(finding(transaction, self._topics.wal, reason))

    def _compare(self) -> None:
        window, self._window = self._window, []
        if not window:
            return
        connection = self._connection
        with connection.transaction():
            connection.execute(statement("create_expected"))
            with connection.cursor().copy(statement("copy_expected")) as copy:
                for number, transaction in enumerate(window):
                    for table, count in transaction.tables.items():
                        if count.changes:
                            copy.write_row(
                                (
                                    number, transaction.system_identifier, transaction.database,
                                    *_identity(transaction), committed_at(transaction), *table,
                                    count.changes,
                                    None if transaction.is_of_connector else count.ordinals,
                                )
                            )  # fmt: skip
            connection.execute(statement("analyze_expected"))
            times = [at for each in window if (at := committed_at(each)) is not None]
            rows: list[Any] = connection.execute(
                statement("compare_expected"), {"oldest": min(times), "newest": max(times)}
            ).fetchall()
        left_out = self._left_out.of(window) if self._left_out is not None else [{}] * len(window)
        for number, pg_schema, name, expected, stored, missing_ordinals in rows:
            table = Table(pg_schema, name)
            by_rules = left_out[number].get(table)
            if by_rules is not None:
                if is_left_out(by_rules, expected - stored, missing_ordinals):
                    self._verified.left_out += expected - stored
                    continue
                expected -= by_rules.changes
            if stored <= expected and self._expect_ignored.match(table):
                self._verified.ignored += expected - stored
                continue
            self._verified.add(
                finding(window[number], self._topics.wal, "", table, expected, stored)
            )

    def _explain(self) -> None:
        """Look for what is missing in the places between `.wal` and the table."""
        found = self._verified.findings
        asked = {each.changes: InTopic() for each in found if each.changes is not None}
        if not asked:
            return
        way = OnTheWay(asked)
        oldest = min(each.committed_at for each in found if each.committed_at is not None)
        with self._reader(self._topics.changes) as changes:
            way.oldest_offsets = {p: edges.first for p, edges in changes.edges().items()}
            changes.start(changes.ranges([_place(oldest - CLOCK_TOLERANCE)], []))
            while not changes.is_done and not self._stopping.is_set():
                for record in changes.read(RECORDS_PER_READ, READ_SECONDS):
                    with suppress(DeadLetter):
                        row = change_row(Record(*record))
                        key = _key(row.epoch, row.commit_lsn, table_of_line(row.line))
                        if key in asked:
                            asked[key].add(row.ordinal, record.partition, record.offset)
        self._count_put_aside(way, asked)
        self._verified.findings = [explained(each, way) for each in found]

    def _count_put_aside(self, way: OnTheWay, asked: Mapping[TableChanges, InTopic]) -> None:
        with suppress(TopicMissing), self._reader(self._topics.dead_letters) as dead_letters:
            dead_letters.start(dead_letters.ranges([], []))
            while not dead_letters.is_done and not self._stopping.is_set():
                for record in dead_letters.read(RECORDS_PER_READ, READ_SECONDS):
                    headers = {name: value or b"" for name, value in record.headers}
                    source = _members(record.value).get("source")
                    epoch, lsn = headers.get(HEADER_EPOCH), headers.get(HEADER_COMMIT_LSN)
                    if isinstance(source, dict) and epoch and lsn and lsn.isdigit():
                        table = Table(str(source.get("schema")), str(source.get("table")))
                        way.put_aside_by_stitcher[_key(epoch.decode(), int(lsn), table)] += 1
        rows: Iterable[Any] = self._connection.execute(
            statement("dead_letters_of_topic"), {"topic": self._topics.changes}
        )
        for (value,) in rows:
            change = _members(value)
            epoch, lsn = change.get("epoch"), change.get("commit_lsn")
            if isinstance(epoch, str) and isinstance(lsn, int):
                table = Table(str(change.get("schema")), str(change.get("table")))
                way.put_aside_by_sink[_key(epoch, lsn, table)] += 1


def _identity(transaction: SourceTransaction) -> tuple[int | None, int | None]:
    """Return the commit LSN and the id by which `changes` knows the transaction."""
    if transaction.is_of_connector:
        return None, int(transaction.xid)
    return transaction.position.commit_lsn, None


def _place(moment: datetime) -> TimePlace:
    return TimePlace(int(moment.timestamp() * 1000))


def _key(epoch: str, commit_lsn: int, table: Table) -> TableChanges:
    try:
        system_identifier = str(Epoch.parse(epoch).system_identifier)
    except ValueError:
        system_identifier = epoch
    return TableChanges(system_identifier, commit_lsn, table)


def _members(value: bytes | None) -> dict[str, Any]:
    value = value or b""
    with suppress(ValueError):
        return read_event(as_json(value) if value[:1] in AVRO_MARKS else value)
    return {}
