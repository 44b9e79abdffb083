"""What the stitcher counts, and what can be seen of it from outside. Edge: prometheus_client."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from runtime.group_lag import GroupLagCollector
from runtime.health import Health
from runtime.kafka_client import Admin, client_settings
from runtime.metrics import StageMetrics
from runtime.watching import watched
from schemas.topics import Topics
from stitcher_stream.settings import StitcherSettings

LAG = "bemi_stitcher_lag_records"


@dataclass(slots=True)
class BatchCounts:
    """What one batch gave, counted while it is folded."""

    stitched: int = 0
    """Changes with a context."""
    without: int = 0
    """Changes of transactions that set none."""
    invalid: int = 0
    """Changes whose context could not be used, or is not known: see context_error."""
    dead_letters: int = 0


class StitcherMetrics(StageMetrics):
    """The metrics of one stitcher."""

    def __init__(self) -> None:
        super().__init__("stitcher")
        self._records = self.counter("bemi_stitcher_records", "Records of .wal that were read.")
        changes = self.counter(
            "bemi_stitcher_changes",
            "Changes written to .changes: with a context (stitched), of transactions that set none "
            "(missing), with one that could not be used (invalid).",
            ["context"],
        )
        self._stitched = changes.labels("stitched")
        self._missing = changes.labels("missing")
        self._invalid = changes.labels("invalid")
        self._dead_letters = self.counter(
            "bemi_stitcher_dead_letters", "Records that were put aside in .dead-letters."
        )
        left_out = self.counter(
            "bemi_stitcher_left_out",
            "Changes that a rule or the hook leaves out of .changes.",
            ["by"],
        )
        self._by_rule, self._by_hook = left_out.labels("rule"), left_out.labels("hook")
        self.in_flight_bytes = self.gauge(
            "bemi_stitcher_in_flight_bytes", "Stitched changes that are not acknowledged yet."
        )
        self.assigned = self.gauge(
            "bemi_stitcher_partitions", "Partitions of .wal that this process stitches."
        )
        self.rebalances = self.counter(
            "bemi_stitcher_rebalances", "How often the group has shared the partitions anew."
        )
        self.stitched_at = self.gauge(
            "bemi_stitcher_stitched_timestamp_seconds", "When a batch was last stitched."
        )

    def batch(self, records: int, counts: BatchCounts, ignored: int, dropped: int) -> None:
        """Count one batch; `ignored` by a rule and `dropped` by the hook."""
        for counter, count in (
            (self._records, records),
            (self._stitched, counts.stitched),
            (self._missing, counts.without),
            (self._invalid, counts.invalid),
            (self._dead_letters, counts.dead_letters),
            (self._by_rule, ignored),
            (self._by_hook, dropped),
        ):
            if count:
                counter.inc(count)
        self.stitched_at.set_to_current_time()


def watching(
    settings: StitcherSettings, metrics: StitcherMetrics, health: Health
) -> AbstractContextManager[None]:
    """Return what serves metrics and health while its block runs."""
    client = client_settings(settings)
    wal = Topics(settings.topic_prefix).wal
    metrics.ask(GroupLagCollector(LAG, client, settings.group_id, wal))
    return watched(settings, metrics, health, Admin(client))
