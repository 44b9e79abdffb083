"""Which position is stored in `changes`, by how far the stages behind are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.sink_progress import Look, SinkProgress
from schemas.change_id import Lsn


def look(acknowledged: int, wal: int, stitched: int, changes: int, stored: int) -> Look:
    """Return a look at pipelines of one partition."""
    return Look(Lsn(acknowledged), {0: stitched}, {0: wal}, {0: stored}, {0: changes})


def test_where_everybody_is_done_a_position_is_stored_at_once() -> None:
    progress = SinkProgress(Lsn(5))
    assert progress.observe(look(10, 4, 4, 2, 2)) is None
    assert progress.stored_lsn == 10
    assert progress.waits_for is None


def test_a_position_waits_for_the_stitcher_and_then_for_the_sink() -> None:
    progress = SinkProgress(Lsn(5))
    progress.observe(look(10, 4, 3, 2, 2))
    assert (progress.stored_lsn, progress.waits_for) == (5, "stitcher")
    # What the last record gave stands in `.changes` by now, and is not stored.
    progress.observe(look(20, 8, 4, 3, 2))
    assert (progress.stored_lsn, progress.waits_for) == (5, "sink")
    # More has come to `.changes`, which is of later positions.
    progress.observe(look(30, 9, 4, 6, 3))
    assert (progress.stored_lsn, progress.waits_for) == (10, "stitcher")


def test_a_partition_nobody_has_come_to_counts_as_not_done() -> None:
    progress = SinkProgress(Lsn(5))
    wal, changes = {0: 0, 1: 4}, {0: 9, 1: 3}
    progress.observe(Look(Lsn(10), {}, wal, {}, {}))
    assert progress.waits_for == "stitcher"
    progress.observe(Look(Lsn(10), {1: 4}, wal, {0: 9}, changes))
    assert progress.waits_for == "sink"
    assert progress.stored_lsn == 5


def test_what_became_no_record_at_all_is_stored() -> None:
    progress = SinkProgress(Lsn(5))
    progress.observe(Look(Lsn(10), {}, {}, {}, {}))
    assert progress.stored_lsn == 10


@pytest.mark.parametrize(
    ("looks", "lost"),
    [
        pytest.param([look(10, 4, 3, 2, 1), look(10, 3, 3, 2, 2)], ".wal", id="wal-shrinks"),
        pytest.param([look(10, 4, 4, 2, 1), look(10, 4, 4, 1, 1)], ".changes", id="changes-shrink"),
        pytest.param([look(10, 4, 5, 2, 2)], ".wal", id="stitched-more-than-there-is"),
        pytest.param([look(10, 4, 4, 2, 3)], ".changes", id="stored-more-than-there-is"),
    ],
)
def test_a_topic_that_ends_before_where_it_was_has_lost_records(
    looks: list[Look], lost: str
) -> None:
    progress = SinkProgress(Lsn(5))
    assert [progress.observe(each) for each in looks][-1] == lost
    assert progress.stored_lsn == 5


PARTITIONS = 2
STEPS = st.lists(
    st.tuples(st.sampled_from(["commit", "stitch", "store", "look"]), st.integers(0, 1)),
    max_size=60,
)


@given(STEPS)
def test_a_stored_position_never_passes_a_change_that_is_not_stored(
    steps: list[tuple[str, int]],
) -> None:
    """A model of the pipeline: each transaction is one record, every other one no change."""
    progress = SinkProgress(Lsn(0))
    wal: list[list[int]] = [[] for _ in range(PARTITIONS)]
    changes: list[list[int]] = [[] for _ in range(PARTITIONS)]
    stitched, stored = [0] * PARTITIONS, [0] * PARTITIONS
    lsn = 0

    def observe() -> None:
        progress.observe(
            Look(
                Lsn(lsn),
                dict(enumerate(stitched)),
                {p: len(wal[p]) for p in range(PARTITIONS)},
                dict(enumerate(stored)),
                {p: len(changes[p]) for p in range(PARTITIONS)},
            )
        )
        is_stored = {each for p in range(PARTITIONS) for each in changes[p][: stored[p]]}
        for each in range(1, progress.stored_lsn + 1):
            assert each % 2 == 0 or each in is_stored

    for step, partition in steps:
        if step == "commit":
            lsn += 1
            wal[partition].append(lsn)
        elif step == "stitch" and stitched[partition] < len(wal[partition]):
            if wal[partition][stitched[partition]] % 2:
                changes[partition].append(wal[partition][stitched[partition]])
            stitched[partition] += 1
        elif step == "store" and stored[partition] < len(changes[partition]):
            stored[partition] += 1
        elif step == "look":
            observe()
    # It always comes to the end once everybody does.
    for p in range(PARTITIONS):
        changes[p] += [each for each in wal[p][stitched[p] :] if each % 2]
        stitched[p], stored[p] = len(wal[p]), len(changes[p])
    for _ in range(3):
        observe()
    assert progress.stored_lsn == lsn
