"""Make the topics a stage writes to. Edge: talks to the brokers.

Brokers need not create topics by themselves, and should not: a topic made on the fly has
the brokers' default limits, and those refuse a row of 5 MB.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclOperation,
    AdminClient,
    OffsetSpec,
)
from confluent_kafka.cimpl import NewTopic

from runtime.errors import Stop
from runtime.kafka_client import (
    Admin,
    BrokersUnreachable,
    acl_missing,
    is_refusal,
)

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
    admin: Admin,
    topic: str,
    timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    acl: str = "Describe",
) -> int | None:
    """Return how many partitions the topic has, or None where there is no such topic.

    `acl` is what the caller will need on it. Raises as Admin.metadata does, and AclMissing.
    """
    found = admin.metadata(timeout_seconds).topics.get(topic)
    if found is not None and found.error is None:
        return len(found.partitions)
    refuse_hidden(admin, topic, timeout_seconds, acl)
    return None


def refuse_hidden(
    admin: Admin, topic: str, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS, acl: str = "Read"
) -> None:
    """Raise AclMissing where a topic that is not listed is perhaps there all the same.

    Brokers leave out of their list what the user may not describe. It would be waited for
    without an end, or taken for empty.
    """
    topic_ids(admin, [topic], timeout_seconds, acl)


def topic_ids(
    admin: Admin,
    topics: Iterable[str],
    timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    acl: str = "Describe",
) -> dict[str, str]:
    """Return the id that each topic was given when it was made; one that is missing has none.

    A topic that is deleted and made again has another, and no id ever comes again. Brokers that
    give none are of before 2.8. Raises as Admin.metadata does, and AclMissing where the user has
    not the ACL, or may not even know whether there is such a topic.
    """
    asked = admin.describe_topics(
        TopicCollection(list(topics)),
        # Who gets an answer may describe; only other rights are worth the brokers' looking.
        include_authorized_operations=acl != "Describe",
        request_timeout=timeout_seconds,
    )
    ids = {}
    for topic, answer in asked.items():
        try:
            found = answer.result()
        except KafkaException as error:
            if is_refusal(error):
                raise acl_missing(acl, f"topic {topic}") from error
            if error.args[0].code() not in _NO_SUCH_TOPIC:
                raise admin.failure(f"cannot read the id of topic {topic}", error) from error
            continue
        allowed = found.authorized_operations
        if allowed and AclOperation[acl.upper()] not in allowed:
            raise acl_missing(acl, f"topic {topic}")
        ids[topic] = str(found.topic_id)
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

    Safe to run in several processes at once. A user that may make none needs them all to be
    there; else AclMissing is raised.
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
            if is_refusal(error):
                # Brokers ask for the right first, and look afterwards whether there is a topic.
                if _is_there(admin, name):
                    continue
                raise acl_missing("Create", f"topic {name}") from error
            if error.args[0].retriable() or error.args[0].code() == KafkaError._TIMED_OUT:
                raise BrokersUnreachable(f"cannot make topic {name}: {error}") from error
            raise Stop(f"cannot make topic {name}: {error}") from error


def _is_there(admin: AdminClient, topic: str) -> bool:
    answer = admin.describe_topics(
        TopicCollection([topic]), request_timeout=REQUEST_TIMEOUT_SECONDS
    )[topic]
    try:
        answer.result()
    except KafkaException:
        return False
    return True
