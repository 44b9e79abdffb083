"""Stitch a stretch of `.wal` again. Edge: the loop of a restitching.

    range_reader -> stitch -> change_rules -> change_records -> a Kafka producer -> `.changes`

It stands beside the running stitchers: it joins no group and commits no offset. Each change
gets the id it had, so whoever reads `.changes` can tell it from a new one. Reading begins where
the transaction at the asked place begins, because a context stands before the changes it is for.

A record that cannot be understood was put aside when it was first read; it is only counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from runtime.errors import DeadLetter, StageError
from runtime.kafka_client import Admin, client_settings
from runtime.kafka_topics import (
    TopicSpec,
    WrongPartitionCount,
    ensure_topics,
    partition_count,
)
from runtime.progress_bar import ProgressBar
from runtime.range_reader import KafkaRecord, RangeReader
from runtime.retrying import until_it_works
from runtime.topic_ranges import OffsetRange, Place
from schemas.topics import Topics
from stitcher_stream.boundaries import beginning
from stitcher_stream.change_format import change_encoder
from stitcher_stream.change_records import Encode, change_key, encode_within
from stitcher_stream.change_rules import Fold, LeftOut, context_rules, fold_of, reshaping
from stitcher_stream.errors import OutputRefused, UnreadableRecord
from stitcher_stream.publisher import publisher_configuration, refusal
from stitcher_stream.settings import StitcherSettings
from stitcher_stream.stitch import (
    START,
    State,
    WalRecord,
    after_unreadable,
    committable_offset,
)

RECORDS_PER_READ = 1_000
READ_SECONDS = 0.5
POLL_SECONDS = 0.1
FIRST_STEP_BACK = 1_000
"""How many records before the asked place are searched for a beginning; then twice as many."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RestitchRequest:
    """What to stitch again, and where to put it."""

    starts: tuple[Place, ...] = ()
    ends: tuple[Place, ...] = ()
    into_topic: str | None = None
    """Another topic than `.changes`; it is made where it is missing."""


@dataclass(slots=True)
class Restitched:
    """What became of the records that were read."""

    records: int = 0
    changes: int = 0
    unreadable: int = 0
    is_whole: bool = True


def restitch(settings: StitcherSettings, request: RestitchRequest, stopping: Event) -> Restitched:
    """Stitch what was asked for, to its end or until the event is set.

    Returns when the brokers have acknowledged everything. Raises Stop errors where `.wal` does
    not have the records, or the topic cannot take the changes.
    """
    topics = Topics(settings.topic_prefix)
    target = request.into_topic or topics.changes
    own = (topics.wal, topics.dead_letters, topics.left_out, topics.producer_offsets)
    if request.into_topic in own:
        raise OutputRefused(f"--into-topic {target} is a topic of the pipeline; name another")
    with RangeReader(
        client_settings(settings),
        topics.wal,
        settings.kafka_max_message_bytes,
        "bemi-restitch",
    ) as reader:

        def prepare() -> tuple[int, list[OffsetRange]]:
            _prepare_topic(settings, topics.wal, target)
            return len(reader.edges()), [
                _from_boundary(reader, each, stopping)
                for each in reader.ranges(request.starts, request.ends)
            ]

        prepared = until_it_works(stopping, prepare)
        encode = until_it_works(stopping, lambda: change_encoder(settings))
        if prepared is None or encode is None:
            return Restitched(is_whole=False)
        partitions, wanted = prepared
        for each in wanted:
            log.info("restitching %s [%d] from %d to %d into %s", topics.wal, *each, target)
        restitching = _Restitching(settings, reader, partitions, target, stopping, encode)
        return restitching.run(wanted)


def _prepare_topic(settings: StitcherSettings, wal: str, target: str) -> None:
    admin = Admin(client_settings(settings))
    partitions = partition_count(admin, wal, acl="Read")
    if partitions is None:
        return  # The reader says so.
    config = {
        "max.message.bytes": str(settings.kafka_max_message_bytes),
        "retention.ms": str(settings.changes_retention_ms),
    }
    ensure_topics(admin, [TopicSpec(target, partitions, config)])
    found = partition_count(admin, target, acl="Write")
    if found is not None and found < partitions:
        raise WrongPartitionCount(
            f"topic {target} has {found} partitions and {wal} has {partitions}; a change goes to"
            " the partition its event is in, so name a topic with as many, or one that does not"
            " exist yet"
        )


def _from_boundary(reader: RangeReader, wanted: OffsetRange, stopping: Event) -> OffsetRange:
    """Return the range with its start moved back to where the transaction there begins."""
    first = reader.edges()[wanted.partition].first
    step = FIRST_STEP_BACK
    while wanted.start > first and not stopping.is_set():
        lowest = max(first, wanted.start - step)
        reader.start([OffsetRange(wanted.partition, lowest, wanted.start + 1)])
        begin = beginning(_wal_records(reader, stopping))
        if begin is not None:
            return wanted._replace(start=begin)
        if lowest == first:
            return wanted._replace(start=first)
        step *= 2
    return wanted


class _Restitching:
    def __init__(
        self,
        settings: StitcherSettings,
        reader: RangeReader,
        partitions: int,
        target: str,
        stopping: Event,
        encode: Encode,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._target = target
        self._stopping = stopping
        self._encode = encode
        self._partitions = partitions
        self._folds: dict[int, Fold] = {}
        self._rules = context_rules(settings)
        self._left_out = LeftOut()
        self._reshape = reshaping(settings, self._left_out)
        self._states: dict[int, State] = {}
        self._failure: StageError | None = None
        self._first_offsets: dict[int, int] = {}
        self._done = Restitched()
        self._producer = Producer(
            {**publisher_configuration(settings), "client.id": "bemi-restitch"}
        )

    def run(self, wanted: list[OffsetRange]) -> Restitched:
        begins = sum(each.start for each in wanted)
        total = sum(each.end - each.start for each in wanted)
        self._reader.start(wanted)
        with ProgressBar("restitch", total) as progress:
            while not self._reader.is_done and not self._stopping.is_set():
                for record in self._reader.read(RECORDS_PER_READ, READ_SECONDS):
                    self._take(record)
                self._poll(0)
                progress.move_to(sum(self._reader.next_offsets.values()) - begins)
            while self._producer.flush(POLL_SECONDS):
                self._raise_failure()
        self._raise_failure()
        self._report(wanted)
        return self._done

    def _take(self, record: KafkaRecord) -> None:
        partition = record.partition
        state = self._states.get(partition, START)
        self._done.records += 1
        max_value_bytes = self._settings.kafka_max_message_bytes - 1024  # For key and framing.
        try:
            state, change = self._fold(partition)(state, _wal_record(record), self._rules)
            if change is not None and self._reshape is not None:
                change = self._reshape(change)
            if change is not None:
                value = encode_within(change, max_value_bytes, self._encode)
                self._send(change_key(change), value, partition)
        except DeadLetter as error:
            if isinstance(error, UnreadableRecord):
                state = after_unreadable(state)
            self._done.unreadable += 1
            log.warning(
                "%s [%d] offset %d gives no change: %s", record.topic, partition, record.offset,
                error,
            )  # fmt: skip
        self._states[partition] = state

    def _fold(self, partition: int) -> Fold:
        fold = self._folds.get(partition)
        if fold is None:
            fold = fold_of(self._settings, partition, self._partitions)
            self._folds[partition] = fold
        return fold

    def _send(self, key: bytes, value: bytes, partition: int) -> None:
        while True:
            try:
                self._producer.produce(self._target, value, key, partition, self._delivered)
            except BufferError:
                self._poll(POLL_SECONDS)
            except KafkaException as error:
                raise refusal(error.args[0], self._target) from error
            else:
                self._done.changes += 1
                return

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failure = self._failure or refusal(error, self._target)
        else:
            self._first_offsets.setdefault(message.partition(), message.offset())

    def _poll(self, seconds: float) -> None:
        self._producer.poll(seconds)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._producer.purge()
            raise self._failure

    def _report(self, wanted: list[OffsetRange]) -> None:
        done = self._done
        ignored, dropped = self._left_out.take()
        log.info(
            "restitch: %d records read, %d changes written to %s, %d left out by rules, %d by the"
            " hook, %d records give none",
            done.records, done.changes, self._target, ignored, dropped, done.unreadable,
        )  # fmt: skip
        if self._target == Topics(self._settings.topic_prefix).changes and self._first_offsets:
            places = " ".join(
                f"--from-offset {partition}:{offset}"
                for partition, offset in sorted(self._first_offsets.items())
            )
            log.info(
                "restitch: a running sink takes these for what it has; `bemi-sink replay %s` stores"
                " what the table lacks, and with --replace what came out otherwise", places,
            )  # fmt: skip
        reached = self._reader.next_offsets
        left = {
            each.partition: committable_offset(
                self._states.get(each.partition, START), reached[each.partition]
            )
            for each in wanted
            if reached[each.partition] < each.end
        }
        if left:
            done.is_whole = False
            places = " ".join(f"--from-offset {p}:{offset}" for p, offset in sorted(left.items()))
            log.warning("restitch: stopped before the end; the rest begins at %s", places)


def _wal_records(reader: RangeReader, stopping: Event) -> Iterator[WalRecord]:
    while not reader.is_done and not stopping.is_set():
        yield from map(_wal_record, reader.read(RECORDS_PER_READ, READ_SECONDS))


def _wal_record(record: KafkaRecord) -> WalRecord:
    return WalRecord(record.key, record.value, record.headers, record.offset)
