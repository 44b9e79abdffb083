"""How far a consumer group is behind a topic. Edge: asks the brokers.

By what the group has committed, not by what a process has read: it is what is safe, and it is
known also while nobody of the group runs. The end counts committed records only, as the stages
read them.

Asked by a consumer that never joins the group. The admin client's list_consumer_group_offsets
ended the process by a segmentation fault in one of three runs of 300 calls (confluent-kafka
2.16.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from runtime.errors import StageError
from runtime.kafka_client import Admin, ConnectionErrors, acl_missing, is_refusal
from runtime.kafka_topics import refuse_hidden

REQUEST_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """Where a group stands in one partition."""

    first: int
    """The oldest record that is still there."""
    end: int
    committed: int | None
    """The next record of the group; None where it has not committed anything yet."""
    note: str = ""
    """What the group wrote beside it, and perhaps a few characters more: see `is_noted`."""

    @property
    def records(self) -> int:
        """How many records are there that the group has not done."""
        return max(0, self.end - max(self.first, self.committed or 0))

    def is_noted(self, text: str) -> bool:
        """Tell whether the group wrote this text beside its offset.

        librdkafka copies a note without its end, so what stands behind it in memory may follow.
        """
        return self.note.startswith(text) if text else not self.note

    @property
    def lost(self) -> int:
        """How many records were removed before the group had done them."""
        return 0 if self.committed is None else max(0, self.first - self.committed)


class GroupLag:
    """Asks for one group's lag in one topic, as often as wanted; several threads may."""

    def __init__(self, client: Mapping[str, Any], group: str, topic: str) -> None:
        """`client` is librdkafka's configuration of the connection; nothing is asked yet."""
        self._topic = topic
        self._group = group
        self._client = client
        self._admin: Admin | None = None
        self._lock = Lock()
        self._errors = ConnectionErrors()
        self._consumer = Consumer(
            {
                **client,
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
                "error_cb": self._errors,
            }
        )

    def ask(self, seconds: float = REQUEST_SECONDS) -> dict[int, PartitionLag]:
        """Return the lag of each partition; nothing where there is no such topic.

        Raises BrokersUnreachable, BrokersRefuse or AclMissing.
        """
        with self._lock:
            try:
                # By name it would be made, on brokers that make topics by themselves.
                found = self._consumer.list_topics(timeout=seconds).topics.get(self._topic)
                if found is None or not found.partitions:
                    if self._admin is None:
                        self._admin = Admin(self._client)
                    refuse_hidden(self._admin, self._topic, seconds, "Describe")
                    return {}
                places = [TopicPartition(self._topic, each) for each in found.partitions]
                committed = {
                    place.partition: (place.offset, _note(place))
                    for place in self._consumer.committed(places, timeout=seconds)
                    if place.offset >= 0
                }
                edges = {
                    place.partition: self._consumer.get_watermark_offsets(place, timeout=seconds)
                    for place in places
                }
            except KafkaException as error:
                told = self._consumer.poll(0)
                if is_refusal(error) or (told is not None and is_refusal(told.error())):
                    raise acl_missing("Describe", f"group {self._group}") from error
                what = f"cannot read how far group {self._group} is"
                raise self._errors.failure(what, error) from error
        return {
            partition: PartitionLag(first, end, *committed.get(partition, (None, "")))
            for partition, (first, end) in sorted(edges.items())
        }

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def _note(place: TopicPartition) -> str:
    """Return the note; none where what follows it in memory is no text: ask again then."""
    try:
        return place.metadata or ""
    except UnicodeDecodeError:
        return ""


class GroupLagCollector:
    """Shows the lag of a group at each scrape; nothing while no broker answers."""

    def __init__(self, name: str, client: Mapping[str, Any], group: str, topic: str) -> None:
        self._name, self._topic = name, topic
        self._client, self._group = client, group
        self._lag: GroupLag | None = None

    def describe(self) -> Iterable[Metric]:
        """Return the metric without its values."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the lag of each partition as it is now."""
        family = self._family()
        if self._lag is None:
            # Not before somebody scrapes: a stage that nobody watches has no such client.
            self._lag = GroupLag(self._client, self._group, self._topic)
        try:
            for partition, lag in self._lag.ask().items():
                family.add_metric([self._topic, str(partition)], lag.records)
        except StageError:
            return [self._family()]
        return [family]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            self._name,
            "Records that the group has not done yet, by what it has committed.",
            labels=["topic", "partition"],
        )


def brokers_check(admin: Admin) -> str | None:
    """Return why the brokers cannot be used, None where they answer; for Health."""
    try:
        admin.metadata(REQUEST_SECONDS)
    except StageError as error:
        return str(error)
    return None
