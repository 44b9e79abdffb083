"""Tables cut into chunks: every page once, and what was finished only where it changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producer.snapshot.chunks import (
    MOST_CHUNKS,
    SMALLEST_CHUNK_PAGES,
    Chunk,
    Finished,
    Heap,
    HeapProgress,
    SnapshotTable,
    cut,
    still_comparable,
)
from producer.snapshot.marks import Mark
from producer.snapshot.published_tables import mark
from tests.unit.producer.snapshot.copied import table

TODO = table(id="int4")


def heap(pages: int, *, filenode: int = 1, oid: int = 16400) -> Heap:
    return Heap(oid, "public", "todo", filenode, pages, 100.0 * pages)


def chunks_of(pages: int, progress: HeapProgress | None = None) -> list[Chunk]:
    of = heap(pages)
    known = {} if progress is None else {of.oid: progress}
    return cut(SnapshotTable(TODO, (of,)), known)


def pages_read(chunks: list[Chunk], pages: int) -> list[int]:
    """Return how often each page is read whole; the last stands for all behind the end."""
    count = [0] * (pages + 1)
    for chunk in chunks:
        if chunk.changed_since is None:
            end = pages + 1 if chunk.end_page is None else chunk.end_page
            for page in range(chunk.first_page, end):
                count[page] += 1
    return count


@given(st.integers(0, 20 * SMALLEST_CHUNK_PAGES))
def test_every_page_and_what_is_appended_is_read_once(pages: int) -> None:
    assert set(pages_read(chunks_of(pages), pages)) == {1}


@given(st.integers(0, 10**9))
def test_a_table_of_any_size_has_a_bounded_number_of_chunks(pages: int) -> None:
    assert len(chunks_of(pages)) <= MOST_CHUNKS


@given(st.integers(0, 20 * SMALLEST_CHUNK_PAGES), st.data())
def test_after_a_kill_each_page_is_read_whole_or_for_what_changed(
    pages: int, data: st.DataObject
) -> None:
    progress = HeapProgress(1)
    done = data.draw(st.lists(st.sampled_from(chunks_of(pages)), unique=True))
    for number, chunk in enumerate(done):
        progress = progress.with_finished(Finished(chunk.first_page, chunk.end_page, number // 2))
    chunks = chunks_of(pages, HeapProgress.from_json(progress.as_json()))
    whole = pages_read(chunks, pages)
    changed = pages_read(
        [Chunk(c.table_oid, c.heap, c.first_page, c.end_page) for c in chunks
         if c.changed_since is not None],
        pages,
    )  # fmt: skip
    assert [a + b for a, b in zip(whole, changed, strict=True)] == [1] * (pages + 1)
    assert changed == pages_read(done, pages)


def test_an_interval_is_looked_at_for_what_changed_since_it_was_read() -> None:
    progress = HeapProgress(1).with_finished(Finished(0, None, 700))
    assert chunks_of(1, progress) == [Chunk(16400, heap(1), 0, None, changed_since=700)]


def test_reading_an_interval_again_replaces_when_it_was_seen() -> None:
    progress = HeapProgress(1).with_finished(Finished(0, None, 700))
    progress = progress.with_finished(Finished(0, None, 900))
    assert progress.finished == (Finished(0, None, 900),)


def test_a_table_whose_file_was_exchanged_is_read_whole() -> None:
    progress = HeapProgress(filenode=2, finished=(Finished(0, None, 700),))
    assert chunks_of(1, progress) == [Chunk(16400, heap(1))]


def test_what_was_read_too_many_transactions_ago_is_read_whole_again() -> None:
    progress = {16400: HeapProgress(1, (Finished(0, 9, 100), Finished(9, None, 2**31)))}
    kept = still_comparable(progress, xmin=2**31 + 100)[16400]
    assert kept.finished == (Finished(9, None, 2**31),)


def test_an_override_is_read_in_one_piece_and_once() -> None:
    of = SnapshotTable(TODO, (heap(10**6),), override="SELECT 1 AS id")
    assert cut(of, {}) == [Chunk(16400, None)]
    assert cut(of, {16400: HeapProgress(None, (Finished(0, None, 1),))}) == []


def test_marks_stand_at_the_ends_of_the_snapshot_and_of_each_table() -> None:
    one, two, only = Chunk(1, heap(1)), Chunk(1, heap(1), 1), Chunk(2, heap(1))
    plan = mark([[one, two], [only]], is_whole=True)
    assert [(c.first_mark, c.last_mark) for c in plan.chunks] == [
        (Mark.FIRST, None),
        (None, Mark.LAST_OF_TABLE),
        (Mark.FIRST_OF_TABLE, Mark.LAST),
    ]


def test_what_is_left_after_a_kill_is_marked_at_its_end_only() -> None:
    plan = mark([[Chunk(1, heap(1))], [Chunk(2, heap(1))]], is_whole=False)
    assert [(c.first_mark, c.last_mark) for c in plan.chunks] == [(None, None), (None, Mark.LAST)]
