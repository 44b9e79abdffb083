"""What a capture tells of its stream, for the sake of snapshots and signals. Edge: joins them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from producer.change_events import Record
from producer.pgoutput import Relation
from producer.progress import InFlight
from producer.snapshot.incremental import IncrementalSnapshots
from producer.snapshot.signal_file import SignalFile
from producer.snapshot.signal_table import SignalTable
from producer.snapshot.signal_topic import SignalTopic
from producer.snapshot.signals import SignalRefused, parse_signal
from schemas.change_id import Lsn

log = logging.getLogger(__name__)


class StreamFollower:
    """Incremental snapshots and their signals, fed by the capture; to be closed.

    Nothing but `relation` and `on_idle` need be called while `is_listening` is false.
    """

    def __init__(
        self,
        snapshots: IncrementalSnapshots,
        table: SignalTable,
        channels: Sequence[SignalTopic | SignalFile],
        poll_seconds: float,
    ) -> None:
        self._snapshots = snapshots
        self._table = table
        self._channels = channels
        self._poll_seconds = poll_seconds
        self._polled_at = float("-inf")

    @property
    def is_listening(self) -> bool:
        """Tell whether rows and transactions matter."""
        return self._snapshots.is_following or self._table.is_configured

    @property
    def is_busy(self) -> bool:
        """Tell whether a table is being read, so that waiting for the stream holds it up."""
        return self._snapshots.is_following

    def relation(self, relation: Relation) -> None:
        """Take note of a relation that the stream describes."""
        self._table.describe(relation)
        self._snapshots.describe(relation.oid)

    def begin(self, xid: int) -> None:
        """Take note that the stream begins to show a transaction."""
        if self._snapshots.is_following:
            self._snapshots.begin(xid)

    def row(self, data: bytes, at: int, records: Sequence[Record]) -> None:
        """Take note of a row message and what was made of it, before that is published."""
        if self._snapshots.is_following:
            self._snapshots.row(int.from_bytes(data[at + 1 : at + 5], "big"), records)
        found = self._table.signal(data, at)
        if found is None:
            return
        signal_id, kind, content = found
        try:
            signal = parse_signal(kind, content)
            if signal is not None:
                self._snapshots.signal(signal_id, signal)
        except SignalRefused as refused:
            log.warning("signal refused: %s", refused)

    def truncate(self, relation_oids: Sequence[int]) -> None:
        """Take note of tables that were emptied."""
        self._snapshots.truncate(relation_oids)

    def reached(self, lsn: Lsn) -> list[Record]:
        """Return the rows to publish now; between transactions only.

        Every transaction that commits before `lsn` has been told, and handed to Kafka.
        """
        return self._snapshots.reached(lsn)

    def published(self, in_flight: InFlight) -> None:
        """Take note that the rows of `reached` were handed to Kafka."""
        self._snapshots.published(in_flight)

    def on_idle(self, now: float) -> None:
        """Do what is due, once a round of reading; `now` is of time.monotonic()."""
        if now - self._polled_at >= self._poll_seconds:
            self._polled_at = now
            for channel in self._channels:
                channel.take(self._snapshots.signal)
        self._snapshots.on_idle()

    def close(self) -> None:
        """Let go of connections."""
        for channel in self._channels:
            channel.close()
        self._snapshots.close()
