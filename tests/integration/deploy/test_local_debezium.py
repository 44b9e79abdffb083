"""Debezium, as the benchmarks run it, streams changes of the local PostgreSQL to Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from deploy.local.debezium import LocalDebezium
from deploy.local.requirements import missing
from runtime.kafka_topics import TopicSpec, ensure_topics
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.servers import unavailable
from tests.fixtures.waiting import eventually


@pytest.fixture
def debezium(
    database: Database, kafka_broker: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> Iterator[LocalDebezium]:
    """A connector that streams the test's database, without a snapshot."""
    if problems := missing(postgres=False):
        unavailable(problems[0])
    environ = database.environ
    debezium = LocalDebezium(
        tmp_path / "debezium",
        kafka_broker.bootstrap_servers,
        {
            "database.hostname": environ["DB_HOST"],
            "database.port": environ["DB_PORT"],
            "database.dbname": environ["DB_NAME"],
            "database.user": environ["DB_USER"],
            "database.password": environ["DB_PASSWORD"],
            "plugin.name": "pgoutput",
            "slot.name": f"{database.name}_slot",
            "publication.name": "debezium_publication",
            "publication.autocreate.mode": "all_tables",
            "snapshot.mode": "no_data",
            "topic.prefix": topic_prefix,
        },
    )
    yield debezium
    debezium.kill()


def test_an_inserted_row_arrives_also_after_the_worker_was_killed(
    database: Database,
    kafka_broker: KafkaBroker,
    topic_prefix: str,
    debezium: LocalDebezium,
) -> None:
    topic = f"{topic_prefix}.public.todo"
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    ensure_topics(admin, [TopicSpec(topic, partitions=1)])
    consumer = Consumer(
        {
            "bootstrap.servers": kafka_broker.bootstrap_servers,
            "group.id": topic_prefix,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    seen: list[int] = []

    def read_ids() -> list[int]:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            seen.append(json.loads(message.value() or b"null")["after"]["id"])
        return seen

    with closing(database.connect()) as connection, closing(consumer):
        connection.execute("CREATE TABLE todo (id int PRIMARY KEY)")
        debezium.start()
        connection.execute("INSERT INTO todo VALUES (1)")
        eventually(lambda: 1 in read_ids(), timeout_seconds=60.0)

        debezium.kill()
        connection.execute("INSERT INTO todo VALUES (2)")
        debezium.start()
        eventually(lambda: 2 in read_ids(), timeout_seconds=60.0)
