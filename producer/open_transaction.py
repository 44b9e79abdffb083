"""The transaction that is being read: its place, what is counted of it. Pure.

Two counts run beside each other. The ordinal counts every message decoded, whatever is made
of it: that is a change's identity. The orders count the events made, as Debezium does.
"""

from __future__ import annotations

from producer.event_source import Source
from producer.pgoutput import Begin, Origin
from schemas.change_id import Lsn
from schemas.topics import Headers


class OpenTransaction:
    """What has been seen of the transaction that is being read."""

    __slots__ = (
        "begin", "begin_lsn", "counts", "is_announced", "last_commit_lsn", "ordinal", "origin",
        "partition", "total_order", "touched_own", "wal_headers", "xid", "xmin",
    )  # fmt: skip

    def __init__(
        self,
        begin: Begin,
        begin_lsn: Lsn,
        last_commit_lsn: Lsn | None,
        xmin: int | None = None,
    ) -> None:
        self.begin = begin
        self.begin_lsn = begin_lsn
        self.last_commit_lsn = last_commit_lsn
        self.xmin = xmin
        self.xid = str(begin.xid)
        self.partition = 0  # Of `.wal`, where that is wanted, as are its headers.
        self.wal_headers: Headers = []
        self.ordinal = 0  # Messages decoded.
        self.total_order = 0  # Events made, as Debezium counts them.
        self.counts: dict[str, int] = {}  # Events made by table.
        self.is_announced = False
        self.touched_own = False  # A table of the sink's, or a heartbeat.
        self.origin: Origin | None = None

    def count_event(self, collection: str) -> None:
        """Give the next event its place in the transaction and among its table's events."""
        self.total_order += 1
        self.counts[collection] = self.counts.get(collection, 0) + 1

    def source(self, pg_schema: str, table: str) -> Source:
        """Return where the transaction's events of a table come from."""
        return Source(
            ts_us=self.begin.commit_time_us,
            pg_schema=pg_schema,
            table=table,
            last_commit_lsn=self.last_commit_lsn,
            xid=self.begin.xid,
            xmin=self.xmin,
            origin=self.origin,
        )
