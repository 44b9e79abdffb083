"""A table's columns come, go and change while its events are written as Avro through a registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro.read import SchemaResolutionError

from deploy.local.registry import LocalRegistry
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually

SECONDS = 60
A_PERSON_MUST_ACT = 2

# What is done to the table, and the row that is inserted then. The row's number is the step's.
STEPS: list[tuple[str, dict[str, Any]]] = [
    ("SELECT 1", {"id": 0, "amount": 1, "note": "n", "old": "o"}),
    ("ADD COLUMN added text", {"id": 1, "amount": 1, "note": "n", "old": "o", "added": "a"}),
    (
        "ADD COLUMN needed int NOT NULL DEFAULT 5",
        {"id": 2, "amount": 1, "note": "n", "old": "o", "added": None, "needed": 7},
    ),
    (
        "RENAME COLUMN note TO remark",
        {"id": 3, "amount": 1, "remark": "n", "old": "o", "added": None, "needed": 7},
    ),
    ("DROP COLUMN old", {"id": 4, "amount": 1, "remark": "n", "added": None, "needed": 7}),
    (
        "ALTER COLUMN amount TYPE bigint",
        {"id": 5, "amount": 2**40, "remark": "n", "added": None, "needed": 7},
    ),
    (
        "ALTER COLUMN amount TYPE text USING amount::text",
        {"id": 6, "amount": "many", "remark": "n", "added": None, "needed": 7},
    ),
]
WIDENED, RETYPED = 5, 6
# The first step that a registry refuses which holds the subject to this.
REFUSED = {"BACKWARD": RETYPED, "FORWARD": WIDENED, "FULL": WIDENED}


@dataclass
class Evolving:
    """A table, its producer and the registry of its schemas."""

    connection: psycopg.Connection[tuple[object, ...]]
    bootstrap_servers: str
    topic: str
    start_stage: StartStage
    environ: dict[str, str]
    client: SchemaRegistryClient

    @property
    def subject(self) -> str:
        return f"{self.topic}-value"

    def start(self) -> StageProcess:
        stage = self.start_stage("producer", ["bemi-producer"], self.environ)
        eventually(lambda: "ready" in stage.output(), SECONDS)
        return stage

    def do(self, step: int) -> None:
        """Alter the table and insert the step's row."""
        alteration, row = STEPS[step]
        if step:
            self.connection.execute(f"ALTER TABLE item {alteration}")
        columns, values = ", ".join(row), ", ".join(f"%({name})s" for name in row)
        self.connection.execute(f"INSERT INTO item ({columns}) VALUES ({values})", row)

    def records(self, count: int) -> list[bytes]:
        """Return the topic's values once there are so many."""

        def check() -> list[bytes]:
            found = read_topic(self.bootstrap_servers, self.topic)
            values = [record.value for record in found if record.value is not None]
            assert len(values) >= count
            return values

        return eventually(check, SECONDS)

    def read(self, record: bytes, reader_schema: str | None = None) -> Any:
        """Return the row as a consumer has it, by the record's own schema or by its own."""
        read = AvroDeserializer(self.client, reader_schema)
        value: Any = read(record, SerializationContext(self.topic, MessageField.VALUE))
        return value["after"]

    def versions(self) -> list[str]:
        """Return the subject's schemas, the oldest first."""
        numbers = self.client.get_versions(self.subject)
        found = [self.client.get_version(self.subject, number) for number in numbers]
        return [each.schema.schema_str or "" for each in found]


@pytest.fixture
def evolving(
    database: Database,
    kafka_broker: KafkaBroker,
    topic_prefix: str,
    start_stage: StartStage,
    registry_server: LocalRegistry,
) -> Iterator[Evolving]:
    registry_server.start()
    environ = database.environ | {
        "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "BEMI_TOPIC_PREFIX": topic_prefix,
        "BEMI_PRODUCER_SLOT_NAME": database.name,
        "BEMI_PRODUCER_KEY_FORMAT": "avro",
        "BEMI_PRODUCER_VALUE_FORMAT": "avro",
        "BEMI_PRODUCER_SCHEMA_REGISTRY_URL": registry_server.url,
    }
    with (
        closing(database.connect()) as connection,
        closing(SchemaRegistryClient({"url": registry_server.url})) as client,
    ):
        connection.execute(
            "CREATE TABLE item (id int PRIMARY KEY, amount int, note text, old text)"
        )
        yield Evolving(
            connection,
            kafka_broker.bootstrap_servers,
            f"{topic_prefix}.public.item",
            start_stage,
            environ,
            client,
        )


def test_each_event_is_read_by_its_own_schema_and_by_the_newest_as_far_as_avro_goes(
    evolving: Evolving,
) -> None:
    evolving.start()
    evolving.do(0)
    evolving.records(1)  # Some registries know a subject only from then on.
    evolving.client.set_compatibility(evolving.subject, "NONE")
    for step in range(1, len(STEPS)):
        evolving.do(step)
    records = evolving.records(len(STEPS))
    versions = evolving.versions()
    assert len(versions) == len(STEPS)
    assert [evolving.read(record) for record in records] == [row for _, row in STEPS]

    # A name that is not in a record has its default, a column that is gone is left, an int is read
    # as a long: so the schema before the last reads all that came before.
    newest_but_one = versions[WIDENED]
    assert [evolving.read(record, newest_but_one) for record in records[: WIDENED + 1]] == [
        {"id": 0, "amount": 1, "remark": None, "added": None, "needed": 5},
        {"id": 1, "amount": 1, "remark": None, "added": "a", "needed": 5},
        {"id": 2, "amount": 1, "remark": None, "added": None, "needed": 7},
        {"id": 3, "amount": 1, "remark": "n", "added": None, "needed": 7},
        {"id": 4, "amount": 1, "remark": "n", "added": None, "needed": 7},
        {"id": 5, "amount": 2**40, "remark": "n", "added": None, "needed": 7},
    ]
    # And a reader that was never updated goes on, up to where a value no longer fits its type.
    oldest = versions[0]
    assert [evolving.read(record, oldest) for record in records[:WIDENED]] == [
        {"id": 0, "amount": 1, "note": "n", "old": "o"},
        {"id": 1, "amount": 1, "note": "n", "old": "o"},
        {"id": 2, "amount": 1, "note": "n", "old": "o"},
        {"id": 3, "amount": 1, "note": None, "old": "o"},
        {"id": 4, "amount": 1, "note": None, "old": None},
    ]
    for record, reader in (
        (records[WIDENED], oldest),
        (records[RETYPED], newest_but_one),
        (records[WIDENED], versions[RETYPED]),
    ):
        with pytest.raises(SchemaResolutionError):
            evolving.read(record, reader)


@pytest.mark.parametrize("level", REFUSED)
def test_what_the_registry_refuses_stops_with_what_to_do_and_nothing_is_lost(
    evolving: Evolving, level: str
) -> None:
    evolving.client.set_compatibility(evolving.subject, level)
    stage = evolving.start()
    refused = REFUSED[level]
    for step in range(refused):
        evolving.do(step)
    assert len(evolving.records(refused)) == refused
    evolving.do(refused)
    assert stage.wait(SECONDS) == A_PERSON_MUST_ACT, stage.output()
    said = stage.output().splitlines()[-1]
    assert f"the registry refuses the new schema of {evolving.subject}: before.amount" in said
    assert f"PUT {evolving.client._rest_client.base_urls[0]}/config/{evolving.subject}" in said

    # More is written meanwhile; nothing of it is lost or doubled once a person has decided.
    evolving.connection.execute("UPDATE item SET remark = 'later' WHERE id = 3")
    evolving.client.set_compatibility(evolving.subject, "NONE")
    evolving.start()
    records = evolving.records(refused + 2)
    assert [evolving.read(record) for record in records[: refused + 1]] == [
        row for _, row in STEPS[: refused + 1]
    ]
    assert evolving.read(records[-1])["remark"] == "later"
    assert len(records) == refused + 2
