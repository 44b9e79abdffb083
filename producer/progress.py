"""Which position may be confirmed to the server. Pure.

The server forgets everything before the confirmed position, so a value too high is silent
loss. It is the end of the last transaction before which every transaction's every record is
acknowledged by Kafka; it never lies inside a transaction and never moves back.
"""

from __future__ import annotations

from collections import deque

from schemas.change_id import Lsn


class InFlight:
    """A transaction whose records are not all acknowledged yet."""

    __slots__ = ("end_lsn", "pending")

    def __init__(self) -> None:
        self.pending = 0  # Records handed to Kafka and not acknowledged.
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

    def idle(self, wal_end: Lsn) -> None:
        """Take note that the server has read to `wal_end` and had nothing more to send.

        Counts only while nothing is in flight: WAL of other databases is passed then.
        """
        if not self._in_flight and wal_end > self._confirmed:
            self._confirmed = wal_end

    def confirmable_lsn(self) -> Lsn:
        """Return the position before which everything is stored downstream."""
        in_flight = self._in_flight
        while in_flight:
            first = in_flight[0]
            if first.end_lsn is None or first.pending:
                break
            in_flight.popleft()
            if first.end_lsn > self._confirmed:
                self._confirmed = first.end_lsn
        return self._confirmed
