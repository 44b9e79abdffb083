"""Write and read the topic of erasures. Edge: confluent_kafka.

One partition, kept for ever: an erasure is decided by its record here, and every table that
is filled from `.changes`, also one that is made later, follows it.
"""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.cimpl import Message

from runtime.errors import Stop
from runtime.kafka_client import (
    Admin,
    BrokersUnreachable,
    acl_missing,
    client_settings,
    is_refusal,
)
from runtime.kafka_topics import TopicSpec, ensure_topics, partition_count
from runtime.range_reader import RangeReader, TopicMissing
from runtime.topic_ranges import OffsetRange
from schemas.erasure import ErasureRecord, parse_erasure
from schemas.topics import Topics
from sink_pg.settings import SinkSettings

ANSWER_SECONDS = 10.0
ACKNOWLEDGED_SECONDS = 30.0
RECORDS_PER_READ = 100
READ_SECONDS = 0.5
TOPIC_CONFIG = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}

log = logging.getLogger(__name__)


class ErasureTopic:
    """The topic of one pipeline, for one command or sink."""

    def __init__(self, settings: SinkSettings) -> None:
        self.name = Topics(settings.topic_prefix).erasures
        self._settings = settings
        self._producer: Producer | None = None

    def make(self) -> None:
        """Make the topic where it is missing; raises as Admin.metadata does."""
        admin = Admin(client_settings(self._settings))
        if partition_count(admin, self.name, ANSWER_SECONDS, "Read") is None:
            ensure_topics(admin, [TopicSpec(self.name, 1, TOPIC_CONFIG)])

    def publish(self, record: ErasureRecord) -> int:
        """Write the record and return its offset; all replicas have it then.

        Raises BrokersUnreachable; the record may be there then all the same.
        """
        if self._producer is None:
            self._producer = Producer(
                {
                    **client_settings(self._settings),
                    "client.id": "bemi-sink-erase",
                    "acks": "all",
                    "enable.idempotence": True,
                    "message.timeout.ms": int(ACKNOWLEDGED_SECONDS * 1000),
                    "log_level": 2,
                },
                logger=log,
            )
        offsets: list[int] = []
        errors: list[Any] = []

        def note(error: Any, message: Message) -> None:
            if error is None:
                offsets.append(message.offset() or 0)
            else:
                errors.append(error)

        try:
            self._producer.produce(
                self.name, record.value(), record.key(), partition=0, on_delivery=note
            )
            self._producer.flush(ACKNOWLEDGED_SECONDS + 5.0)
        except KafkaException as error:
            raise Stop(f"cannot write to {self.name}: {error}; nothing was erased by it") from error
        if not offsets:
            if errors and is_refusal(errors[0]):
                raise acl_missing("Write", f"topic {self.name}")
            reason = errors[0] if errors else "no answer"
            raise BrokersUnreachable(f"the record of the erasure is not in {self.name}: {reason}")
        return offsets[0]

    def read(self, next_offset: int) -> tuple[list[ErasureRecord], int]:
        """Return the records from an offset on, and where the topic ends; none without a topic.

        A topic that is shorter than that was made anew, and is read from its beginning.
        """
        settings = self._settings
        records = []
        with RangeReader(
            client_settings(settings),
            self.name,
            settings.kafka_max_message_bytes,
            "bemi-erasures",
        ) as reader:
            try:
                edges = reader.edges().get(0)
            except TopicMissing:
                return [], 0
            if edges is None:
                return [], 0
            start = next_offset if edges.first <= next_offset <= edges.end else edges.first
            reader.start([OffsetRange(0, start, edges.end)])
            while not reader.is_done:
                for record in reader.read(RECORDS_PER_READ, READ_SECONDS):
                    try:
                        records.append(parse_erasure(record.value or b""))
                    except ValueError as error:
                        raise Stop(
                            f"{self.name} [0] offset {record.offset}: {error}; a newer version may"
                            " have written it: install that one"
                        ) from error
        return records, edges.end
