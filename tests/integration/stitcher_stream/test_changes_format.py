"""`.changes` in Avro, as a consumer with Confluent's client reads it, and as the sink does."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.registry import LocalRegistry
from runtime.registry_settings import RegistrySettings
from runtime.schema_registry import ConfluentRegistry, SchemaIncompatible
from schemas.avro import as_json, released_schemas, schema_text
from tests.fixtures.topics import TopicRecord
from tests.fixtures.waiting import eventually
from tests.fixtures.wal_records import usual_transaction
from tests.integration.stitcher_stream.wal_topic import WalTopic, assert_each_once


def test_changes_in_avro_are_found_by_the_registry_or_by_their_fingerprint(
    wal: WalTopic, registry_server: LocalRegistry
) -> None:
    transactions = [usual_transaction(number) for number in range(1, 7)]
    wal.write(transactions[:2])
    first = wal.start_ready(
        BEMI_STITCHER_CHANGES_FORMAT="avro",
        BEMI_STITCHER_SCHEMA_REGISTRY_URL=registry_server.url,
    )
    wal.wait_for_changes(6)
    with_id = wal.changes()
    place = SerializationContext(wal.topics.changes, MessageField.VALUE)
    with SchemaRegistryClient({"url": registry_server.url}) as registry:
        read = AvroDeserializer(registry)
        for record in with_id:
            change = read(record.value, place)
            assert change is not None
            assert json.loads(change["context"]) == {"request": change["transaction_id"]}
    wal.wait_for_commit()
    first.terminate()
    assert first.wait(20) == 0
    wal.write(transactions[2:4])
    second = wal.start_ready(BEMI_STITCHER_CHANGES_FORMAT="avro")
    wal.wait_for_changes(12)
    wal.wait_for_commit()
    second.terminate()
    assert second.wait(20) == 0
    wal.write(transactions[4:])
    wal.start_ready()
    wal.wait_for_changes(18)
    records = wal.changes()
    marks = {(record.value or b"")[:1] for record in records}
    assert marks == {b"\x00", b"\xc3", b"{"}
    assert_each_once([in_json(record) for record in records], transactions)


def test_registry_that_holds_changes_to_every_version_takes_what_only_grows(
    wal: WalTopic, registry_server: LocalRegistry
) -> None:
    registry_server.start()
    subject = f"{wal.topics.changes}-value"
    grown = json.loads(schema_text())
    grown["fields"].append({"name": "trace", "type": ["null", "string"], "default": None})
    broken = json.loads(schema_text())
    broken["fields"][11]["type"] = "string"
    with (
        closing(ConfluentRegistry(RegistrySettings(registry_server.url))) as registry,
        SchemaRegistryClient({"url": registry_server.url}) as client,
    ):
        for released in released_schemas():
            registry.id_of(subject, released)
        client.set_compatibility(subject, "FULL_TRANSITIVE")
        present = registry.id_of(subject, schema_text())
        assert registry.id_of(subject, json.dumps(grown)) != present
        with pytest.raises(SchemaIncompatible, match=r"transaction_id.*PUT http.*/config/"):
            registry.id_of(subject, json.dumps(broken))


def test_registry_that_is_away_is_waited_for(wal: WalTopic) -> None:
    wal.write([usual_transaction(1)])
    stitcher = wal.start(
        BEMI_STITCHER_CHANGES_FORMAT="avro",
        BEMI_STITCHER_SCHEMA_REGISTRY_URL="http://127.0.0.1:9",
    )
    eventually(lambda: "waiting: " in stitcher.output(), 60)
    assert stitcher.is_running
    assert wal.change_count() == 0


def in_json(record: TopicRecord) -> TopicRecord:
    value = record.value or b""
    if value.startswith(b"{"):
        return record
    return TopicRecord(record.partition, record.offset, record.key, as_json(value), record.headers)
