"""Ask the server how the slot is, at each scrape. Edge: a connection of its own.

Not the capture's: that one may be waiting, and how much the slot keeps is wanted most of all then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.resources import files
from threading import Lock
from typing import NamedTuple

import psycopg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from producer.sql_connection import Connection
from runtime.errors import StageError

WAL_STATUSES = ("reserved", "extended", "unreserved", "lost")
"""From all is well to nothing can be read any more; see pg_replication_slots."""

_SLOT = files("producer").joinpath("sql/slot_state.sql").read_bytes()


class SlotReading(NamedTuple):
    """What pg_replication_slots says of a slot, in bytes from where the log ends."""

    is_active: bool
    wal_status: str | None
    retained_bytes: int | None
    behind_bytes: int | None
    """How much of the log is not confirmed."""
    safe_bytes: int | None
    """How much more may be written until the slot is lost; None where there is no limit."""
    oldest_transaction_seconds: float | None
    """How long the oldest transaction is open, which keeps the log from being let go."""


def read_slot_state(connection: Connection, name: str) -> SlotReading | None:
    """Return how the slot is, None where there is none; raises psycopg's errors."""
    row = connection.execute(_SLOT, {"name": name}).fetchone()
    return None if row is None else SlotReading(*row)


class SlotCollector:
    """Shows the slot at each scrape; `bemi_source_up` is 0 while the server does not answer."""

    def __init__(self, connect: Callable[[], Connection], slot_name: str) -> None:
        self._connect = connect
        self._slot_name = slot_name
        self._connection: Connection | None = None
        self._lock = Lock()

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without their values."""
        return _families(self._slot_name, None, is_up=False)

    def collect(self) -> Iterable[Metric]:
        """Return the slot as it is now."""
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                reading = read_slot_state(self._connection, self._slot_name)
            except (psycopg.Error, StageError):
                self.close()
                return _families(self._slot_name, None, is_up=False)
        return _families(self._slot_name, reading, is_up=True)

    def close(self) -> None:
        """Let go of the connection; the next scrape opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _families(slot_name: str, reading: SlotReading | None, *, is_up: bool) -> list[Metric]:
    def gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=["slot"])
        if value is not None:
            family.add_metric([slot_name], value)
        return family

    status = GaugeMetricFamily(
        "bemi_slot_wal_status",
        "1 at the wal_status that the slot has: reserved, extended, unreserved or lost.",
        labels=["slot", "status"],
    )
    if reading is not None:
        for each in WAL_STATUSES:
            status.add_metric([slot_name, each], float(reading.wal_status == each))
    return [
        GaugeMetricFamily(
            "bemi_source_up", "Whether the tracked database answers the producer.", float(is_up)
        ),
        gauge(
            "bemi_slot_active",
            "Whether somebody reads the slot.",
            None if reading is None else float(reading.is_active),
        ),
        gauge(
            "bemi_slot_retained_bytes",
            "Log that the server keeps for the slot.",
            reading and reading.retained_bytes,
        ),
        gauge(
            "bemi_slot_behind_bytes",
            "Log that is written and not confirmed by the producer.",
            reading and reading.behind_bytes,
        ),
        gauge(
            "bemi_slot_safe_bytes",
            "Log that may still be written until the slot is lost; absent without such a limit.",
            reading and reading.safe_bytes,
        ),
        status,
        gauge(
            "bemi_source_oldest_transaction_seconds",
            "How long the oldest transaction of the server is open; it keeps the slot's log.",
            reading and reading.oldest_transaction_seconds,
        ),
    ]
