"""Debezium, as benchmarks and comparisons run it, streams changes of PostgreSQL to Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from deploy.local.debezium import LocalDebezium
from deploy.local.process import CannotStart
from deploy.local.requirements import missing
from runtime.kafka_topics import TopicSpec, ensure_topics
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.servers import unavailable
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually


@pytest.fixture
def debezium(
    database: Database, kafka_broker: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> Iterator[LocalDebezium]:
    """A connector that streams the test's database, without a snapshot."""
    if problems := missing(postgres=False):
        unavailable(problems[0])
    debezium = LocalDebezium(
        tmp_path / "debezium",
        kafka_broker.bootstrap_servers,
        connector_properties(database, topic_prefix),
    )
    yield debezium
    debezium.kill()


def connector_properties(database: Database, prefix: str) -> dict[str, str]:
    """Return what a connector for the test's database needs."""
    environ = database.environ
    return {
        "name": prefix,
        "database.hostname": environ["DB_HOST"],
        "database.port": environ["DB_PORT"],
        "database.dbname": environ["DB_NAME"],
        "database.user": environ["DB_USER"],
        "database.password": environ["DB_PASSWORD"],
        "plugin.name": "pgoutput",
        "slot.name": prefix,
        "publication.name": "debezium_publication",
        "publication.autocreate.mode": "all_tables",
        "snapshot.mode": "no_data",
        "topic.prefix": prefix,
    }


@pytest.mark.parametrize("has_its_offsets", [True, False])
def test_an_inserted_row_arrives_also_after_the_worker_was_killed(
    database: Database,
    kafka_broker: KafkaBroker,
    topic_prefix: str,
    debezium: LocalDebezium,
    tmp_path: Path,
    has_its_offsets: bool,
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
        if not has_its_offsets:
            # Then it begins where its slot stands.
            (tmp_path / "debezium" / "offsets").unlink(missing_ok=True)
        connection.execute("INSERT INTO todo VALUES (2)")
        debezium.start()
        eventually(lambda: 2 in read_ids(), timeout_seconds=60.0)


def test_connectors_come_and_go_while_the_worker_runs(
    database: Database,
    kafka_broker: KafkaBroker,
    topic_prefix: str,
    debezium_worker: LocalDebezium,
) -> None:
    topics = [f"{topic_prefix}{number}.public.todo" for number in range(2)]
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    ensure_topics(admin, [TopicSpec(topic, partitions=1) for topic in topics])
    with closing(database.connect()) as connection:
        connection.execute("CREATE TABLE todo (id int PRIMARY KEY)")
        names = [f"{topic_prefix}{number}" for number in range(2)]
        try:
            for name in names:
                debezium_worker.add(connector_properties(database, name))
                eventually(partial(is_read, connection, name), timeout_seconds=60.0)
            connection.execute("INSERT INTO todo VALUES (1)")
            for topic in topics:
                eventually(
                    partial(read_topic, kafka_broker.bootstrap_servers, topic), timeout_seconds=60.0
                )
            assert [debezium_worker.failure(name) for name in names] == [None, None]
        finally:
            for name in names:
                debezium_worker.remove(name)


def test_a_connector_that_cannot_run_is_refused_with_the_reason(
    database: Database, topic_prefix: str, debezium_worker: LocalDebezium
) -> None:
    properties = connector_properties(database, topic_prefix) | {"connector.class": "no.Such"}
    with pytest.raises(CannotStart, match=r"no\.Such"):
        debezium_worker.add(properties)


def is_read(connection: psycopg.Connection[tuple[object, ...]], slot: str) -> bool:
    """Tell whether somebody reads the slot."""
    query = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active"
    return connection.execute(query, [slot]).fetchone() is not None
