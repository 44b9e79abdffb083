"""Read the records of `.changes` from where PostgreSQL says. Edge: confluent_kafka.

The brokers decide which partitions a sink has; where reading begins in them is not theirs
to say. A partition that is assigned stands still until `position` is called with the
offset of its watermark, so whatever was read before a rebalance, a reconnection or another
sink's write can never be taken for what follows the watermark. The group's offsets are
committed only for tools that show its lag; nothing here reads them.

Records that the brokers removed before they were stored are an error (RecordsLost), never
a silent jump to what is left.

The assignment is of the eager kind: all partitions are given up and assigned anew in each
rebalance. Positioning is cheap, so nothing is gained by keeping some.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.cimpl import Message

from runtime.errors import Retry, StageError
from runtime.kafka_client import (
    Admin,
    BrokersUnreachable,
    ConnectionErrors,
    acl_missing,
    client_settings,
    cluster_metadata,
    is_refusal,
)
from runtime.kafka_topics import refuse_hidden, topic_ids
from sink_pg.change_rows import Record
from sink_pg.errors import KafkaClientFailed, OffsetBeyondTopic, RecordsLost
from sink_pg.settings import SinkSettings

# Short, because a sink that is told to stop waits for it.
REQUEST_TIMEOUT_SECONDS = 3.0
REPEAT_ERROR_SECONDS = 30.0
LEAVE_SECONDS = 5.0
COMMIT_INTERVAL_SECONDS = 1.0
FETCH_MAX_BYTES = 16 * 1024 * 1024
# Room for the framing of a response around its records.
FRAMING_BYTES = 1024 * 1024
MAX_RECEIVE_BYTES = 2_147_483_647

_HARMLESS = (
    KafkaError._PARTITION_EOF,
    KafkaError._MAX_POLL_EXCEEDED,  # The next call joins the group again.
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)

log = logging.getLogger(__name__)


class KafkaReader:
    """One member of the group that shares the partitions of `.changes`.

    `read` must be called at least every few minutes, also while there is nothing to read,
    or the brokers give the partitions to another. Not safe for use by several threads.
    """

    def __init__(self, settings: SinkSettings, topic: str) -> None:
        self._settings = settings
        self.topic = topic
        self._topic_id = ""
        self._admin: Admin | None = None
        self._consumer: Consumer | None = None
        self._assigned: frozenset[int] | None = None
        self._is_positioned = False
        self._positions: dict[int, int] = {}
        self._stored: dict[int, int] = {}
        self._committed_at = 0.0
        self._error_logged_at: dict[int, float] = {}

    @property
    def assigned(self) -> frozenset[int] | None:
        """The partitions this sink has; None while the group has not decided yet."""
        return self._assigned

    @property
    def is_positioned(self) -> bool:
        """Whether records are being read; if not, none read earlier may be stored any more."""
        return self._is_positioned

    def join(self) -> bool:
        """Join the group; return False, and do nothing, where there is no such topic yet.

        Raises AclMissing where it may be hidden.
        """
        errors = ConnectionErrors()
        configuration = {**self._configuration(partitions=1), "error_cb": errors}
        with Consumer(configuration, logger=log) as probe:
            metadata = cluster_metadata(probe, errors, REQUEST_TIMEOUT_SECONDS)
        found = metadata.topics.get(self.topic)
        if found is None or not found.partitions:
            refuse_hidden(self._asking, self.topic, REQUEST_TIMEOUT_SECONDS)
            return False
        self.ask_topic_id()  # Raises AclMissing where it may be seen and not read.
        self._consumer = Consumer(self._configuration(len(found.partitions)), logger=log)
        self._consumer.subscribe(
            [self.topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        return True

    def ask_topic_id(self) -> str:
        """Return the id that the topic was given when it was made; asks the brokers."""
        ids = topic_ids(self._asking, [self.topic], REQUEST_TIMEOUT_SECONDS, "Read")
        if self.topic not in ids:
            raise BrokersUnreachable(f"topic {self.topic} is gone; the stitcher makes it")
        return ids[self.topic]

    def check_topic(self) -> None:
        """Raise a Retry error where the topic is not the one that is being read any more.

        The client itself reads on, at the offset where it was, in a topic that was made anew.
        """
        if self.ask_topic_id() != self._topic_id:
            raise Retry(f"topic {self.topic} was made anew")

    def position(self, next_offsets: Mapping[int, int], topic_id: str) -> None:
        """Begin reading the assigned partitions, each at its offset or else at its beginning.

        The offsets are of the topic with this id. Where it does not have them any more, `read`
        raises RecordsLost or OffsetBeyondTopic.
        """
        self._topic_id = topic_id
        # Who watches the group is to see what is stored, though nothing more may ever come.
        self._stored = {
            partition: offset for partition, offset in next_offsets.items() if offset > 0
        }
        if self._assigned is None:
            raise KafkaClientFailed("positioned before the group has assigned anything")
        self._positions = {
            partition: next_offsets.get(partition, OFFSET_BEGINNING) for partition in self._assigned
        }
        self._joined.assign(
            [
                TopicPartition(self.topic, partition, offset)
                for partition, offset in sorted(self._positions.items())
            ]
        )
        self._is_positioned = True

    def hold(self) -> None:
        """Stop reading until positioned again; the partitions are kept."""
        self._is_positioned = False
        if self._assigned:
            self._joined.assign([])

    def read(
        self, max_records: int, timeout_seconds: float, *, is_gathering: bool = False
    ) -> list[Record]:
        """Return the records at hand, at most so many, waiting only while there is none.

        Whoever is gathering waits for the whole time unless there are as many before: one call
        instead of one for each that comes.

        Rebalances happen in here: look at `is_positioned` before using what it returned.
        """
        consumer = self._joined
        self._commit_sometimes()
        messages = consumer.consume(max_records if is_gathering else 1, timeout_seconds)
        if messages and not is_gathering and max_records > 1:
            messages += consumer.consume(max_records - 1, timeout=0)
        return [
            self._record(message)
            for message in messages
            if message.error() is None or self._is_record_in_spite_of_error(message)
        ]

    def stored(self, next_offsets: Mapping[int, int]) -> None:
        """Take note of what is stored, to be committed to the group for those who watch it."""
        self._stored.update(next_offsets)

    def close(self) -> None:
        """Leave the group, so that its other members get the partitions at once.

        Gives up after a few seconds: while no broker answers, the client may try for a minute,
        and the brokers notice by themselves that a member is gone.
        """
        if self._consumer is not None:
            leaving = threading.Thread(target=self._consumer.close, daemon=True)
            leaving.start()
            leaving.join(LEAVE_SECONDS)
            if leaving.is_alive():
                log.warning("ending without having left the group: no broker answers")
            self._consumer = None

    @property
    def _asking(self) -> Admin:
        if self._admin is None:
            self._admin = Admin(client_settings(self._settings))
        return self._admin

    @property
    def _joined(self) -> Consumer:
        if self._consumer is None:
            raise KafkaClientFailed("used before it joined the group, or after it was closed")
        return self._consumer

    def _configuration(self, partitions: int) -> dict[str, str | int | bool | object]:
        settings = self._settings
        return {
            **client_settings(settings),
            "client.id": "bemi-sink",
            "group.id": settings.changes_group,
            "partition.assignment.strategy": "range",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            # The brokers' least: a sink that was killed is replaced soon, and one that was
            # only slow is fenced by the watermark.
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 2_000,
            # Longer than pg_writer's longest statement, which is not interrupted to poll.
            "max.poll.interval.ms": 600_000,
            # A topic that is deleted and made again is found so soon: 5 minutes by default.
            "topic.metadata.refresh.interval.ms": 10_000,
            # Read ahead is bounded for each partition by itself.
            "queued.max.messages.kbytes": max(1, settings.fetch_bytes // partitions // 1024),
            "fetch.queue.backoff.ms": 20,
            # A record larger than a fetch still comes, alone; only the response must fit.
            "fetch.max.bytes": FETCH_MAX_BYTES,
            "receive.message.max.bytes": min(
                settings.kafka_max_message_bytes + FETCH_MAX_BYTES + FRAMING_BYTES,
                MAX_RECEIVE_BYTES,
            ),
            # The client's own lines repeat, without an end, what error_cb is told.
            "log_level": 2,
            "error_cb": self._on_error,
            "on_commit": self._on_commit,
        }

    def _missing_offset(self, partition: int) -> StageError:
        """Return what it means that the brokers do not have the offset asked for."""
        wanted = self._positions.get(partition, OFFSET_BEGINNING)
        if self.ask_topic_id() != self._topic_id:
            return Retry(f"topic {self.topic} was made anew")
        first, end = self._range(partition)
        row = f"where topic is '{self.topic}' and partition is {partition}"
        if 0 <= wanted < first:
            return RecordsLost(
                f"{self.topic} [{partition}] was stored up to offset {wanted}, but begins at"
                f" {first} now: {first - wanted} records were removed by the topic's retention"
                f" before they were stored. To go on without them, set next_offset to {first}"
                f" in public.bemi_sink_progress {row}; then start the sink again"
            )
        if wanted > end:
            return OffsetBeyondTopic(
                f"{self.topic} [{partition}] was stored up to offset {wanted}, but ends at"
                f" {end}: the topic was made anew, or the brokers lost its end. To read it from"
                " its beginning, which stores nothing twice, delete the row of"
                f" public.bemi_sink_progress {row}; then start the sink again"
            )
        # What was read since is stored no further than `wanted`; from there it is all there.
        return Retry(f"{self.topic} [{partition}] lost an offset that was read ahead")

    def _range(self, partition: int) -> tuple[int, int]:
        try:
            return self._joined.get_watermark_offsets(
                TopicPartition(self.topic, partition), timeout=REQUEST_TIMEOUT_SECONDS
            )
        except KafkaException as error:
            raise BrokersUnreachable(
                f"cannot read the range of {self.topic} [{partition}]: {error}"
            ) from error

    def _record(self, message: Message) -> Record:
        headers = message.headers()
        return Record(
            self.topic,
            cast("int", message.partition()),
            cast("int", message.offset()),
            message.key(),
            message.value(),
            # A consumer's headers are pairs of bytes; the types allow a producer's forms too.
            tuple(cast("list[tuple[str, bytes | None]]", headers)) if headers else (),
        )

    def _is_record_in_spite_of_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.fatal():
            raise KafkaClientFailed(f"the Kafka client failed for good: {error}")
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            raise acl_missing("Read", f"group {self._settings.changes_group}")
        if is_refusal(error):
            raise acl_missing("Read", f"topic {self.topic}")
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise self._missing_offset(cast("int", message.partition()))
        if error.code() not in _HARMLESS:
            raise Retry(f"cannot read {self.topic} [{message.partition()}]: {error}")
        log.warning("%s: %s", self.topic, error)
        return False

    def _commit_sometimes(self) -> None:
        now = time.monotonic()
        if self._stored and now - self._committed_at >= COMMIT_INTERVAL_SECONDS:
            self._committed_at = now
            self._commit(self._joined)

    def _commit(self, consumer: Consumer) -> None:
        offsets = [
            TopicPartition(self.topic, partition, offset, self._topic_id)
            for partition, offset in self._stored.items()
        ]
        self._stored.clear()
        try:
            consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._on_commit(error.args[0], offsets)

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        failed = offsets if error is not None else [each for each in offsets if each.error]
        if failed:
            log.info("could not commit the group's offsets: %s", error or failed[0].error)
        for each in failed:
            # It may be the last for a long time, and the producer may wait for it.
            if each.metadata == self._topic_id and each.partition in (self._assigned or ()):
                self._stored.setdefault(each.partition, each.offset)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned = frozenset(partition.partition for partition in partitions)
        self._is_positioned = False
        # Nothing is read until `position` has the offsets of PostgreSQL.
        consumer.assign([])
        log.info("assigned %s %s", self.topic, sorted(self._assigned))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._stored:
            self._commit(consumer)
        self._assigned = None
        self._is_positioned = False
        consumer.unassign()
        log.info("gave up %s %s", self.topic, sorted(part.partition for part in partitions))

    def _on_error(self, error: KafkaError) -> None:
        # Errors of connections, many for each; the client connects again by itself for ever.
        now = time.monotonic()
        if now - self._error_logged_at.get(error.code(), -REPEAT_ERROR_SECONDS) >= (
            REPEAT_ERROR_SECONDS
        ):
            self._error_logged_at[error.code()] = now
            log.warning("kafka: %s", error.str())
