"""The producer as a process that writes Avro: what consumers read with nothing of ours."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import psycopg
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.registry import LocalRegistry
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually


@dataclass
class Capture:
    """A table, and a producer that writes its changes as Avro."""

    connection: psycopg.Connection[tuple[object, ...]]
    bootstrap_servers: str
    topic: str
    start_stage: StartStage
    environ: dict[str, str]

    def start(self, **environ: str) -> StageProcess:
        return self.start_stage("producer", ["bemi-producer"], self.environ | environ)

    def records(self, count: int) -> list[bytes]:
        """Return the topic's values once there are so many."""

        def check() -> list[bytes]:
            values = [record.value for record in read_topic(self.bootstrap_servers, self.topic)]
            assert len(values) >= count
            return [value for value in values if value is not None]

        return eventually(check, 60)


@pytest.fixture
def capture(
    database: Database, kafka_broker: KafkaBroker, topic_prefix: str, start_stage: StartStage
) -> Iterator[Capture]:
    environ = database.environ | {
        "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "BEMI_TOPIC_PREFIX": topic_prefix,
        "BEMI_PRODUCER_SLOT_NAME": f"{database.name}_slot",
        "BEMI_PRODUCER_KEY_FORMAT": "avro",
        "BEMI_PRODUCER_VALUE_FORMAT": "avro",
    }
    with closing(database.connect()) as connection:
        connection.execute("CREATE TABLE todo (id int PRIMARY KEY, title text)")
        connection.execute("ALTER TABLE todo REPLICA IDENTITY FULL")
        yield Capture(
            connection,
            kafka_broker.bootstrap_servers,
            f"{topic_prefix}.public.todo",
            start_stage,
            environ,
        )


def rows(values: list[Any]) -> list[tuple[Any, Any, Any]]:
    return [(value["op"], value["before"], value["after"]) for value in values]


def test_changes_before_and_after_an_added_column_are_read_by_confluents_deserializer(
    capture: Capture, registry_server: LocalRegistry
) -> None:
    registry_server.start()
    stage = capture.start(BEMI_PRODUCER_SCHEMA_REGISTRY_URL=registry_server.url)
    eventually(lambda: "ready" in stage.output())
    capture.connection.execute("INSERT INTO todo VALUES (1, 'one')")
    capture.connection.execute("ALTER TABLE todo ADD COLUMN done boolean")
    capture.connection.execute("UPDATE todo SET done = true")
    records = capture.records(2)

    with closing(SchemaRegistryClient({"url": registry_server.url})) as client:
        read = AvroDeserializer(client)
        context = SerializationContext(capture.topic, MessageField.VALUE)
        values = [read(record, context) for record in records]
        subjects = client.get_subjects()

    assert rows(values) == [
        ("c", None, {"id": 1, "title": "one"}),
        (
            "u",
            {"id": 1, "title": "one", "done": None},
            {"id": 1, "title": "one", "done": True},
        ),
    ]
    assert f"{capture.topic}-key" in subjects


def test_a_consumer_with_the_schema_files_alone_reads_the_changes(
    capture: Capture, tmp_path: Path
) -> None:
    folder = tmp_path / "schemas"
    stage = capture.start(BEMI_PRODUCER_AVRO_SCHEMA_DIRECTORY=str(folder))
    eventually(lambda: "ready" in stage.output())
    capture.connection.execute("INSERT INTO todo VALUES (1, 'one')")

    (record,) = capture.records(1)

    ids = json.loads((folder / "ids.json").read_text())
    schema = json.loads((folder / ids[str(int.from_bytes(record[1:5], "big"))]).read_text())
    value = fastavro.schemaless_reader(io.BytesIO(record[5:]), fastavro.parse_schema(schema), None)
    assert rows([value]) == [("c", None, {"id": 1, "title": "one"})]


def test_changes_arrive_when_the_registry_comes_back(
    capture: Capture, registry_server: LocalRegistry
) -> None:
    registry_server.kill()
    stage = capture.start(BEMI_PRODUCER_SCHEMA_REGISTRY_URL=registry_server.url)
    eventually(lambda: capture.connection.execute("SELECT 1 FROM pg_replication_slots").fetchall())
    capture.connection.execute("INSERT INTO todo VALUES (1, 'one')")
    eventually(lambda: "does not answer" in stage.output(), 60)

    registry_server.start()

    assert len(capture.records(1)) == 1


def test_a_change_that_the_registry_refuses_stops_the_producer_and_is_named(
    capture: Capture, registry_server: LocalRegistry
) -> None:
    registry_server.start()
    with closing(SchemaRegistryClient({"url": registry_server.url})) as client:
        client.set_compatibility(f"{capture.topic}-value", "BACKWARD")
    stage = capture.start(BEMI_PRODUCER_SCHEMA_REGISTRY_URL=registry_server.url)
    eventually(lambda: "ready" in stage.output())
    capture.connection.execute("INSERT INTO todo VALUES (1, 'one')")
    capture.records(1)

    capture.connection.execute("ALTER TABLE todo ALTER COLUMN title TYPE int USING 1")
    capture.connection.execute("UPDATE todo SET title = 2")

    eventually(lambda: not stage.is_running, 60)
    assert f"{capture.topic}-value" in stage.output()
    assert "title" in stage.output()
