"""What is written: inserts, updates and deletes in transactions with a context message each.

Of ten changes five insert a row, four update one and one deletes one, however they are divided
into transactions; so what differs between workloads is the transactions alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from schemas.topics import Topics

TABLE = ("public", "bench_row")
CHANGES_A_DELETE = 10

_SCHEMA = Path(__file__).with_suffix(".sql").read_text()

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Workload:
    """A way to divide changes into transactions."""

    name: str
    title: str
    changes_a_transaction: int | None
    """None is all of them in one."""


TEN_ROWS = Workload("ten-rows", "transactions of ten rows", 10)
ONE_ROW = Workload("one-row", "transactions of one row", 1)
ONE_TRANSACTION = Workload("one-transaction", "one transaction", None)
WORKLOADS = {workload.name: workload for workload in (TEN_ROWS, ONE_ROW, ONE_TRANSACTION)}


@dataclass(frozen=True, slots=True)
class Backlog:
    """What was written."""

    changes: int
    transactions: int

    def records(self, topics: Topics, *, with_wal: bool = False) -> dict[str, int]:
        """Return how many records each topic gets; a deletion is followed by a tombstone."""
        records = {
            topics.table(*TABLE): self.changes + self.changes // CHANGES_A_DELETE,
            topics.message: self.transactions,
            topics.transaction: 2 * self.transactions,
        }
        if with_wal:
            # Begin and end, the message and the changes, which have no tombstones here.
            records[topics.wal] = self.changes + 3 * self.transactions
        return records


def create(connection: Connection) -> None:
    """Make the table, the procedures that write and the publication `bench`."""
    connection.execute(_SCHEMA)


def write(connection: Connection, changes: int, workload: Workload = TEN_ROWS) -> Backlog:
    """Write so many changes, rounded down to tens, and return what was written."""
    changes = max(changes - changes % CHANGES_A_DELETE, CHANGES_A_DELETE)
    size = workload.changes_a_transaction or changes
    backlog = Backlog(changes, changes // size)
    # The writer is not what is measured: waiting for the disk at each commit, it took longer
    # for 100,000 changes (14.1 s beside the running stages) than they took to store them.
    connection.execute("SET synchronous_commit = off")
    try:
        if size == 1:
            connection.execute(f"CALL write_single_rows({changes})")
        else:
            connection.execute(f"CALL write_transactions({backlog.transactions}, {size})")
    finally:
        connection.execute("RESET synchronous_commit")
    return backlog
