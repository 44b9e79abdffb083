"""Send stitched changes to Kafka. Edge: owns the Kafka producer.

Never gives up on a record (message.timeout.ms=0): an idempotent producer that drops one
after a time leaves a gap in its partition, and what follows the gap is then delivered. What
the brokers refuse for good fails the whole stage instead.

Lives in the event loop: delivery reports are taken by a timer there, so no lock is needed
and nothing blocks it. Configuration: librdkafka, CONFIGURATION.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from runtime.errors import StageError
from runtime.kafka_client import acl_missing, client_settings, is_refusal
from stitcher_stream.errors import OutputRefused, ProducerBroken
from stitcher_stream.settings import StitcherSettings

BUSY_POLL_SECONDS = 0.005
IDLE_POLL_SECONDS = 0.05
SILENT_POLLS = 50
LINGER_MS = 5
QUEUE_RECORDS = 100_000

log = logging.getLogger(__name__)

# At each start it warns that a property below is experimental, with the whole manual page.
_librdkafka_log = logging.getLogger(f"{__name__}.librdkafka")
_librdkafka_log.addFilter(lambda record: not record.getMessage().startswith("CONFWARN"))

KafkaHeaders = list[tuple[str, "str | bytes | None"]]


class Send(Protocol):
    """Hands one record over."""

    def __call__(
        self, key: bytes | None, value: bytes | None, headers: KafkaHeaders | None = None
    ) -> bool: ...


_ADVICE = {
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "raise max.message.bytes of the topic (and message.max.bytes of the brokers), "
        "or BEMI_KAFKA_MAX_MESSAGE_BYTES, then start again"
    ),
}
_GONE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)


class Delivery:
    """The records one batch of input gave, and how many of them are stored.

    Done when all were handed over (`close`) and each is acknowledged; failed with the first
    that is refused. The publisher counts what it hands over.
    """

    __slots__ = ("_closed", "_done", "_stored", "handed_over", "size_bytes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._done: asyncio.Future[None] = loop.create_future()
        self.handed_over = 0
        self._stored = 0
        self._closed = False
        self.size_bytes = 0

    def report(self, error: KafkaError | None, message: Any) -> None:
        """Take one delivery report."""
        if error is not None:
            if not self._done.done():
                self._done.set_exception(refusal(error, message.topic()))
            return
        self._stored += 1
        if self._closed and self._stored == self.handed_over and not self._done.done():
            self._done.set_result(None)

    def close(self) -> asyncio.Future[None]:
        """Say that no more records follow, and return what becomes done."""
        self._closed = True
        if self._stored == self.handed_over and not self._done.done():
            self._done.set_result(None)
        return self._done


def refusal(error: KafkaError, topic: str | None) -> StageError:
    """Return what a refused record means: a person must act, or a new process helps."""
    advice = _ADVICE.get(error.code())
    if is_refusal(error):
        return acl_missing("Write", f"topic {topic}")
    if error.code() in _GONE:
        return ProducerBroken(
            f"topic {topic} is gone, or has fewer partitions than `.wal`; the next start makes it, "
            "or says what is wrong with it"
        )
    if advice is None:
        return ProducerBroken(f"the brokers did not store a record of {topic}: {error.str()}")
    return OutputRefused(f"the brokers refuse a record of {topic} ({error.name()}): {advice}")


def end_of_producer(error: KafkaError) -> StageError:
    """Return what a fatal error of the Kafka producer means."""
    if error.code() == KafkaError._GAPLESS_GUARANTEE:
        advice = _ADVICE[KafkaError.MSG_SIZE_TOO_LARGE]
        return OutputRefused(
            f"the brokers refuse a record for good: {error.str()}. If it is too large: {advice}"
        )
    return ProducerBroken(f"the Kafka producer cannot go on: {error.str()}")


def publisher_configuration(settings: StitcherSettings) -> dict[str, Any]:
    """Return how a Kafka producer of the stitcher writes."""
    return {
        **client_settings(settings),
        "client.id": settings.group_id,
        "enable.idempotence": True,
        "acks": "all",
        # Nothing that follows a refused record may be stored: a reader that goes by
        # the last (commit_lsn, ordinal) would take the refused one for a replay.
        "enable.gapless.guarantee": True,
        "message.timeout.ms": 0,
        "compression.type": "lz4",
        "linger.ms": LINGER_MS,
        "message.max.bytes": settings.kafka_max_message_bytes,
        "queue.buffering.max.messages": QUEUE_RECORDS,
        # A record larger than the whole queue would wait for room for ever.
        "queue.buffering.max.kbytes": settings.kafka_max_message_bytes // 1024 + 1024,
        "logger": _librdkafka_log,
    }


class Publisher:
    """Sends records in order, one Kafka producer for all partitions.

    `on_failure` is called once, with the reason, when no record can be stored any more.
    """

    def __init__(
        self, settings: StitcherSettings, on_failure: Callable[[StageError], None]
    ) -> None:
        self._on_failure = on_failure
        self._waiting = 0
        self._in_flight_limit = settings.in_flight_bytes
        self._in_flight_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._wake = asyncio.Event()
        self._producer = Producer({**publisher_configuration(settings), "error_cb": self._error})
        self._poller: asyncio.Task[None] | None = None

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of what was handed over whole and is not acknowledged yet."""
        return self._in_flight_bytes

    async def room(self) -> None:
        """Wait until less is on its way than may be."""
        await self._room.wait()

    def sender(self, topic: str, partition: int, delivery: Delivery) -> Send:
        """Return what hands over one record, key and value; False when the queue is full.

        It raises OutputRefused for a record larger than one may be. A closure, because it is
        called for every change.
        """
        produce, report = self._producer.produce, delivery.report

        def send(
            key: bytes | None, value: bytes | None, headers: KafkaHeaders | None = None
        ) -> bool:
            try:
                if headers is None:
                    produce(topic, value, key, partition, report)
                else:
                    produce(topic, value, key, partition, report, headers=headers)
            except BufferError:
                return False
            except KafkaException as error:
                raise refusal(error.args[0], topic) from error
            delivery.handed_over += 1
            if value is not None:
                delivery.size_bytes += len(value)
            return True

        return send

    async def wait_for_queue(self) -> None:
        """Take delivery reports until the queue may have room again."""
        self._producer.poll(0)
        await asyncio.sleep(BUSY_POLL_SECONDS)

    async def delivered(self, delivery: Delivery) -> None:
        """Return when every record of the batch is stored; raises why one is not."""
        size = delivery.size_bytes
        self._in_flight_bytes += size
        self._waiting += 1
        if self._in_flight_bytes >= self._in_flight_limit:
            self._room.clear()
        done = delivery.close()
        self._wake.set()
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            await done
        finally:
            self._waiting -= 1
            self._in_flight_bytes -= size
            if self._in_flight_bytes < self._in_flight_limit:
                self._room.set()

    async def _poll(self) -> None:
        """Take delivery reports while any batch waits for them."""
        silent_polls = 0
        try:
            while True:
                if self._waiting == 0:
                    self._wake.clear()
                    await self._wake.wait()
                silent_polls = 0 if self._producer.poll(0) else silent_polls + 1
                # Brokers that have been silent for a while are asked less often.
                is_busy = silent_polls < SILENT_POLLS
                await asyncio.sleep(BUSY_POLL_SECONDS if is_busy else IDLE_POLL_SECONDS)
        except KafkaException as error:
            self._on_failure(end_of_producer(error.args[0]))
        except Exception as error:
            self._on_failure(ProducerBroken(f"taking delivery reports failed: {error!r}"))

    def _error(self, error: KafkaError) -> None:
        # Connections that break are librdkafka's to mend; only a fatal error ends it.
        if error.fatal():
            self._on_failure(end_of_producer(error))
        else:
            log.warning("kafka: %s", error.str())

    def close(self) -> None:
        """Stop at once. What was not acknowledged is stitched again after a start."""
        if self._poller is not None:
            self._poller.cancel()
        self._producer.purge()
