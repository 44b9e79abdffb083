"""What the sink counts, and what can be seen of it from outside. Edge: prometheus_client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from threading import Lock

import psycopg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from runtime.errors import StageError
from runtime.group_lag import GroupLagCollector
from runtime.health import Health
from runtime.kafka_client import Admin, client_settings
from runtime.metrics import StageMetrics
from runtime.watching import watched
from schemas.topics import Topics
from sink_pg.batch import Batch
from sink_pg.pg_connection import Connection, connect
from sink_pg.pg_writer import Stored
from sink_pg.settings import SinkSettings
from sink_pg.statements import statement

LAG = "bemi_sink_lag_records"


class SinkMetrics(StageMetrics):
    """The metrics of one sink."""

    def __init__(self) -> None:
        super().__init__("sink")
        self.rows = self.counter("bemi_sink_rows", "Changes stored.")
        self.dead_letters = self.counter(
            "bemi_sink_dead_letters", "Records that were put aside in bemi_dead_letters."
        )
        self.redelivered = self.counter(
            "bemi_sink_redelivered", "Records that were there again, and stored already."
        )
        self.retries = self.counter(
            "bemi_sink_retries", "Rounds that failed and were begun again at the watermarks."
        )
        self.batch_seconds = self.histogram(
            "bemi_sink_batch_seconds", "From the beginning of a batch's transaction to its end."
        )
        self.delay_seconds = self.histogram(
            "bemi_sink_delay_seconds",
            "From the commit in the source until the change can be seen in `changes`: of the "
            "first change of each batch, by the clocks of both machines.",
        )
        self.stored_at = self.gauge(
            "bemi_sink_stored_timestamp_seconds", "When a batch was last stored."
        )
        self.partitions = self.gauge(
            "bemi_sink_partitions", "Partitions of .changes that this process stores."
        )

    def timed(self, store: Callable[[Batch], Stored], batch: Batch) -> Stored:
        """Store the batch and observe how long it took, and how late its first change is."""
        began_at = time.monotonic()
        stored = store(batch)
        self.batch_seconds.observe(time.monotonic() - began_at)
        if batch.rows and (committed_at := _timestamp(batch.rows[0].committed_at)) is not None:
            self.delay_seconds.observe(max(0.0, time.time() - committed_at))
        return stored

    def stored(self, stored: Stored) -> None:
        """Count what became of a batch."""
        self.rows.inc(stored.rows)
        self.dead_letters.inc(stored.dead_letters)
        self.redelivered.inc(stored.redelivered)
        self.stored_at.set_to_current_time()


def _timestamp(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):  # PostgreSQL's times reach further than Python's.
        return None


class DestinationCollector:
    """Shows at each scrape what waits in the destination for a person; a connection of its own."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._lock = Lock()

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without their values."""
        return _families(None)

    def collect(self) -> Iterable[Metric]:
        """Return how many dead letters there are, and how old the oldest is."""
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = connect(self._settings)
                row = self._connection.execute(statement("waiting_dead_letters")).fetchone()
            except (psycopg.Error, StageError):
                self.close()
                return _families(None)
        return _families(row)

    def close(self) -> None:
        """Let go of the connection; the next scrape opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _families(row: tuple[object, ...] | None) -> list[Metric]:
    count, seconds = row or (None, None)
    return [
        GaugeMetricFamily(
            "bemi_destination_up",
            "Whether the database of `changes` answers the sink, and has its tables.",
            float(row is not None),
        ),
        _gauge("bemi_dead_letters_waiting", "Records in the table bemi_dead_letters.", count),
        _gauge(
            "bemi_dead_letters_oldest_seconds",
            "How long the oldest of them has been there; 0 where there is none.",
            seconds,
        ),
    ]


def _gauge(name: str, text: str, value: object) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[])
    if isinstance(value, (int, float)):
        family.add_metric([], value)
    return family


@contextmanager
def watching(settings: SinkSettings, metrics: SinkMetrics, health: Health) -> Iterator[None]:
    """Serve metrics and health while the block runs."""
    client = client_settings(settings)
    changes = Topics(settings.topic_prefix).changes
    metrics.ask(GroupLagCollector(LAG, client, settings.changes_group, changes))
    with closing(DestinationCollector(settings)) as destination:
        metrics.ask(destination)
        with watched(settings, metrics, health, Admin(client)):
            yield
