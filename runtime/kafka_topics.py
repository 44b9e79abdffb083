"""Make the topics a stage writes to. Edge: talks to the brokers.

Brokers need not create topics by themselves, and should not: a topic made on the fly has
the brokers' default limits, and those refuse a row of 5 MB.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from runtime.errors import Stop
from runtime.kafka_client import Admin, BrokersUnreachable

REQUEST_TIMEOUT_SECONDS = 30.0

_NO_SUCH_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)

log = logging.getLogger(__name__)


class WrongPartitionCount(Stop):
    """A topic has another number of partitions than it must have."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to make; partitions and replicas are the brokers' default where not given."""

    name: str
    partitions: int = -1
    config: dict[str, str] = field(default_factory=dict)
    replication_factor: int = -1


def partition_count(
    admin: Admin, topic: str, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS
) -> int | None:
    """Return how many partitions the topic has, or None where there is no such topic.

    Raises as Admin.metadata does.
    """
    found = admin.metadata(timeout_seconds).topics.get(topic)
    if found is None or found.error is not None:
        return None
    return len(found.partitions)


def topic_ids(
    admin: Admin, topics: Iterable[str], timeout_seconds: float = REQUEST_TIMEOUT_SECONDS
) -> dict[str, str]:
    """Return the id that each topic was given when it was made; one that is missing has none.

    A topic that is deleted and made again has another, and no id ever comes again. Brokers that
    give none are of before 2.8. Raises as Admin.metadata does.
    """
    asked = admin.describe_topics(TopicCollection(list(topics)), request_timeout=timeout_seconds)
    ids = {}
    for topic, answer in asked.items():
        try:
            ids[topic] = str(answer.result().topic_id)
        except KafkaException as error:
            if error.args[0].code() not in _NO_SUCH_TOPIC:
                raise admin.failure(f"cannot read the id of topic {topic}", error) from error
    return ids


def is_empty(admin: AdminClient, topic: str, partitions: int) -> bool:
    """Return whether nothing was ever written to the topic."""
    request = {
        TopicPartition(topic, partition): OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for partition in range(partitions)
    }
    answers = admin.list_offsets(request, request_timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        return all(answer.result().offset == 0 for answer in answers.values())
    except KafkaException as error:
        raise BrokersUnreachable(f"cannot read the end of topic {topic}: {error}") from error


def ensure_topics(admin: AdminClient, topics: Iterable[TopicSpec]) -> None:
    """Make the topics that do not exist yet; those that do are left as they are.

    Safe to run in several processes at once.
    """
    new = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            config=topic.config,
        )
        for topic in topics
    ]
    if not new:
        return
    for name, future in admin.create_topics(new, request_timeout=REQUEST_TIMEOUT_SECONDS).items():
        try:
            future.result()
            log.info("made topic %s", name)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            if error.args[0].retriable() or error.args[0].code() == KafkaError._TIMED_OUT:
                raise BrokersUnreachable(f"cannot make topic {name}: {error}") from error
            raise Stop(f"cannot make topic {name}: {error}") from error
