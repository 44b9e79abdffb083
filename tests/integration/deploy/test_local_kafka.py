"""The local Kafka starts, stops, is killed and starts again with its records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port, is_listening
from deploy.local.requirements import missing
from runtime.kafka_topics import TopicSpec, ensure_topics
from tests.fixtures.servers import unavailable
from tests.fixtures.waiting import eventually


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A Kafka of the test's own."""
    if problems := missing(postgres=False):
        unavailable(problems[0])
    broker = LocalKafka(tmp_path / "kafka", free_port())
    yield broker
    broker.kill()


def _publish(broker: LocalKafka, value: bytes) -> None:
    publisher = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "message.max.bytes": 100_000_000}
    )
    publisher.produce("kept", value)
    assert publisher.flush(30.0) == 0


def _read(broker: LocalKafka) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    values: list[bytes] = []

    def first_record() -> bool:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            values.append(message.value() or b"")
        return bool(values)

    try:
        consumer.subscribe(["kept"])
        eventually(first_record)
    finally:
        consumer.close()
    return values


def test_records_are_kept_over_stop_kill_and_start_on_one_port(broker: LocalKafka) -> None:
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    ensure_topics(admin, [TopicSpec("kept", partitions=1)])
    _publish(broker, b"one")

    broker.stop()
    assert not broker.is_running
    assert not is_listening(broker.port)
    broker.start()
    assert _read(broker) == [b"one"]

    broker.kill()
    assert not broker.is_running
    broker.start()
    assert _read(broker) == [b"one"]


def test_a_record_far_above_kafkas_default_limit_is_taken(
    kafka_broker: LocalKafka, topic_prefix: str
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    topic = f"{topic_prefix}.large"
    ensure_topics(admin, [TopicSpec(topic, partitions=1)])
    publisher = Producer(
        {"bootstrap.servers": kafka_broker.bootstrap_servers, "message.max.bytes": 100_000_000}
    )
    failures: list[object] = []

    publisher.produce(
        topic, bytes(50_000_000), on_delivery=lambda error, _message: failures.append(error)
    )

    assert publisher.flush(60.0) == 0
    assert failures == [None]
