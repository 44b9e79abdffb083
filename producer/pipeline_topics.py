"""Make the topics that the producer writes to, each once. Edge: talks to the brokers."""

from __future__ import annotations

import logging

from producer.assembly import Assembly
from producer.connections import kafka_client
from producer.settings import ProducerSettings
from runtime.kafka_client import Admin
from runtime.kafka_topics import ensure_topics, is_empty, partition_count

log = logging.getLogger(__name__)


class PipelineTopics:
    """The topics of one pipeline; raises Retry while no broker answers."""

    def __init__(self, settings: ProducerSettings, assembly: Assembly) -> None:
        self._settings = settings
        self._names = assembly.topics
        self._specs = assembly.topic_specs
        self._admin = Admin(kafka_client(settings))
        self._tables: set[str] = set()
        self._wal_partitions = partition_count(self._admin, self._names.wal)

    def wal_is_empty(self) -> bool:
        """Tell whether nothing was ever written to `.wal`, which may be missing yet."""
        if not self._wal_partitions:
            return True
        return is_empty(self._admin, self._names.wal, self._wal_partitions)

    def ensure_own(self) -> int:
        """Make the topics that every pipeline has; return how many partitions `.wal` has."""
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
        return self._wal_partitions or settings.wal_partitions

    def ensure_table(self, topic: str) -> None:
        """Make a table's topic, unless that was done before."""
        if topic not in self._tables:
            ensure_topics(self._admin, [self._specs.of(topic)])
            self._tables.add(topic)
