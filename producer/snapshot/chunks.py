"""Cut tables into chunks of heap pages, and know which were finished. Pure.

A chunk is a range of pages (TID range scans, PostgreSQL 14 and later): whatever the key, or
without one, no index is walked and every page is read once.

A snapshot that goes on after a kill reads under a later MVCC snapshot, where an update may have
moved a row from a page not read yet to one of a finished chunk. So a finished range is
remembered with the oldest transaction its snapshot could not see the end of, and of it those
rows are read that later transactions have written: `Chunk.changed_since`. The others were
published. Where a table's file was exchanged (TRUNCATE, VACUUM FULL, CLUSTER, an ALTER that
rewrites), pages mean something else and all of it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from producer.pgoutput import Relation
from producer.snapshot.marks import Mark

SMALLEST_CHUNK_PAGES = 1024
"""8 MB: about half a second of reading, which is what a kill can cost."""
MOST_CHUNKS = 1000
"""Of one heap; a larger one is cut into larger chunks."""
_COMPARABLE_XIDS = 1 << 30


@dataclass(frozen=True, slots=True)
class Heap:
    """A file of rows: a table, or a partition of one that is published as its root."""

    oid: int
    pg_schema: str
    table: str
    filenode: int | None
    pages: int
    estimated_rows: float = 0.0


@dataclass(frozen=True, slots=True)
class SnapshotTable:
    """A table to read, as its publication has it."""

    relation: Relation
    heaps: tuple[Heap, ...]
    row_filter: str | None = None
    """The publication's WHERE, as SQL."""
    override: str | None = None
    """A SELECT to read in place of all rows: snapshot.select.statement.overrides."""

    @property
    def name(self) -> str:
        """The table's name as filters and settings have it."""
        return f"{self.relation.pg_schema}.{self.relation.table}"

    @property
    def is_partitioned(self) -> bool:
        """Whether its rows are in heaps of other names."""
        return [heap.oid for heap in self.heaps] != [self.relation.oid]

    @property
    def estimated_rows(self) -> float:
        """About how many rows it has, 0 where the server never counted."""
        return sum(max(heap.estimated_rows, 0.0) for heap in self.heaps)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a table: the pages of a heap from `first_page` up to `end_page`.

    `end_page` None is the heap's end, wherever it is by then. `heap` None is the whole table,
    by its override.
    """

    table_oid: int
    heap: Heap | None
    first_page: int = 0
    end_page: int | None = None
    changed_since: int | None = None
    first_mark: Mark | None = None
    last_mark: Mark | None = None

    @property
    def estimated_rows(self) -> float:
        """About how many rows it has."""
        if self.heap is None or self.heap.pages == 0 or self.changed_since is not None:
            return 0.0
        end = self.heap.pages if self.end_page is None else self.end_page
        share = (end - self.first_page) / self.heap.pages
        return max(self.heap.estimated_rows, 0.0) * share


@dataclass(frozen=True, slots=True)
class Finished:
    """A range of pages that was published, and since when its rows may have changed."""

    first_page: int
    end_page: int | None
    seen_before: int
    """The xmin of the MVCC snapshot it was read under: every transaction below was seen."""


@dataclass(frozen=True, slots=True)
class HeapProgress:
    """What was finished of a heap, or of a whole table by its override."""

    filenode: int | None
    finished: tuple[Finished, ...] = ()

    def with_finished(self, done: Finished) -> HeapProgress:
        """Return the progress with one more range, which replaces an older reading of it."""
        kept = [one for one in self.finished if one.first_page != done.first_page]
        kept.append(done)
        kept.sort(key=lambda one: one.first_page)
        merged: list[Finished] = []
        for one in kept:
            last = merged[-1] if merged else None
            if (
                last is not None
                and last.end_page == one.first_page
                and last.seen_before == one.seen_before
            ):
                merged[-1] = Finished(last.first_page, one.end_page, one.seen_before)
            else:
                merged.append(one)
        return HeapProgress(self.filenode, tuple(merged))

    def as_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "filenode": self.filenode,
            "finished": [[o.first_page, o.end_page, o.seen_before] for o in self.finished],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> HeapProgress:
        """Return what `as_json` wrote; raises ValueError for anything else."""
        try:
            return cls(
                stored["filenode"],
                tuple(Finished(int(a), b, int(c)) for a, b, c in stored["finished"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the progress of a snapshot: {stored!r}") from error


def still_comparable(progress: dict[int, HeapProgress], xmin: int) -> dict[int, HeapProgress]:
    """Return the progress without what was read too long ago to tell what has changed since.

    A row's xmin has 32 bits: it can be compared over half of the transactions they can name.
    """
    return {
        oid: HeapProgress(
            heap.filenode,
            tuple(one for one in heap.finished if xmin - one.seen_before < _COMPARABLE_XIDS),
        )
        for oid, heap in progress.items()
    }


@dataclass(slots=True)
class Plan:
    """The chunks that are left, those of a table together, tables in their order."""

    chunks: list[Chunk] = field(default_factory=list)

    @property
    def estimated_rows(self) -> float:
        """About how many rows are left to read."""
        return sum(chunk.estimated_rows for chunk in self.chunks)


def chunk_pages(pages: int) -> int:
    """Return how many pages the chunks of a heap of this size have."""
    return max(SMALLEST_CHUNK_PAGES, -(-pages // MOST_CHUNKS))


def cut(table: SnapshotTable, progress: dict[int, HeapProgress]) -> list[Chunk]:
    """Return what is left to read of the table; `progress` is by heap, or the table's own oid."""
    oid = table.relation.oid
    if table.override is not None:
        done = progress.get(oid)
        return [] if done is not None and done.finished else [Chunk(oid, None)]
    chunks = []
    for heap in table.heaps:
        known = progress.get(heap.oid)
        finished: Sequence[Finished] = ()
        if known is not None and known.filenode == heap.filenode:
            finished = known.finished
        chunks += _cut_heap(oid, heap, finished)
    return chunks


def _cut_heap(table_oid: int, heap: Heap, finished: Sequence[Finished]) -> list[Chunk]:
    size = chunk_pages(heap.pages)
    chunks = []
    at: int | None = 0
    for done in finished:
        if at is not None and at < done.first_page:
            chunks += _ranges(table_oid, heap, at, done.first_page, size)
        chunks.append(Chunk(table_oid, heap, done.first_page, done.end_page, done.seen_before))
        at = done.end_page
    if at is not None:
        chunks += _ranges(table_oid, heap, at, None, size)
    return chunks


def _ranges(table_oid: int, heap: Heap, first: int, end: int | None, size: int) -> list[Chunk]:
    last = heap.pages if end is None else end
    chunks = []
    while first + size < last:
        chunks.append(Chunk(table_oid, heap, first, first + size))
        first += size
    # The last one of a heap is open, so what was appended since is in it.
    chunks.append(Chunk(table_oid, heap, first, end))
    return chunks
