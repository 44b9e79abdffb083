"""The transaction that is being read: its place, what is counted of it. Pure.

Two counts run beside each other. The ordinal counts every message decoded, whatever is made
of it: that is a change's identity. The orders count the events made, as Debezium does.
"""

from __future__ import annotations

from producer.pgoutput import Begin
from schemas.change_id import Lsn


class OpenTransaction:
    """What has been seen of the transaction that is being read."""

    __slots__ = (
        "begin", "begin_lsn", "counts", "id_prefix", "is_announced", "ordinal", "partition",
        "source_parts", "total_order", "touched_own",
    )  # fmt: skip

    def __init__(self, begin: Begin, begin_lsn: Lsn, partition: int) -> None:
        self.begin = begin
        self.begin_lsn = begin_lsn
        self.partition = partition
        self.id_prefix = b"%d" % begin.xid
        self.ordinal = 0  # Messages decoded.
        self.total_order = 0  # Events made, as Debezium counts them.
        self.counts: dict[bytes, int] = {}  # Events made by table.
        self.is_announced = False
        self.touched_own = False  # A table of the sink's, or a heartbeat.
        self.source_parts: dict[int, tuple[bytes, bytes]] = {}

    def count_event(self, collection: bytes) -> None:
        """Give the next event its place in the transaction and among its table's events."""
        self.total_order += 1
        self.counts[collection] = self.counts.get(collection, 0) + 1
