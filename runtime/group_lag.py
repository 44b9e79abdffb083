"""How far a consumer group is behind a topic. Edge: asks the brokers.

By what the group has committed, not by what a process has read: it is what is safe, and it is
known also while nobody of the group runs. The end counts committed records only, as the stages
read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from runtime.kafka_topics import BrokersUnreachable, partition_count
from runtime.metrics import quietly

REQUEST_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """Where a group stands in one partition."""

    first: int
    """The oldest record that is still there."""
    end: int
    committed: int | None
    """The next record of the group; None where it has not committed anything yet."""

    @property
    def records(self) -> int:
        """How many records are there that the group has not done."""
        return max(0, self.end - max(self.first, self.committed or 0))

    @property
    def lost(self) -> int:
        """How many records were removed before the group had done them."""
        return max(0, self.first - (self.first if self.committed is None else self.committed))


def group_lag(
    admin: AdminClient, group: str, topic: str, seconds: float = REQUEST_SECONDS
) -> dict[int, PartitionLag]:
    """Return how far the group is in each partition; nothing where there is no such topic.

    Raises BrokersUnreachable.
    """
    partitions = range(partition_count(admin, topic, seconds) or 0)
    if not partitions:
        return {}
    try:
        earliest, latest = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
        first = _offsets(admin, topic, partitions, earliest, seconds)
        end = _offsets(admin, topic, partitions, latest, seconds)
        wanted = ConsumerGroupTopicPartitions(
            group, [TopicPartition(topic, partition) for partition in partitions]
        )
        answers = admin.list_consumer_group_offsets([wanted], request_timeout=seconds)
        found = answers[group].result(seconds).topic_partitions or []
    except (KafkaException, FutureTimeout) as error:
        raise BrokersUnreachable(f"cannot read how far group {group} is: {error}") from error
    committed = {each.partition: each.offset for each in found if each.offset >= 0}
    return {
        partition: PartitionLag(first[partition], end[partition], committed.get(partition))
        for partition in partitions
    }


def _offsets(
    admin: AdminClient, topic: str, partitions: Iterable[int], which: Any, seconds: float
) -> Mapping[int, int]:
    answers = admin.list_offsets(
        {TopicPartition(topic, partition): which for partition in partitions},
        request_timeout=seconds,
        isolation_level=IsolationLevel.READ_COMMITTED,
    )
    return {place.partition: answer.result(seconds).offset for place, answer in answers.items()}


class GroupLagCollector:
    """Shows the lag of a group at each scrape; nothing while no broker answers."""

    def __init__(self, admin: AdminClient, name: str, group: str, topic: str) -> None:
        self._admin, self._name, self._group, self._topic = admin, name, group, topic

    def describe(self) -> Iterable[Metric]:
        """Return the metric without its values."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the lag of each partition as it is now."""
        return quietly(self._ask, self.describe())

    def _ask(self) -> Iterable[Metric]:
        family = self._family()
        for partition, lag in group_lag(self._admin, self._group, self._topic).items():
            family.add_metric([self._topic, str(partition)], lag.records)
        return [family]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            self._name,
            "Records that the group has not done yet, by what it has committed.",
            labels=["topic", "partition"],
        )


def brokers_check(admin: AdminClient) -> str | None:
    """Return why the brokers cannot be used, None where they answer; for Health."""
    try:
        admin.list_topics(timeout=REQUEST_SECONDS)
    except KafkaException as error:
        return f"no broker answers: {error}"
    return None
