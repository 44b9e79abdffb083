"""Debezium Server's application.properties."""

from __future__ import annotations

from producer.configuration.assignment import assign
from producer.settings import ProducerSettings

SERVER = {
    "debezium.source.connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "debezium.source.plugin.name": "pgoutput",
    "debezium.source.slot.name": "orders",
    "debezium.source.offset.storage.file.filename": "data/offsets.dat",
    "debezium.sink.type": "kafka",
    "debezium.sink.kafka.producer.bootstrap.servers": "k:9092",
    "debezium.sink.kafka.producer.key.serializer": "StringSerializer",
    "debezium.format.value": "json",
    "debezium.format.value.schemas.enable": "false",
    "quarkus.log.console.json": "false",
}


def test_source_format_and_sink_are_settings() -> None:
    found = assign(SERVER, ProducerSettings.properties())
    assert not found.problems
    assert {name: given.value for name, given in found.given.items()} == {
        "slot_name": "orders",
        "kafka_bootstrap_servers": "k:9092",
        "key_format": "json_schemas",
        "value_format": "json",
    }
    assert any(note.startswith("quarkus.log.console.json") for note in found.notes)


def test_a_format_for_both_is_both_converters() -> None:
    found = assign(
        {**SERVER, "debezium.format.schemas.enable": "false"}, ProducerSettings.properties()
    )
    assert found.given["key_format"].value == found.given["value_format"].value == "json"


def test_another_sink_and_another_format_are_refused() -> None:
    found = assign(
        {**SERVER, "debezium.sink.type": "redis", "debezium.format.key": "cloudevents"},
        ProducerSettings.properties(),
    )
    text = "; ".join(found.problems)
    assert "Kafka alone" in text
    assert "json and avro" in text


def test_its_transformations_are_refused() -> None:
    found = assign({**SERVER, "debezium.transforms": "unwrap"}, ProducerSettings.properties())
    assert [problem.partition(" ")[0] for problem in found.problems] == ["transforms"]
