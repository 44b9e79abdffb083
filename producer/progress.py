"""Which position may be stored, and which may be confirmed to the server. Pure.

The server forgets everything before the confirmed position, so a value too high is silent
loss. Two steps lead to it:

    read -> every record acknowledged by Kafka -> position stored in Kafka -> confirmed
            Progress                              StoredProgress

The first is the end of the last transaction before which every transaction's every record is
acknowledged. It never lies inside a transaction and never moves back.
"""

from __future__ import annotations

from collections import deque

from schemas.change_id import Lsn

STORE_SECONDS = 1.0
"""Least time between two writes of the position, unless said otherwise."""


class InFlight:
    """A transaction whose records are not all acknowledged yet."""

    __slots__ = ("end_lsn", "pending")

    def __init__(self) -> None:
        self.pending = False  # Whether records are with Kafka that may not be acknowledged.
        self.end_lsn: Lsn | None = None  # Known at its commit.


class Progress:
    """The transactions in flight, in the order of their commits."""

    def __init__(self, confirmed: Lsn) -> None:
        self._confirmed = confirmed
        self._in_flight: deque[InFlight] = deque()

    def begin(self) -> InFlight:
        """Take note of a transaction, before its first record is handed to Kafka."""
        transaction = InFlight()
        self._in_flight.append(transaction)
        return transaction

    def commit(self, transaction: InFlight, end_lsn: Lsn) -> None:
        """Take note that all records of the transaction have been handed to Kafka."""
        transaction.end_lsn = end_lsn

    def acknowledge(self) -> None:
        """Take note that every record handed to Kafka until now is acknowledged."""
        for transaction in self._in_flight:
            transaction.pending = False

    def idle(self, wal_end: Lsn) -> None:
        """Take note that the server has read to `wal_end` and had nothing more to send.

        Counts only while nothing is in flight: WAL of other databases is passed then.
        """
        if not self._in_flight and wal_end > self._confirmed:
            self._confirmed = wal_end

    def confirmable_lsn(self) -> Lsn:
        """Return the position before which everything is acknowledged by Kafka."""
        in_flight = self._in_flight
        while in_flight:
            first = in_flight[0]
            if first.end_lsn is None or first.pending:
                break
            in_flight.popleft()
            if first.end_lsn > self._confirmed:
                self._confirmed = first.end_lsn
        return self._confirmed


class StoredProgress:
    """The position as it is written down: one write at a time, one an interval."""

    def __init__(self, stored: Lsn, interval_seconds: float = STORE_SECONDS) -> None:
        self._stored = stored
        self._interval_seconds = interval_seconds
        self._is_writing = False
        self._written_at: float | None = None

    @property
    def confirmable_lsn(self) -> Lsn:
        """The last position that is known to be stored; never moves back."""
        return self._stored

    def due(self, acknowledged: Lsn, now: float) -> Lsn | None:
        """Return the position to write now, or None; the caller then writes it.

        `now` is a time in seconds that only grows.
        """
        if self._is_writing or acknowledged <= self._stored:
            return None
        if self._written_at is not None and now - self._written_at < self._interval_seconds:
            return None
        self._is_writing = True
        self._written_at = now
        return acknowledged

    def note_stored(self, lsn: Lsn) -> None:
        """Take note that a written position is safe."""
        self._is_writing = False
        self._stored = max(self._stored, lsn)
