"""Keep where the producer stands in a compacted Kafka topic. Edge: librdkafka.

A record is the latest value of its key; the topic has one partition and is read to its end
when the store is opened. A `put` is durable once every in-sync replica has it, not before.

    offset/{slot}        the position before which everything is acknowledged
    publication/{slot}   what the publication covered then
    snapshot/{slot}/...  what a snapshot has finished
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    ConfigResource,
    ResourceType,
)

from producer.errors import DeliveryFailed, OffsetsNotCompacted, OffsetsUnreadable
from producer.progress import STORE_SECONDS, StoredProgress
from producer.source_state import StoredOffset
from runtime.errors import StageError
from runtime.kafka_client import Admin, BrokersUnreachable, acl_missing, is_refusal
from runtime.kafka_topics import (
    TopicSpec,
    ensure_topics,
    partition_count,
    topic_ids,
)
from schemas.change_id import Lsn

READ_SECONDS = 30.0
REQUEST_SECONDS = 30.0

# The active segment is never compacted, so it is kept small: a start reads what remains of
# the closed ones and all of it. A megabyte is the smallest that brokers allow.
TOPIC_CONFIG = {"cleanup.policy": "compact", "segment.bytes": str(1024 * 1024)}

Value = dict[str, Any]

log = logging.getLogger(__name__)


class KeyValues(Protocol):
    """What its users may rely on; OffsetStore is the one that lasts."""

    def get(self, key: str) -> Value | None:
        """Return the latest value of the key."""

    def items(self, prefix: str) -> dict[str, Value]:
        """Return the latest value of every key that begins with the prefix."""

    def put(self, key: str, value: Value, on_stored: Callable[[], None] | None = None) -> None:
        """Hand a value over; it is durable when `on_stored` is called."""

    def delete(self, key: str) -> None:
        """Forget the key."""

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything put is durable; returns whether it is."""


class OffsetStore:
    """The open store. May be used by several threads."""

    def __init__(self, client: Mapping[str, Any], topic: str, found: dict[str, bytes]) -> None:
        self._topic = topic
        self._found = found
        self._lock = threading.Lock()
        self._failure: StageError | None = None
        self._producer = Producer(
            {
                **client,
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": 0,
                "linger.ms": 0,
                "error_cb": self._note_error,
            },
            logger=log,
        )

    @classmethod
    def open(cls, client: Mapping[str, Any], topic: str) -> OffsetStore:
        """Make the topic if there is none, and read it to its present end.

        `client` is librdkafka's configuration of the connection: servers, security.
        """
        admin = Admin(client)
        is_new = partition_count(admin, topic, acl="Read") is None
        if is_new:
            ensure_topics(admin, [TopicSpec(topic, 1, TOPIC_CONFIG)])
        for acl in ("Write", "Read"):
            topic_ids(admin, [topic], acl=acl)
        if is_new:
            log.info("no offset is stored yet in %s", topic)
            return cls(client, topic, {})
        _check_compacted(admin, topic)
        return cls(client, topic, _read(client, topic))

    def get(self, key: str) -> Value | None:
        """Return the latest value of the key, durable or just put."""
        with self._lock:
            value = self._found.get(key)
        return None if value is None else _parse(key, value)

    def items(self, prefix: str) -> dict[str, Value]:
        """Return the latest value of every key that begins with the prefix."""
        with self._lock:
            found = {key: value for key, value in self._found.items() if key.startswith(prefix)}
        return {key: _parse(key, value) for key, value in found.items()}

    def put(self, key: str, value: Value, on_stored: Callable[[], None] | None = None) -> None:
        """Hand a value over; it is durable when `on_stored` is called, by `poll` or `flush`."""
        encoded = json.dumps(value, separators=(",", ":")).encode()
        with self._lock:
            self._found[key] = encoded
        self._produce(key, encoded, on_stored)

    def delete(self, key: str) -> None:
        """Forget the key."""
        with self._lock:
            self._found.pop(key, None)
        self._produce(key, None, None)

    def poll(self) -> None:
        """Take in what was acknowledged since; raises when a write was not taken."""
        self._producer.poll(0)
        if self._failure is not None:
            raise self._failure

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything put is durable; returns whether it is."""
        remaining = self._producer.flush(timeout_seconds)
        if self._failure is not None:
            raise self._failure
        return remaining == 0

    def close(self) -> None:
        """Drop what is not written yet; for a store that is not to be used again."""
        self._producer.purge()
        self._producer.poll(0)

    def _produce(self, key: str, value: bytes | None, on_stored: Callable[[], None] | None) -> None:
        def note(error: KafkaError | None, _message: Message) -> None:
            if error is None:
                if on_stored is not None:
                    on_stored()
            elif self._failure is None:
                self._failure = (
                    acl_missing("Write", f"topic {self._topic}")
                    if is_refusal(error)
                    else DeliveryFailed(f"Kafka did not store {key}: {error.str()}")
                )

        try:
            self._producer.produce(self._topic, value, key.encode(), 0, on_delivery=note)
        except (BufferError, KafkaException) as error:
            raise DeliveryFailed(f"Kafka did not store {key}: {error}") from error

    def _note_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = DeliveryFailed(f"the Kafka client cannot go on: {error.str()}")


class OffsetWriter:
    """Writes the position down as it moves, and says which one may be confirmed to the slot.

    What is confirmed is always stored: the server forgets what is confirmed, so a position
    that is only confirmed could not be told from one that somebody else has moved.
    """

    def __init__(
        self,
        store: OffsetStore,
        offset: StoredOffset,
        before_write: Callable[[], None],
        interval_seconds: float = STORE_SECONDS,
    ) -> None:
        """Go on from `offset`, which is stored already.

        `before_write` is called before each write and raises when nothing may be written:
        what was read up to now is then not known to be everything.
        """
        self._store = store
        self._offset = offset
        self._progress = StoredProgress(offset.lsn, interval_seconds)
        self._before_write = before_write

    @property
    def confirmable_lsn(self) -> Lsn:
        """The last position that is stored."""
        return self._progress.confirmable_lsn

    def advance(self, acknowledged: Lsn, now: float) -> None:
        """Take note of how far everything is acknowledged; writes about once a second."""
        self._store.poll()
        due = self._progress.due(acknowledged, now)
        if due is not None:
            self._write(due)

    def finish(self, acknowledged: Lsn, timeout_seconds: float) -> None:
        """Write the last position down and wait for it, as long as given."""
        if acknowledged > self._progress.confirmable_lsn:
            self._write(acknowledged)
        self._store.flush(timeout_seconds)

    def _write(self, lsn: Lsn) -> None:
        self._before_write()
        offset = self._offset.at(lsn)
        self._store.put(
            offset_key(offset.slot_name),
            offset.to_json(),
            lambda: self._progress.note_stored(lsn),
        )


def offset_key(slot_name: str) -> str:
    """Return the key of a slot's position."""
    return f"offset/{slot_name}"


def publication_key(slot_name: str) -> str:
    """Return the key of what the publication covered when the slot was last read."""
    return f"publication/{slot_name}"


def _check_compacted(admin: Admin, topic: str) -> None:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        answer = admin.describe_configs([resource], request_timeout=REQUEST_SECONDS)[resource]
        policy = str(answer.result()["cleanup.policy"].value)
    except KafkaException as error:
        if is_refusal(error):
            log.warning(
                "may not read the settings of topic %s, which must be compacted (ACL "
                "DescribeConfigs)",
                topic,
            )
            return
        raise BrokersUnreachable(f"cannot read the settings of topic {topic}: {error}") from error
    if policy != "compact":
        raise OffsetsNotCompacted(
            f"topic {topic} has cleanup.policy={policy}, so the stored position would be "
            "forgotten: set it to compact"
        )


def _read(client: Mapping[str, Any], topic: str) -> dict[str, bytes]:
    """Return the latest value of each key.

    The end is known by the broker saying so: compaction leaves holes in the offsets.
    """
    consumer = Consumer(
        {
            **client,
            "group.id": f"{topic}-reader",  # Never joined; the client insists on a name.
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        },
        logger=log,
    )
    found: dict[str, bytes] = {}
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(READ_SECONDS)
            if message is None:
                raise BrokersUnreachable(f"topic {topic} cannot be read to its end")
            error = message.error()
            if error is None:
                _take(found, message)
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
            elif error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                pass  # The client asks who coordinates its group, which nobody joins.
            elif is_refusal(error):
                raise acl_missing("Read", f"topic {topic}")
            else:
                raise BrokersUnreachable(f"topic {topic} cannot be read: {error.str()}")
    finally:
        consumer.close()


def _take(found: dict[str, bytes], message: Message) -> None:
    key, value = message.key(), message.value()
    if key is None:
        raise OffsetsUnreadable(f"a record of topic {message.topic()} has no key")
    name = key.decode(errors="replace") if isinstance(key, bytes) else key
    if value is None:
        found.pop(name, None)
    else:
        found[name] = value.encode() if isinstance(value, str) else value


def _parse(key: str, value: bytes) -> Value:
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise OffsetsUnreadable(f"the offset store's value of {key} is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise OffsetsUnreadable(f"the offset store's value of {key} is no JSON object")
    return parsed
