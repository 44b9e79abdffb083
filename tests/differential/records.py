"""Read the topics of one side. Edge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

END_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it stands in a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def topics_with(bootstrap_servers: str, prefix: str) -> list[str]:
    """Return the topics whose name holds the prefix, in order."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    return sorted(name for name in admin.list_topics(timeout=END_SECONDS).topics if prefix in name)


def new_consumer(bootstrap_servers: str, **settings: object) -> Consumer:
    """Return a consumer that commits nothing; the caller assigns and closes it."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "differential-that-commits-nothing",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 64 * 1024 * 1024,
            # The topics are many and small.
            "fetch.wait.max.ms": 20,
            **settings,
        }
    )


def read_topics(bootstrap_servers: str, topics: Iterable[str]) -> dict[str, list[Record]]:
    """Return the records of each topic up to its present end, partition by partition."""
    consumer = new_consumer(bootstrap_servers, **{"enable.partition.eof": True})
    records: dict[str, list[Record]] = {topic: [] for topic in topics}
    try:
        known = consumer.list_topics(timeout=END_SECONDS).topics
        unread = {(topic, partition) for topic in records for partition in known[topic].partitions}
        consumer.assign([TopicPartition(*each, OFFSET_BEGINNING) for each in unread])
        while unread:
            message = consumer.poll(END_SECONDS)
            assert message is not None, f"these topics did not reach their end: {unread}"
            topic, partition = message.topic(), message.partition()
            assert topic is not None
            assert partition is not None
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                unread.discard((topic, partition))
                continue
            records[topic].append(
                Record(
                    topic,
                    partition,
                    message.offset() or 0,
                    _bytes(message.key()),
                    _bytes(message.value()),
                    tuple((str(n), _bytes(v)) for n, v in list(message.headers() or [])),
                )
            )
    finally:
        consumer.close()
    for found in records.values():
        found.sort(key=lambda record: (record.partition, record.offset))
    return records


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
