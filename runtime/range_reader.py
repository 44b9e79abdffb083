"""Read a stretch of a topic once, outside of any consumer group. Edge: confluent_kafka.

Nothing is committed and no group is joined, so the stage that lives on the topic does not
notice. Each partition ends for itself at the end of its range, which was there when the
ranges were made.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.cimpl import Message

from runtime.errors import StageError, Stop
from runtime.kafka_client import (
    Admin,
    ConnectionErrors,
    acl_missing,
    cluster_metadata,
    is_refusal,
)
from runtime.kafka_topics import refuse_hidden
from runtime.topic_ranges import OffsetRange, PartitionEdges, Place, RangeNotThere, moments, ranges

REQUEST_TIMEOUT_SECONDS = 10.0
FETCH_MAX_BYTES = 16 * 1024 * 1024
QUEUED_KILOBYTES = 64 * 1024
MAX_RECEIVE_BYTES = 2_147_483_647

log = logging.getLogger(__name__)


class TopicMissing(Stop):
    """The topic does not exist."""


class KafkaRecord(NamedTuple):
    """A record as Kafka has it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class RangeReader:
    """Reads ranges of one topic, the partitions in any order, each in its own order.

    A context manager; not safe for use by several threads.
    """

    def __init__(
        self, client: Mapping[str, Any], topic: str, max_message_bytes: int, client_id: str
    ) -> None:
        """`client` is librdkafka's configuration of the connection; nothing is connected yet."""
        self.topic = topic
        self._client = client
        self._errors = ConnectionErrors()
        self._open: dict[int, OffsetRange] = {}
        self._next: dict[int, int] = {}
        self._consumer = Consumer(
            {
                **client,
                "client.id": client_id,
                # Demanded by the client, and never told to the brokers without a commit.
                "group.id": client_id,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": QUEUED_KILOBYTES,
                "fetch.max.bytes": FETCH_MAX_BYTES,
                "receive.message.max.bytes": min(
                    max_message_bytes + FETCH_MAX_BYTES + 1024 * 1024, MAX_RECEIVE_BYTES
                ),
                "log_level": 2,
                "error_cb": self._errors,
            },
            logger=log,
        )

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def edges(self, at: Iterable[int] = ()) -> dict[int, PartitionEdges]:
        """Return what each partition holds now, and where the moments (ms) fall in it."""
        metadata = cluster_metadata(self._consumer, self._errors, REQUEST_TIMEOUT_SECONDS)
        try:
            found = metadata.topics.get(self.topic)
            if found is None or not found.partitions:
                refuse_hidden(Admin(self._client), self.topic, REQUEST_TIMEOUT_SECONDS)
                raise TopicMissing(
                    f"topic {self.topic} does not exist; check BEMI_TOPIC_PREFIX and the brokers"
                )
            ends = {
                partition: self._consumer.get_watermark_offsets(
                    TopicPartition(self.topic, partition), timeout=REQUEST_TIMEOUT_SECONDS
                )
                for partition in found.partitions
            }
            offsets: dict[int, dict[int, int]] = {partition: {} for partition in ends}
            for moment in at:
                asked = [TopicPartition(self.topic, partition, moment) for partition in ends]
                for answer in self._consumer.offsets_for_times(asked, REQUEST_TIMEOUT_SECONDS):
                    end = ends[answer.partition][1]
                    offset = end if answer.offset < 0 else answer.offset
                    offsets[answer.partition][moment] = min(offset, end)
        except KafkaException as error:
            raise self._failed(error) from error
        return {
            partition: PartitionEdges(first, end, offsets[partition])
            for partition, (first, end) in ends.items()
        }

    def ranges(self, starts: Sequence[Place], ends: Sequence[Place]) -> list[OffsetRange]:
        """Return the ranges between the places, as the topic is now."""
        return ranges(self.topic, starts, ends, self.edges(moments([*starts, *ends])))

    def start(self, wanted: Iterable[OffsetRange]) -> None:
        """Begin to read the ranges, in place of any before."""
        self._open = {each.partition: each for each in wanted if each.start < each.end}
        self._next = {each.partition: each.start for each in wanted}
        places = [
            TopicPartition(self.topic, each.partition, each.start) for each in self._open.values()
        ]
        self._consumer.assign(places)
        # A partition that was paused at the end of a range before stays so otherwise.
        self._consumer.resume(places)

    @property
    def is_done(self) -> bool:
        """Whether every range was read to its end."""
        return not self._open

    @property
    def next_offsets(self) -> dict[int, int]:
        """Where each partition goes on behind what was returned; its end when it is done."""
        return dict(self._next)

    def read(self, max_records: int, timeout_seconds: float) -> list[KafkaRecord]:
        """Return the records at hand, at most so many, waiting only while there is none.

        There may be none before the end.
        """
        if self.is_done:
            return []
        try:
            messages = self._consumer.consume(1, timeout_seconds)
            if messages and max_records > 1:
                messages += self._consumer.consume(max_records - 1, 0)
        except KafkaException as error:
            raise self._failed(error) from error
        records = []
        for message in messages:
            partition = cast("int", message.partition())
            if message.error() is not None:
                self._take_error(message)
            elif (wanted := self._open.get(partition)) is not None:
                offset = cast("int", message.offset())
                if offset < wanted.end:
                    records.append(_record(message))
                    self._next[partition] = offset + 1
                if offset + 1 >= wanted.end:
                    self._end(partition)
        return records

    def _failed(self, error: KafkaException) -> StageError:
        if is_refusal(error):
            return acl_missing("Read", f"topic {self.topic}")
        return self._errors.failure(f"cannot read the state of topic {self.topic}", error)

    def _end(self, partition: int) -> None:
        self._next[partition] = self._open.pop(partition).end
        # What was fetched beyond the end is let go, and no more is fetched.
        self._consumer.pause([TopicPartition(self.topic, partition)])

    def _take_error(self, message: Message) -> None:
        error, partition = message.error(), message.partition()
        if error is None or partition is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:
            # The last offsets of a range may be markers, which are no records.
            if partition in self._open and (message.offset() or 0) >= self._open[partition].end:
                self._end(partition)
        elif error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            # The client asks who coordinates its group, which nobody joins.
            log.debug("kafka: %s", error.str())
        elif is_refusal(error):
            raise acl_missing("Read", f"topic {self.topic}")
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise RangeNotThere(
                f"{self.topic} [{partition}] does not have offset {self._next.get(partition)} any"
                " more: the topic's retention removed it before it was read"
            )
        elif error.fatal():
            raise Stop(f"the Kafka client failed for good: {error}; start the command again")
        else:
            # The client connects again by itself, for ever.
            log.warning("kafka: %s", error.str())


def committed_offsets(
    client: Mapping[str, Any], group: str, topic: str, partitions: Iterable[int]
) -> dict[int, int]:
    """Return how far a group has come in a topic, by partition; 0 where it never committed."""
    errors = ConnectionErrors()
    consumer = Consumer({**client, "group.id": group, "log_level": 2, "error_cb": errors})
    asked = [TopicPartition(topic, partition) for partition in partitions]
    try:
        answers = consumer.committed(asked, timeout=REQUEST_TIMEOUT_SECONDS)
    except KafkaException as error:
        told = consumer.poll(0)
        if is_refusal(error) or (told is not None and is_refusal(told.error())):
            raise acl_missing("Describe", f"group {group}") from error
        raise errors.failure(f"cannot read how far group {group} is", error) from error
    finally:
        consumer.close()
    return {answer.partition: max(answer.offset, 0) for answer in answers}


def _record(message: Message) -> KafkaRecord:
    headers = message.headers()
    return KafkaRecord(
        cast("str", message.topic()),
        cast("int", message.partition()),
        cast("int", message.offset()),
        message.key(),
        message.value(),
        # A consumer's headers are pairs of bytes; the types allow a producer's forms too.
        tuple(cast("list[tuple[str, bytes | None]]", headers)) if headers else (),
    )
