"""Kafka's only disk is lost under load: with BEMI_CONFIRM_AFTER=sink no change goes with it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from deploy.local.requirements import missing
from runtime.group_lag import GroupLag
from runtime.kafka_client import Admin
from schemas.change_id import parse_lsn
from tests.faults.under_load import wait_for_transactions, wait_until_stored, writing
from tests.fixtures.load import SCHEMA
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.postgres import Database
from tests.fixtures.servers import unavailable
from tests.fixtures.stages import StartStage
from tests.fixtures.waiting import eventually

SECONDS = 60
WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class OwnKafka:
    """A broker of the test's own, whose disk can be lost."""

    broker: LocalKafka
    folder: Path

    def lose_disk(self) -> None:
        """End the broker as a crash would, and start it with an empty disk in the place of its."""
        self.broker.kill()
        shutil.rmtree(self.folder / "data")
        self.broker.start()

    def delete_topic(self, topic: str) -> None:
        """Delete the topic as an operator would."""
        # A client that is let go of gives no answers.
        admin = Admin({"bootstrap.servers": self.broker.bootstrap_servers})
        admin.delete_topics([topic])[topic].result(SECONDS)

    def commit_beyond_the_end(self, group: str, topic: str) -> None:
        """Let the group have read what is not there, in each partition that has records."""
        client = {"bootstrap.servers": self.broker.bootstrap_servers, "group.id": group}
        with closing(GroupLag(client, group, topic)) as lag:
            found = lag.ask()
        with Consumer(client) as consumer:
            consumer.commit(
                offsets=[
                    TopicPartition(topic, partition, each.end + 1, each.note)
                    for partition, each in found.items()
                    if each.end
                ],
                asynchronous=False,
            )


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[OwnKafka]:
    """Run a broker that no other test uses."""
    if problems := missing(postgres=False):
        unavailable(problems[0])
    made = OwnKafka(LocalKafka(tmp_path / "kafka", free_port()), tmp_path / "kafka")
    try:
        made.broker.start()
        yield made
    finally:
        made.broker.kill()


@pytest.fixture
def pipeline(database: Database, own_kafka: OwnKafka, start_stage: StartStage) -> Pipeline:
    """Give a pipeline that confirms the slot behind the sink; nothing is started yet."""
    environ = database.environ | {
        "BEMI_CONFIRM_AFTER": "sink",
        "BEMI_KAFKA_BOOTSTRAP_SERVERS": own_kafka.broker.bootstrap_servers,
        "BEMI_PRODUCER_SLOT_NAME": database.name,
        "BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS": "500",
    }
    return Pipeline(database, start_stage, environ)


def positions(pipeline: Pipeline) -> tuple[int, int]:
    """Return where the slot stands, and where the server does."""
    with pipeline.database.connect() as connection:
        row = connection.execute(
            "SELECT confirmed_flush_lsn::text, pg_current_wal_lsn()::text"
            " FROM pg_replication_slots WHERE slot_name = %s",
            [pipeline.database.name],
        ).fetchone()
    assert row is not None
    slot, server = map(str, row)
    return parse_lsn(slot), parse_lsn(server)


def slot_reaches(pipeline: Pipeline, lsn: int) -> None:
    """Wait until the slot is confirmed as far."""

    def check() -> None:
        assert positions(pipeline)[0] >= lsn

    eventually(check, SECONDS)


@contextmanager
def restarted_when_they_end(pipeline: Pipeline) -> Iterator[None]:
    """Start each stage again that ends by itself, as whoever supervises it would."""
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(WATCH_SECONDS):
            for stage in pipeline.stages.values():
                if not stage.is_running:
                    stage.start()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stopping.set()
        watcher.join()


def test_the_disk_is_lost_with_what_was_not_stored_and_everything_is_restarted(
    pipeline: Pipeline, own_kafka: OwnKafka
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    with writing(pipeline) as writers:
        wait_until_stored(pipeline, writers)
        pipeline.stages["sink"].kill()
        wait_for_transactions(writers)
        _, acknowledged_at = positions(pipeline)
        # Kafka acknowledges these too, and nobody stores them.
        wait_for_transactions(writers)
        assert positions(pipeline)[0] < acknowledged_at
        own_kafka.lose_disk()
        for name in ("producer", "stitcher"):
            pipeline.stages[name].kill()
        pipeline.start()
        wait_for_transactions(writers)
    _, end = positions(pipeline)
    slot_reaches(pipeline, end)


@pytest.mark.parametrize("sink_is_behind", [False, True])
def test_the_disk_is_lost_under_stages_that_go_on(
    pipeline: Pipeline, own_kafka: OwnKafka, sink_is_behind: bool
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    with writing(pipeline) as writers, restarted_when_they_end(pipeline):
        wait_for_transactions(writers)
        if sink_is_behind:
            pipeline.stages["sink"].suspend()
            wait_for_transactions(writers)
        own_kafka.lose_disk()
        wait_for_transactions(writers)
        pipeline.stages["sink"].resume()
        wait_for_transactions(writers)
        wait_until_stored(pipeline, writers)


def test_the_topic_of_changes_is_deleted_with_what_was_not_stored(
    pipeline: Pipeline, own_kafka: OwnKafka
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    with writing(pipeline) as writers, restarted_when_they_end(pipeline):
        wait_for_transactions(writers)
        pipeline.stages["sink"].suspend()
        wait_for_transactions(writers)
        own_kafka.delete_topic("bemi.changes")
        wait_for_transactions(writers)
        pipeline.stages["sink"].resume()
        wait_until_stored(pipeline, writers)


def store_five_rows_and_stop(pipeline: Pipeline) -> None:
    pipeline.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    pipeline.start()
    pipeline.execute("INSERT INTO todo SELECT generate_series(1, 5)")
    pipeline.wait_for("todo", 5)
    for stage in pipeline.stages.values():
        stage.stop()


def test_a_topic_without_its_end_stops_the_producer_until_it_is_made_anew(
    pipeline: Pipeline, own_kafka: OwnKafka
) -> None:
    store_five_rows_and_stop(pipeline)
    # As if the topic had ended there before a power cut.
    own_kafka.commit_beyond_the_end("bemi.stitcher", "bemi.wal")
    pipeline.execute("INSERT INTO todo SELECT generate_series(6, 9)")
    producer = pipeline.start_stage("producer", ["bemi-producer"], pipeline.environ)
    assert producer.wait(SECONDS) == 2, producer.output()
    assert "topic bemi.wal ends before where it was" in producer.output()
    # What the text says to do.
    for topic in ("bemi.wal", "bemi.changes"):
        own_kafka.delete_topic(topic)
    pipeline.start()
    pipeline.wait_for("todo", 9)


def test_without_it_the_sink_stops_and_says_that_changes_may_be_missing(
    pipeline: Pipeline, own_kafka: OwnKafka
) -> None:
    pipeline.environ["BEMI_CONFIRM_AFTER"] = "kafka"
    store_five_rows_and_stop(pipeline)
    own_kafka.lose_disk()
    pipeline.start("producer", "stitcher")
    pipeline.execute("INSERT INTO todo SELECT generate_series(6, 9)")
    sink = pipeline.start_stage("sink", ["bemi-sink"], pipeline.environ)
    assert sink.wait(SECONDS) == 2, sink.output()
    assert "topic bemi.changes was made anew" in sink.output()
    assert "BEMI_CONFIRM_AFTER=sink" in sink.output()
    assert len(pipeline.changes("todo")) == 5
    # What the text says to do.
    pipeline.execute("DELETE FROM bemi_sink_progress WHERE topic = 'bemi.changes'")
    pipeline.start("sink")
    pipeline.wait_for("todo", 9)
