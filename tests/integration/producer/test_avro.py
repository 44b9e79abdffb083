"""Avro through a real schema registry, read by Confluent's own deserializer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.debezium import LocalDebezium
from deploy.local.ports import free_port
from deploy.local.registry import LocalRegistry, fetch_converter
from producer import envelope_schema
from producer.avro_format import avro_json
from producer.avro_serializer import AvroSerializer
from producer.connect_schema import BYTES, INT32, INT64, STRING, STRUCT, ConnectSchema
from runtime.kafka_topics import TopicSpec, ensure_topics
from runtime.registry_settings import RegistrySettings
from runtime.schema_registry import (
    ConfluentRegistry,
    RegistryMisconfigured,
    RegistryNotPermitted,
    RegistryUnavailable,
    SchemaIncompatible,
    SchemaInvalid,
    SchemaNotRegistered,
)
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.registry_gate import RegistryGate, self_signed_certificate
from tests.fixtures.waiting import eventually

Connect = Callable[..., ConfluentRegistry]

ID = ("id", ConnectSchema(INT32))
TITLE = ("title", ConnectSchema(STRING, optional=True))
PRICE = (
    "price",
    ConnectSchema(
        BYTES,
        name="org.apache.kafka.connect.data.Decimal",
        version=1,
        parameters=(("scale", "2"), ("connect.decimal.precision", "8")),
    ),
)
SOURCE = {
    "version": "3.6.1.Final",
    "connector": "postgresql",
    "name": "shop",
    "ts_ms": 1,
    "snapshot": "false",
    "db": "shop",
    "sequence": '[null,"1"]',
    "ts_us": 1,
    "ts_ns": 1,
    "schema": "public",
    "table": "todo",
    "txId": 1,
    "lsn": 1,
    "xmin": None,
    "origin": None,
    "origin_lsn": None,
}


@pytest.fixture
def topic(registry_server: LocalRegistry) -> str:
    """Return a topic of whose schemas the registry has none."""
    registry_server.start()
    return f"t{uuid.uuid4().hex[:10]}.public.todo"


@pytest.fixture
def client(registry_server: LocalRegistry) -> Iterator[SchemaRegistryClient]:
    with closing(SchemaRegistryClient({"url": registry_server.url})) as client:
        yield client


@pytest.fixture
def registry(registry_server: LocalRegistry) -> Iterator[Connect]:
    """Return a function that makes the producer's side of the registry, with any settings."""
    with ExitStack() as opened:

        def connect(url: str = registry_server.url, **settings: Any) -> ConfluentRegistry:
            return opened.enter_context(
                closing(ConfluentRegistry(RegistrySettings(url, **settings)))
            )

        yield connect


def envelope(topic: str, *columns: tuple[str, ConnectSchema]) -> ConnectSchema:
    row = envelope_schema.row_schema(f"{topic}.Value", columns)
    return envelope_schema.envelope_schema(f"{topic}.Envelope", row)


def event(**row: Any) -> dict[str, Any]:
    return {"before": None, "after": row, "source": SOURCE, "op": "c", "ts_ms": 1}


def read(client: SchemaRegistryClient, topic: str, record: bytes) -> dict[str, Any]:
    """Return what a consumer gets that has nothing of ours."""
    context = SerializationContext(topic, MessageField.VALUE)
    value = AvroDeserializer(client)(record, context)
    assert isinstance(value, dict)
    return value


def test_confluents_deserializer_reads_what_was_written(
    registry: Connect, client: SchemaRegistryClient, topic: str
) -> None:
    serializer = AvroSerializer(registry())
    writer = serializer.schema(topic, envelope(topic, ID, TITLE))

    read_back = read(client, topic, writer.encode(event(id=7, title="été")))

    assert read_back["after"] == {"id": 7, "title": "été"}
    assert read_back["source"] == SOURCE
    assert read_back["transaction"] is None


def test_a_decimal_is_one_to_confluents_deserializer(
    registry: Connect, client: SchemaRegistryClient, topic: str
) -> None:
    writer = AvroSerializer(registry()).schema(topic, envelope(topic, ID, PRICE))

    read_back = read(client, topic, writer.encode(event(id=1, price=b"\xff\x6a")))

    assert str(read_back["after"]["price"]) == "-1.50"


def test_a_schema_has_the_same_id_after_a_restart(registry: Connect, topic: str) -> None:
    ids = {
        AvroSerializer(registry()).schema(topic, envelope(topic, ID)).schema_id for _ in range(2)
    }
    assert len(ids) == 1


def test_records_from_before_and_after_an_added_and_a_dropped_column_are_all_read(
    registry: Connect, client: SchemaRegistryClient, topic: str
) -> None:
    client.set_compatibility(f"{topic}-value", "BACKWARD")
    serializer = AvroSerializer(registry())
    first = serializer.schema(topic, envelope(topic, ID)).encode(event(id=1))
    added = serializer.schema(topic, envelope(topic, ID, TITLE)).encode(event(id=2, title="two"))
    dropped = serializer.schema(topic, envelope(topic, ID)).encode(event(id=3))

    rows = [read(client, topic, record)["after"] for record in (first, added, dropped)]

    assert rows == [{"id": 1}, {"id": 2, "title": "two"}, {"id": 3}]
    assert len(client.get_versions(f"{topic}-value")) == 2


def test_a_change_that_readers_cannot_follow_stops_with_the_subject_and_the_change(
    registry: Connect, client: SchemaRegistryClient, topic: str
) -> None:
    client.set_compatibility(f"{topic}-value", "BACKWARD")
    serializer = AvroSerializer(registry())
    serializer.schema(topic, envelope(topic, ID))
    owner = ("owner", ConnectSchema(INT64))

    with pytest.raises(
        SchemaIncompatible, match=rf"{topic}-value: before\.owner is new \(long, without a default"
    ):
        serializer.schema(topic, envelope(topic, ID, owner))


def test_without_auto_register_a_registered_schema_is_found_and_another_refused(
    registry: Connect, topic: str
) -> None:
    registered = AvroSerializer(registry()).schema(topic, envelope(topic, ID))
    careful = AvroSerializer(registry(auto_register_schemas=False))

    assert careful.schema(topic, envelope(topic, ID)).schema_id == registered.schema_id
    with pytest.raises(SchemaNotRegistered, match=r"title is new.*auto\.register\.schemas"):
        careful.schema(topic, envelope(topic, ID, TITLE))
    with pytest.raises(SchemaNotRegistered, match=f"{topic}-key"):
        careful.schema(topic, ConnectSchema(STRUCT, name="a.Key", fields=(ID,)), is_key=True)


def test_a_registry_that_is_down_is_asked_again_later(
    registry_server: LocalRegistry, registry: Connect, topic: str
) -> None:
    serializer = AvroSerializer(registry())
    registry_server.kill()
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        serializer.schema(topic, envelope(topic, ID))

    registry_server.start()

    assert serializer.schema(topic, envelope(topic, ID)).schema_id > 0


def test_the_next_url_is_used_when_one_does_not_answer(
    registry_server: LocalRegistry, registry: Connect, topic: str
) -> None:
    two = registry(f"http://127.0.0.1:{free_port()},{registry_server.url}")
    assert two.id_of(f"{topic}-value", avro_json(envelope(topic, ID))) > 0


def test_a_server_that_is_no_registry_is_refused(
    registry_server: LocalRegistry, registry: Connect, topic: str
) -> None:
    other = registry(registry_server.url.replace("/apis/ccompat/v7", "/health"))
    with pytest.raises(RegistryMisconfigured, match="/health"):
        other.id_of(f"{topic}-value", avro_json(envelope(topic, ID)))


def test_what_the_registry_takes_for_no_schema_is_told_by_its_subject(
    registry_server: LocalRegistry, registry: Connect, topic: str
) -> None:
    with pytest.raises(SchemaInvalid, match=f"{topic}-value"):
        registry(registry_server.url).id_of(f"{topic}-value", '{"type": "nothing"}')


def test_a_registry_with_a_password_is_used_with_it_only(
    registry_server: LocalRegistry, registry: Connect, topic: str
) -> None:
    schema = avro_json(envelope(topic, ID))
    with RegistryGate(registry_server.url, user_info="producer:secret") as gate:
        assert registry(gate.url, user_info="producer:secret").id_of(f"{topic}-value", schema) > 0
        with pytest.raises(RegistryNotPermitted, match=r"401.*basic\.auth\.user\.info"):
            registry(gate.url, user_info="producer:wrong").id_of(f"{topic}-value", schema)


def test_a_registry_behind_tls_is_used_when_its_authority_is_known_only(
    registry_server: LocalRegistry, registry: Connect, topic: str, tmp_path: Path
) -> None:
    schema = avro_json(envelope(topic, ID))
    certificate = self_signed_certificate(tmp_path)
    with RegistryGate(registry_server.url, certificate=certificate) as gate:
        assert registry(gate.url, ca_location=str(certificate)).id_of(f"{topic}-value", schema) > 0
        with pytest.raises(RegistryMisconfigured, match="truststore"):
            registry(gate.url).id_of(f"{topic}-value", schema)


def test_a_certificate_that_is_not_there_is_refused_at_once(
    registry: Connect, tmp_path: Path
) -> None:
    with pytest.raises(RegistryMisconfigured):
        registry(ca_location=str(tmp_path / "none.pem"))


def test_debezium_and_the_producer_share_a_subject_and_its_id(
    database: Database,
    kafka_broker: KafkaBroker,
    registry_server: LocalRegistry,
    registry: Connect,
    client: SchemaRegistryClient,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    """The schema Debezium registers is found, so a consumer sees no new one after the switch."""
    registry_server.start()
    environ = database.environ
    topic = f"{topic_prefix}.public.todo"
    ensure_topics(
        AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers}),
        [TopicSpec(topic, partitions=1)],
    )
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
            "snapshot.mode": "no_data",
            "topic.prefix": topic_prefix,
        },
        {
            "plugin.path": str(fetch_converter()),
            **registry_server.converter_properties("key"),
            **registry_server.converter_properties("value"),
        },
    )
    key = ConnectSchema(STRUCT, name=f"{topic}.Key", fields=(ID,))
    careful = AvroSerializer(registry(auto_register_schemas=False))
    try:
        with closing(database.connect()) as connection:
            connection.execute(
                "CREATE TABLE todo (id int PRIMARY KEY, title text, price numeric(8,2) NOT NULL)"
            )
            debezium.start()
            connection.execute("INSERT INTO todo VALUES (7, 'seven', -1.5)")
        records = _first_record(kafka_broker, topic)
    finally:
        debezium.kill()

    ours = careful.schema(topic, envelope(topic, ID, TITLE, PRICE))
    assert careful.schema(topic, key, is_key=True).encode({"id": 7}) == records[0]
    value = read(client, topic, records[1])
    value["after"]["price"] = b"\xff\x6a"
    assert ours.encode(value) == records[1]


def _first_record(kafka_broker: KafkaBroker, topic: str) -> tuple[bytes, bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka_broker.bootstrap_servers,
            "group.id": topic,
            "auto.offset.reset": "earliest",
        }
    )
    found: list[tuple[bytes, bytes]] = []

    def poll() -> bool:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            found.append((message.key() or b"", message.value() or b""))
        return bool(found)

    with closing(consumer):
        consumer.subscribe([topic])
        eventually(poll, timeout_seconds=60.0)
    return found[0]
