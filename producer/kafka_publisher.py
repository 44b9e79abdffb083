"""Publish records and count what is acknowledged. Edge: librdkafka.

Idempotent and acks=all: within a partition records arrive in order and once, as long as no
record is given up. So none ever is: the client retries for ever, its queue fills, `publish`
waits. What it does report as failed ends the publisher; whoever owns it makes a new one and
publishes again from the confirmed position.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from producer.change_events import Record
from producer.errors import DeliveryFailed, RecordTooLarge
from producer.progress import InFlight
from runtime.errors import StageError
from runtime.kafka_client import acl_missing, is_refusal

QUEUE_MESSAGES = 50_000
QUEUE_SLACK_KIB = 1024
POLL_WHEN_FULL_SECONDS = 0.1
HURRY_SECONDS = 0.005

log = logging.getLogger(__name__)


class KafkaPublisher:
    """Publishes records, in the order in which they are handed over."""

    def __init__(
        self,
        client: Mapping[str, Any],
        *,
        max_message_bytes: int,
        queue_bytes: int,
        linger_ms: float,
        compression_type: str,
        while_waiting: Callable[[], None],
    ) -> None:
        """Make a publisher; `while_waiting` is called again and again while the queue is full.

        `client` is librdkafka's configuration of the connection; what delivery rests on is not
        its to say. A `queue_bytes` of 0 is the publisher's own bound.
        """
        queue_kib = max(queue_bytes, max_message_bytes) // 1024 + QUEUE_SLACK_KIB
        self._producer = Producer(
            {
                "client.id": "bemi-producer",
                **client,
                "enable.idempotence": True,
                "acks": "all",
                # Never give up: a record left out would be a gap nobody sees.
                "message.timeout.ms": 0,
                # The partition of a key must be the one Java's clients choose.
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "compression.type": compression_type,
                "message.max.bytes": max_message_bytes,
                "queue.buffering.max.messages": QUEUE_MESSAGES,
                "queue.buffering.max.kbytes": queue_kib,
                # A call for each success would take a third of publishing a record; that all
                # have succeeded is known by nothing being left.
                "delivery.report.only.error": True,
                "on_delivery": self._note_delivery,
                "error_cb": self._note_error,
            },
            logger=log,
        )
        self._while_waiting = while_waiting
        self._failure: StageError | None = None

    def publish(self, records: list[Record], transaction: InFlight) -> None:
        """Hand the transaction's records over; waits while the queue is full.

        They count as acknowledged once `is_empty`: see Progress.acknowledge.
        """
        produce = self._producer.produce
        transaction.pending = True
        for topic, key, value, headers, partition in records:
            while True:
                try:
                    if headers is None:
                        produce(topic, value, key, partition)
                    else:
                        produce(topic, value, key, partition, headers=headers)  # type: ignore[arg-type] # The stub's list is invariant.
                except BufferError:
                    self.poll(POLL_WHEN_FULL_SECONDS)
                    self._while_waiting()
                except KafkaException as error:
                    raise _failure(error.args[0], topic) from error
                else:
                    break

    @property
    def is_empty(self) -> bool:
        """Tell whether every record that was ever handed over is acknowledged."""
        return len(self._producer) == 0 and self._failure is None

    def drain(self) -> None:
        """Wait until every record is acknowledged; raises when one was not."""
        while not self.flush(POLL_WHEN_FULL_SECONDS):
            self._while_waiting()

    def poll(self, timeout_seconds: float) -> None:
        """Take in what was acknowledged since; raises when a record was not."""
        self._producer.poll(timeout_seconds)
        if self._failure is not None:
            raise self._failure

    def hurry(self) -> None:
        """Send what waits for company, and wait a moment for its acknowledgement."""
        if not self.is_empty:
            self.flush(HURRY_SECONDS)

    def flush(self, timeout_seconds: float) -> bool:
        """Wait for all acknowledgements; returns whether they came in time."""
        remaining = self._producer.flush(timeout_seconds)
        if self._failure is not None:
            raise self._failure
        return remaining == 0

    def close(self) -> None:
        """Drop what is still queued; for a publisher that is not to be used again."""
        self._producer.purge()
        self._producer.poll(0)

    def _note_delivery(self, error: KafkaError | None, message: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = _failure(error, message.topic())

    def _note_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = DeliveryFailed(f"the Kafka client cannot go on: {error.str()}")
        else:
            log.warning("kafka: %s", error.str())


def _failure(error: KafkaError, topic: str) -> StageError:
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordTooLarge(
            f"an event for topic {topic} is larger than a record may be; raise "
            "BEMI_KAFKA_MAX_MESSAGE_BYTES, the topic's max.message.bytes and the brokers' "
            "message.max.bytes, then start the producer again: nothing is lost"
        )
    if is_refusal(error):
        return acl_missing("Write", f"topic {topic}")
    return DeliveryFailed(f"Kafka did not take a record for topic {topic}: {error.str()}")
