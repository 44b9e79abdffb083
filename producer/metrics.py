"""What the producer counts. Edge: prometheus_client, and a clock."""

from __future__ import annotations

import time

from producer.stream_publisher import Taken
from runtime.metrics import StageMetrics

KINDS = {
    ord("I"): "insert",
    ord("U"): "update",
    ord("D"): "delete",
    ord("T"): "truncate",
    ord("M"): "message",
}
"""Which pgoutput messages are counted, by the letter that they begin with."""

_COMMIT = b"C"


class ProducerMetrics(StageMetrics):
    """The metrics of one producer, over all of its sessions."""

    def __init__(self) -> None:
        super().__init__("producer")
        messages = self.counter(
            "bemi_producer_messages",
            "Messages read from the slot, those of the sink's own tables too: inserts, updates, "
            "deletes, truncates and logical messages.",
            ["kind"],
        )
        self._messages = {letter: messages.labels(kind) for letter, kind in KINDS.items()}
        self._transactions = self.counter(
            "bemi_producer_transactions", "Transactions read from the slot to their end."
        )
        self.records = self.counter("bemi_producer_records", "Records handed to Kafka's client.")
        self.acknowledged_at = self.gauge(
            "bemi_producer_acknowledged_timestamp_seconds",
            "When everything read until then was last acknowledged by Kafka.",
        )
        self.committed_at = self.gauge(
            "bemi_producer_commit_timestamp_seconds",
            "The source's commit time of the last transaction read.",
        )
        self.heartbeat = self.histogram(
            "bemi_producer_heartbeat_seconds",
            "From a heartbeat's commit in the source until the slot gave it back.",
        )
        self.heartbeat_round_trip = self.histogram(
            "bemi_heartbeat_round_trip_seconds",
            "From a heartbeat's commit in the source until everything before it is stored in "
            "`changes`, by the producer's clock alone; to within two seconds.",
        )
        self.reconnects = self.counter(
            "bemi_producer_reconnects", "Sessions that broke and were opened again."
        )
        self.failed_starts = self.counter(
            "bemi_producer_failed_starts", "Attempts to open a session that failed."
        )
        self.gaps = self.counter(
            "bemi_gaps", "Gaps in the source's log that were accepted and recorded."
        )
        self._heartbeat_sent_at: float | None = None

    def read(self, taken: Taken, committed_us: int) -> None:
        """Count a batch of messages.

        `committed_us` is the commit time of the last transaction that has ended, in microseconds.
        """
        kinds = taken.kinds
        for letter, counter in self._messages.items():
            if count := kinds.count(letter):
                counter.inc(count)
        if count := kinds.count(_COMMIT):
            self._transactions.inc(count)
            self.committed_at.set(committed_us / 1e6)
        if taken.records:
            self.records.inc(taken.records)
        if taken.heartbeats:
            self.heartbeat_seen()

    def heartbeat_sent(self) -> None:
        """Take the time of a heartbeat, unless one is still on its way."""
        if self._heartbeat_sent_at is None:
            self._heartbeat_sent_at = time.monotonic()

    def heartbeat_seen(self) -> None:
        """Observe how long the heartbeat took; one of an earlier process does not count."""
        if self._heartbeat_sent_at is not None:
            self.heartbeat.observe(time.monotonic() - self._heartbeat_sent_at)
            self._heartbeat_sent_at = None

    def session_ended(self) -> None:
        """Forget the heartbeat that went into a session that is over."""
        self._heartbeat_sent_at = None
