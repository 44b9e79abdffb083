"""What the sink's integration tests share: a topic of changes, and the tables it ends in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.change import Change
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.waiting import eventually
from tests.unit.sink_pg.example_changes import TOPIC, encoded

MAX_RECORD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Trail:
    """The sink's tables in the test's database."""

    connection: psycopg.Connection[tuple[object, ...]]

    def rows(self, columns: str = "commit_lsn, ordinal") -> list[tuple[Any, ...]]:
        """Return the stored changes in their order."""
        return self.connection.execute(
            f"SELECT {columns} FROM changes ORDER BY commit_lsn, ordinal"
        ).fetchall()

    def count(self) -> int:
        """Return how many changes are stored; none while there is no table."""
        try:
            (row,) = self.connection.execute("SELECT count(*) FROM changes").fetchall()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(str(row[0]))

    def dead_letters(self) -> list[tuple[Any, ...]]:
        """Return offset, value and reason of what was put aside."""
        return self.connection.execute(
            'SELECT "offset", value, reason FROM bemi_dead_letters ORDER BY partition, "offset"'
        ).fetchall()

    def progress(self) -> dict[int, int]:
        """Return the next offset of each partition."""
        rows: list[tuple[Any, ...]] = self.connection.execute(
            "SELECT partition, next_offset FROM bemi_sink_progress"
        ).fetchall()
        return dict(rows)


@pytest.fixture
def trail(database: Database) -> Iterator[Trail]:
    """Look at the sink's tables."""
    with database.connect() as connection:
        yield Trail(connection)


@pytest.fixture
def settings(database: Database) -> SinkSettings:
    """Return the settings of a sink that stores into the test's database."""
    return SinkSettings.from_environ(database.environ)


@pytest.fixture
def writer(settings: SinkSettings) -> Iterator[PgWriter]:
    """Return a writer whose tables are made."""
    writer = PgWriter(settings, TOPIC)
    writer.migrate()
    yield writer
    writer.close()


@dataclass(frozen=True, slots=True)
class ChangesTopic:
    """The topic that the sink reads, with a publisher for it."""

    name: str
    publisher: Producer
    admin: AdminClient

    def make(self, partitions: int) -> None:
        """Make the topic."""
        topic = NewTopic(
            self.name, partitions, 1, config={"max.message.bytes": str(MAX_RECORD_BYTES)}
        )
        self.admin.create_topics([topic])[self.name].result(timeout=30.0)

    def publish(self, values: Iterable[Change | bytes], partition: int = 0) -> None:
        """Write the records and return when the broker has them."""
        for value in values:
            content = value if isinstance(value, bytes) else encoded(value)
            while True:
                try:
                    self.publisher.produce(self.name, content, b"key", partition)
                    break
                except BufferError:
                    self.publisher.poll(0.1)
        assert self.publisher.flush(60.0) == 0


@pytest.fixture
def unmade_topic(kafka_broker: KafkaBroker, topic_prefix: str) -> ChangesTopic:
    """Return the topic of changes, which is not there yet."""
    servers: dict[str, str | int | float | bool] = {
        "bootstrap.servers": kafka_broker.bootstrap_servers
    }
    publisher = Producer(
        {
            **servers,
            "message.max.bytes": MAX_RECORD_BYTES,
            "enable.idempotence": True,
            "linger.ms": 5,
        }
    )
    return ChangesTopic(f"{topic_prefix}.changes", publisher, AdminClient(servers))


@pytest.fixture
def changes_topic(unmade_topic: ChangesTopic) -> ChangesTopic:
    """Make the topic of changes, with two partitions."""
    unmade_topic.make(partitions=2)
    return unmade_topic


StartSink = Callable[..., StageProcess]


@pytest.fixture
def start_sink(
    start_stage: StartStage, database: Database, kafka_broker: KafkaBroker, topic_prefix: str
) -> StartSink:
    """Start `bemi-sink`; returns when it is ready, unless told not to wait."""

    def start(wait_until_ready: bool = True, **environ: str) -> StageProcess:
        sink = start_stage(
            "sink",
            [sys.executable, "-m", "sink_pg"],
            {
                **database.environ,
                "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
                "BEMI_TOPIC_PREFIX": topic_prefix,
                **environ,
            },
        )
        if wait_until_ready:
            until_ready(sink)
        return sink

    return start


def until_ready(sink: StageProcess) -> None:
    """Wait until the sink says that it stores what comes."""

    def is_ready() -> bool:
        assert sink.is_running, sink.output()
        return any(line.endswith(": ready") for line in sink.output().splitlines())

    eventually(is_ready, timeout_seconds=60.0)
