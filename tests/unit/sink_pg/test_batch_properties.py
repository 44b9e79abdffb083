"""Whatever is delivered again, and however it is cut into batches, each change is kept once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sink_pg.batch import Batch, BatchLimits
from sink_pg.change_rows import Record
from tests.unit.sink_pg.example_changes import change, record

POSITIONS = [(lsn, ordinal) for lsn in range(1, 5) for ordinal in range(3)]
places = st.integers(0, len(POSITIONS))


@st.composite
def partitions_with_replays(draw: st.DrawFn) -> list[Record]:
    """Draw a partition as Kafka holds it: growing positions, with steps back."""
    log: list[tuple[int, int]] = []
    at = 0
    for end, back in draw(st.lists(st.tuples(places, places), max_size=4)):
        log += POSITIONS[at : max(at, end)]
        at = min(max(at, end), back)
    log += POSITIONS[at:]
    return [record(change(lsn, n), offset=offset) for offset, (lsn, n) in enumerate(log)]


@given(partitions_with_replays(), st.lists(st.integers(0, 40)), st.integers(1, 6))
def test_each_change_is_kept_once_and_in_order(
    log: list[Record], rewinds: list[int], batch_rows: int
) -> None:
    batch = Batch(BatchLimits(batch_rows, 10**9, 0.0), {})
    kept: list[tuple[int, int]] = []
    at = 0
    while at < len(log):
        batch.add(log[at : at + batch_rows], now=0.0)
        at += batch_rows
        kept += [(row.commit_lsn, row.ordinal) for row in batch.rows]
        batch = batch.next_batch()
        if rewinds:
            at = min(at, rewinds.pop())
    assert kept == POSITIONS
