"""Write `.wal`, start stitchers, and look at what they leave in Kafka."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.topics import Topics
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import TopicRecord, committed_offsets, read_topic
from tests.fixtures.waiting import eventually
from tests.fixtures.wal_records import RawRecord, WalTransaction, all_records

PARTITIONS = 2
STITCHER = "bemi-stitcher"
# The stitcher's own command writes the logger's name; `faust worker` has a form of its own.
READY = re.compile(r"(stitcher_stream\.app:|\[INFO\]) ready\s*$", re.MULTILINE)
END_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WalTopic:
    """The topics of one pipeline on the test's broker."""

    bootstrap_servers: str
    prefix: str
    admin: AdminClient
    start_stage: StartStage

    @property
    def topics(self) -> Topics:
        return Topics(self.prefix)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "BEMI_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "BEMI_TOPIC_PREFIX": self.prefix,
            "BEMI_STITCHER_COMMIT_INTERVAL_SECONDS": "0.1",
            "BEMI_STITCHER_SESSION_TIMEOUT_SECONDS": "6",
        }

    def make(
        self, topic: str, config: Mapping[str, str] | None = None, partitions: int = PARTITIONS
    ) -> None:
        """Make a topic."""
        new = NewTopic(topic, num_partitions=partitions, config=dict(config or {}))
        for made in self.admin.create_topics([new]).values():
            made.result(timeout=END_SECONDS)

    def publisher(self, **config: Any) -> Producer:
        """Return a Kafka producer that keeps order."""
        return Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "enable.idempotence": True,
                "message.max.bytes": 64 * 1024 * 1024,
                "compression.type": "lz4",
                **config,
            }
        )

    def write(self, transactions: Iterable[WalTransaction]) -> None:
        """Append the transactions, each to the partition of its id, and wait for them."""
        publisher = self.publisher()
        for transaction in transactions:
            send(publisher, self.topics.wal, transaction.records, transaction.xid % PARTITIONS)
        assert publisher.flush(END_SECONDS) == 0

    def start(self, **environ: str) -> StageProcess:
        """Start a stitcher; it need not have begun to work."""
        return self.start_stage(STITCHER, [STITCHER], self.environ | environ)

    def start_ready(self, **environ: str) -> StageProcess:
        """Start a stitcher and wait until the group has taken it in."""
        stage = self.start(**environ)
        wait_ready(stage)
        return stage

    def changes(self) -> list[TopicRecord]:
        """Return all records of `.changes`, replays included."""
        return read_topic(self.bootstrap_servers, self.topics.changes)

    def change_count(self) -> int:
        """Return how many records `.changes` has, without reading them."""
        return sum(self.end_offsets(self.topics.changes))

    def end_offsets(self, topic: str) -> list[int]:
        """Return the end of each partition."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": "none"})
        try:
            return [
                consumer.get_watermark_offsets(TopicPartition(topic, partition), END_SECONDS)[1]
                for partition in range(PARTITIONS)
            ]
        except KafkaException as error:
            # A broker that has just started may not lead its partitions yet.
            raise AssertionError(f"the ends of {topic} cannot be read: {error}") from error
        finally:
            consumer.close()

    def committed(self) -> list[int | None]:
        """Return the group's committed offset of each partition of `.wal`."""
        group = f"{self.prefix}.stitcher"
        return committed_offsets(self.bootstrap_servers, group, self.topics.wal, PARTITIONS)

    def wait_for_changes(self, count: int, timeout_seconds: float = END_SECONDS) -> None:
        """Wait until `.changes` has at least so many records."""

        def check() -> None:
            found = self.change_count()
            assert found >= count, f"{found} of {count} changes"

        eventually(check, timeout_seconds)

    def wait_for_commit(self) -> None:
        """Wait until everything in `.wal` is committed."""

        def check() -> None:
            ends: list[int | None] = [end or None for end in self.end_offsets(self.topics.wal)]
            assert self.committed() == ends

        eventually(check, END_SECONDS)


def wait_ready(stage: StageProcess) -> None:
    """Wait until the stitcher has said that it is ready."""

    def check() -> None:
        assert stage.is_running, stage.output()
        assert READY.search(stage.output())

    eventually(check)


def send(publisher: Producer, topic: str, records: Iterable[RawRecord], partition: int) -> None:
    """Hand the records to the publisher, waiting where its queue is full."""
    for record in records:
        while True:
            try:
                publisher.produce(
                    topic,
                    record.value,
                    record.key,
                    partition,
                    headers=[(name, value) for name, value in record.headers],
                )
            except BufferError:
                publisher.poll(0.1)
            else:
                break
    publisher.poll(0)


def without_replays(records: Iterable[TopicRecord]) -> list[dict[str, Any]]:
    """Return the changes as a sink takes them: by a watermark in each partition.

    Also asserts what the watermark rests on: a step back begins a replay, and within one
    (commit_lsn, ordinal) only grows.
    """
    fresh = []
    watermarks: dict[int, tuple[int, int]] = {}
    last: dict[int, tuple[int, int]] = {}
    seen: dict[int, set[tuple[int, int]]] = {}
    for record in records:
        change = json.loads(record.value or b"")
        place = (change["commit_lsn"], change["ordinal"])
        partition = record.partition
        if place <= last.get(partition, (0, -1)):
            assert place in seen[partition], "a step back to what was never there"
        last[partition] = place
        seen.setdefault(partition, set()).add(place)
        if place > watermarks.get(partition, (0, -1)):
            watermarks[partition] = place
            fresh.append(change)
    return fresh


def assert_each_once(
    records: Iterable[TopicRecord], transactions: Iterable[WalTransaction]
) -> None:
    """Assert that every change is there once after replays, in its place, in its context."""
    expected = {}
    for transaction in transactions:
        for record in all_records([transaction]):
            event = json.loads(record.value or b"{}")
            if event.get("op") == "c":
                row_id = event["after"]["id"]
                expected[row_id] = (transaction.commit_lsn, {"request": transaction.xid})
    fresh = without_replays(records)
    found = {change["after"]["id"]: (change["commit_lsn"], change["context"]) for change in fresh}
    assert len(fresh) == len(expected)
    assert found == expected
    assert not [change["context_error"] for change in fresh if change["context_error"]]
