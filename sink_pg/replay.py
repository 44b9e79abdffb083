"""Read a stretch of `.changes` again and store what is missing. Edge: the loop of a replay.

    range_reader -> change_rows -> replay_writer -> `changes`, or another table

It stands beside the running sink: it joins no group, commits no offset and moves no
watermark. What it stores is decided by the changes' ids, so it may be stopped anywhere and
started again, from the same place or from the one it names in the end.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from threading import Event

from runtime.errors import DeadLetter, Stop
from runtime.kafka_client import Admin, client_settings
from runtime.kafka_topics import topic_ids
from runtime.progress_bar import ProgressBar
from runtime.range_reader import KafkaRecord, RangeReader
from runtime.retrying import until_it_works
from runtime.topic_ranges import OffsetRange, Place
from schemas.topics import OWN_PARTITION_PREFIX, OWN_SCHEMA, OWN_TABLES, Topics
from sink_pg.batch import RefusedRecord
from sink_pg.change_rows import ChangeRow, Record, change_row
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.replay_writer import CHANGES, ReplayWriter
from sink_pg.settings import SinkSettings
from sink_pg.table_patterns import TablePatterns, table_of_line

RECORDS_PER_READ = 500
READ_SECONDS = 0.5

log = logging.getLogger(__name__)


class UnusableTarget(Stop):
    """The table named by --into is one of the sink's own."""


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to read again and where to put it."""

    starts: tuple[Place, ...] = ()
    ends: tuple[Place, ...] = ()
    tables: tuple[str, ...] = ()
    """Patterns over `schema.table`; without any, all tables."""
    into: str | None = None
    """Another table, `name` or `schema.name`; it is made where it is missing."""
    is_replacing: bool = False
    """Whether stored changes get what was stitched last."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the records that were read: each is in one of the five below `records`."""

    records: int = 0
    stored: int = 0
    replaced: int = 0
    left_out: int = 0
    """Changes of tables that were not asked for."""
    refused: int = 0
    known: int = 0
    """Changes that were stored before, are repeated, or are older than what is kept."""
    is_whole: bool = True

    def __str__(self) -> str:
        return (
            f"{self.records} records read, {self.stored} stored, {self.replaced} replaced,"
            f" {self.known} there before, {self.left_out} of other tables,"
            f" {self.refused} could not be stored"
        )


def replay(settings: SinkSettings, request: ReplayRequest, stopping: Event) -> Replayed:
    """Replay what was asked for, to its end or until the event is set.

    Waits for the database and the brokers where they do not answer. Raises Stop errors where
    the topic does not have the records or the table cannot take them.
    """
    target = _target(request)
    writer = ReplayWriter(settings, target, request.is_replacing, keep_from(settings, target))
    topic = Topics(settings.topic_prefix).changes
    try:
        with RangeReader(
            client_settings(settings), topic, settings.kafka_max_message_bytes, "bemi-replay"
        ) as reader:
            until_it_works(stopping, writer.prepare)
            erasures = ErasureTopic(settings)
            until_it_works(stopping, lambda: writer.load_erasures(erasures))
            admin = Admin(client_settings(settings))
            ids = until_it_works(stopping, lambda: topic_ids(admin, [topic]))
            wanted = until_it_works(stopping, lambda: reader.ranges(request.starts, request.ends))
            if wanted is None or ids is None:
                return Replayed(is_whole=False)
            for each in wanted:
                log.info("replaying %s [%d] from %d to %d", topic, *each)
            topic_id = ids.get(topic, "")
            return _Replay(settings, request, reader, writer, stopping, topic_id).run(wanted)
    finally:
        writer.close()


def keep_from(settings: SinkSettings, target: tuple[str, ...] = CHANGES) -> datetime | None:
    """Return the oldest commit time that the retention of `changes` keeps for sure."""
    days = settings.retention_days
    if days is None or target != CHANGES:
        return None
    return datetime.now(timezone.utc) - timedelta(days=days)


class _Replay:
    def __init__(
        self,
        settings: SinkSettings,
        request: ReplayRequest,
        reader: RangeReader,
        writer: ReplayWriter,
        stopping: Event,
        topic_id: str,
    ) -> None:
        self._settings = settings
        self._topic_id = topic_id
        self._patterns = TablePatterns(request.tables)
        self._reader = reader
        self._writer = writer
        self._stopping = stopping
        self._sum = Replayed()

    def run(self, wanted: list[OffsetRange]) -> Replayed:
        begins = {each.partition: each.start for each in wanted}
        total = sum(each.end - each.start for each in wanted)
        self._reader.start(wanted)
        stored_up_to = begins
        with ProgressBar("replay", total) as progress:
            while not self._reader.is_done and not self._stopping.is_set():
                if not self._store(self._batch()):
                    break
                stored_up_to = self._reader.next_offsets
                progress.move_to(sum(stored_up_to.values()) - sum(begins.values()))
        log.info("replay: %s", self._sum)
        left = {
            each.partition: stored_up_to[each.partition]
            for each in wanted
            if stored_up_to[each.partition] < each.end
        }
        if left:
            places = " ".join(f"--from-offset {p}:{offset}" for p, offset in sorted(left.items()))
            log.warning("replay: stopped before the end; the rest begins at %s", places)
        return replace(self._sum, is_whole=not left)

    def _batch(self) -> list[KafkaRecord]:
        records: list[KafkaRecord] = []
        size = 0
        while (
            len(records) < self._settings.batch_rows
            and size < self._settings.batch_bytes
            and not self._reader.is_done
            and not self._stopping.is_set()
        ):
            room = self._settings.batch_rows - len(records)
            more = self._reader.read(min(room, RECORDS_PER_READ), READ_SECONDS)
            records += more
            size += sum(len(record.value or b"") for record in more)
        return records

    def _store(self, records: list[KafkaRecord]) -> bool:
        rows: list[ChangeRow] = []
        refused: list[RefusedRecord] = []
        left_out = 0
        for kafka_record in records:
            record = Record(*kafka_record)
            try:
                row = change_row(record)
            except DeadLetter as error:
                refused.append(RefusedRecord(record, str(error)))
                continue
            if self._patterns and not self._patterns.match(table_of_line(row.line)):
                left_out += 1
            else:
                rows.append(row)
        stored = until_it_works(
            self._stopping, lambda: self._writer.store(rows, refused, self._topic_id)
        )
        if stored is None:
            return False
        before = self._sum
        counted = stored.inserted + stored.replaced + left_out + stored.refused
        self._sum = Replayed(
            before.records + len(records),
            before.stored + stored.inserted,
            before.replaced + stored.replaced,
            before.left_out + left_out,
            before.refused + stored.refused,
            before.known + len(records) - counted,
        )
        return True


def _target(request: ReplayRequest) -> tuple[str, ...]:
    if request.into is None:
        return CHANGES
    pg_schema, _, name = request.into.rpartition(".")
    pg_schema = pg_schema or OWN_SCHEMA
    if pg_schema == OWN_SCHEMA and name in OWN_TABLES:
        raise UnusableTarget(
            f"--into {request.into}: that table is the sink's own; name another, or leave --into"
            " away to store what `changes` lacks"
        )
    if not name.startswith(OWN_PARTITION_PREFIX):
        log.warning(
            "if the destination is the tracked database, table %s is tracked as well; a name that"
            " begins with %s is not", request.into, OWN_PARTITION_PREFIX,
        )  # fmt: skip
    return pg_schema, name
