"""Publish the rows that are there before streaming begins. Edge: joins the parts.

Why nothing is lost and the end is right: the stream that follows brings every change after the
slot's position, in order. A row read under any snapshot that is not older than that position
is one of the states the row goes through from there on, so a consumer that applies the stream
after the rows ends at the row's last state; and a row that no chunk has shown was written after
its chunk had been read, so the stream brings it whole, or `chunks.Chunk.changed_since` reads it.

What a consumer sees: each row at least once as `r`; rows of a chunk that was being read when
the producer was killed twice; after such a kill also rows that changed meanwhile, first as they
are now and then, by the stream, as they were in between; of one that was deleted meanwhile only
what the stream has, which does not repeat values stored out of line. It ends where the table
does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from psycopg import sql

from producer.snapshot.chunks import (
    Chunk,
    Finished,
    HeapProgress,
    SnapshotTable,
    still_comparable,
)
from producer.snapshot.marks import Reading
from producer.snapshot.published_tables import plan_chunks, published_tables
from producer.snapshot.readers import Readers, ReaderStart, ReadParts
from producer.snapshot.shared_snapshot import (
    Connect,
    SharedSnapshot,
    seen_under,
    shared_snapshot,
)
from producer.snapshot.state import SnapshotStore
from runtime.logs import LogFormat
from runtime.progress_bar import ProgressBar
from schemas.change_id import Lsn, format_lsn

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InitialSnapshot:
    """Which rows to publish, and how."""

    publication: str
    lsn: Lsn
    """Where the stream will begin."""
    of_new_slot: str | None
    """The name of the snapshot that came with the slot, if it was made just now."""
    is_wanted: Callable[[str, str], bool]
    """Whether a table, by schema and name, is to be read."""
    overrides: Mapping[str, str]
    """What to select of a table in place of all its rows, by `schema.table`."""
    make_parts: Callable[[], ReadParts]
    """Called in each reader's process, so it must be importable there with its arguments."""
    ensure_topics: Callable[[list[SnapshotTable]], None]
    readers: int = 1
    lock_timeout_ms: int | None = None
    """Lock tables against ALTER meanwhile, waiting so long for it; None does not."""
    log_level: str = "INFO"
    log_format: LogFormat = "text"


def take_snapshot(
    wanted: InitialSnapshot, connect: Connect, store: SnapshotStore, stopping: threading.Event
) -> bool:
    """Publish the rows, or those left by an earlier run; returns False when asked to stop.

    When it returns True every row is acknowledged by Kafka and that is stored. Raises Retry
    where the rest is to be tried again, and Stop.
    """
    with shared_snapshot(connect, wanted.of_new_slot) as shared:
        progress = still_comparable(store.progress(), shared.xmin)
        # Not in the transaction that holds the snapshot: the locks of what it looks at would stay
        # to the end, an ALTER TABLE would wait for them, and the readers for that.
        with closing(connect()) as planner, seen_under(shared.name, planner):
            tables = published_tables(
                planner,
                wanted.publication,
                is_wanted=wanted.is_wanted,
                overrides=wanted.overrides,
            )
            plan = plan_chunks(planner, tables, progress)
        if wanted.lock_timeout_ms is not None:
            _lock(shared, tables, wanted.lock_timeout_ms)
        log.info(
            "%s %s chunks of %s tables, about %d rows; the stream goes on from %s",
            "still to read:" if progress else "reading",
            len(plan.chunks),
            len({chunk.table_oid for chunk in plan.chunks}),
            plan.estimated_rows,
            format_lsn(wanted.lsn),
        )
        store.begin()
        if plan.chunks:
            wanted.ensure_topics(tables)
            start = ReaderStart(
                wanted.make_parts,
                shared.name,
                Reading(wanted.lsn, shared.txid, shared.at_us),
                {table.relation.oid: table for table in tables},
                wanted.log_level,
                wanted.log_format,
            )
            record = _Recorder(store, progress, shared.xmin)
            readers = min(wanted.readers, len(plan.chunks))
            with (
                closing(Readers(start, readers)) as processes,
                ProgressBar("snapshot", int(plan.estimated_rows), "rows") as shown,
            ):
                is_complete = processes.run(
                    plan.chunks, note_rows=shown.add, note_done=record.done, stopping=stopping
                )
                if not is_complete:
                    return False
        store.finish()
    return True


class _Recorder:
    """Stores what is finished, chunk by chunk."""

    def __init__(self, store: SnapshotStore, progress: dict[int, HeapProgress], xmin: int) -> None:
        self._store = store
        self._progress = progress
        self._xmin = xmin

    def done(self, chunk: Chunk) -> None:
        """Take note of a finished chunk; returns when that is durable."""
        oid = chunk.table_oid if chunk.heap is None else chunk.heap.oid
        filenode = None if chunk.heap is None else chunk.heap.filenode
        known = self._progress.get(oid)
        if known is None or known.filenode != filenode:
            known = HeapProgress(filenode)
        known = known.with_finished(Finished(chunk.first_page, chunk.end_page, self._xmin))
        self._progress[oid] = known
        self._store.finish_part(oid, known)


def _lock(shared: SharedSnapshot, tables: list[SnapshotTable], timeout_ms: int) -> None:
    shared.connection.execute(
        sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(timeout_ms))
    )
    for table in tables:
        for heap in table.heaps:
            shared.connection.execute(
                sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(
                    sql.Identifier(heap.pg_schema, heap.table)
                )
            )
