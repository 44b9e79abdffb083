"""Make the topics that the producer writes to, each once. Edge: talks to the brokers."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from producer.assembly import Assembly
from producer.connections import kafka_client
from producer.settings import ProducerSettings
from runtime.kafka_client import Admin, BrokersUnreachable
from runtime.kafka_topics import ensure_topics, is_empty, partition_count, topic_ids

SHOWN_SECONDS = 5.0
SHOWN_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


class NotShownYet(BrokersUnreachable):
    """The brokers have made a topic and have not told each other yet."""


class PipelineTopics:
    """The topics of one pipeline; raises Retry while no broker answers."""

    def __init__(self, settings: ProducerSettings, assembly: Assembly) -> None:
        self._settings = settings
        self._names = assembly.topics
        self._specs = assembly.topic_specs
        self._admin = Admin(kafka_client(settings))
        self._tables: set[str] = set()
        self._wal_partitions = partition_count(self._admin, self._names.wal, acl="Write")

    def wal_is_empty(self) -> bool:
        """Tell whether nothing was ever written to `.wal`, which may be missing yet."""
        if not self._wal_partitions:
            return True
        return is_empty(self._admin, self._names.wal, self._wal_partitions)

    def ensure_own(self) -> tuple[int, Mapping[str, str]]:
        """Make the topics that every pipeline has.

        Returns how many partitions `.wal` has, and the ids that Kafka gave it and `.changes`, if
        the stitcher has made that; none where `.wal` is not published.
        """
        settings, names = self._settings, self._names
        wanted = []
        if settings.publish_tables:
            wanted.append(self._specs.of(names.message))
            if settings.provide_transaction_metadata:
                wanted.append(self._specs.of(names.transaction))
            if settings.heartbeat_interval_ms:
                wanted.append(self._specs.of(names.heartbeat))
        if settings.publish_wal:
            if self._wal_partitions not in (None, settings.wal_partitions):
                log.warning(
                    "topic %s has %s partitions, made so; BEMI_PRODUCER_WAL_PARTITIONS=%s is not "
                    "used",
                    names.wal,
                    self._wal_partitions,
                    settings.wal_partitions,
                )
            # Kept until somebody decides otherwise: what is deleted unread is lost.
            wanted.append(self._specs.of(names.wal, settings.wal_partitions, retention_ms="-1"))
        ensure_topics(self._admin, wanted)
        # Now, and not at the first record.
        topic_ids(self._admin, [topic.name for topic in wanted], acl="Write")
        partitions = self._wal_partitions or settings.wal_partitions
        if not settings.publish_wal:
            return partitions, {}
        return partitions, self._ids()

    @retry(
        retry=retry_if_exception_type(NotShownYet),
        stop=stop_after_delay(SHOWN_SECONDS),
        wait=wait_fixed(SHOWN_POLL_SECONDS),
        reraise=True,
    )
    def _ids(self) -> Mapping[str, str]:
        wal = self._names.wal
        ids = topic_ids(self._admin, [wal, self._names.changes])
        if wal not in ids:
            raise NotShownYet(f"topic {wal} was made, but the brokers do not show it yet")
        return ids

    def ensure_table(self, topic: str) -> None:
        """Make a table's topic, unless that was done before."""
        if topic not in self._tables:
            ensure_topics(self._admin, [self._specs.of(topic)])
            self._tables.add(topic)
