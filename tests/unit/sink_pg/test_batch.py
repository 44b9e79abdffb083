"""A batch knows when it is full, what is new and how far its partitions come."""

from __future__ import annotations

from sink_pg.batch import Advance, Batch, BatchLimits
from sink_pg.watermark import Watermark
from tests.unit.sink_pg.example_changes import EPOCH, change, record

LIMITS = BatchLimits(rows=3, bytes=100_000, age_seconds=0.5)
OTHER_EPOCH = type(EPOCH)(EPOCH.system_identifier, 2, 4, "bemi", "app")


def test_empty_batch_is_never_full() -> None:
    batch = Batch(LIMITS, {})
    assert batch.is_empty
    assert not batch.is_full(now=1e9)
    assert batch.seconds_left(now=1e9, when_empty=7.0) == 7.0


def test_batch_is_full_by_rows() -> None:
    batch = Batch(LIMITS, {})
    batch.add([record(change(ordinal=n), offset=n) for n in range(2)], now=0.0)
    assert not batch.is_full(now=0.0)
    assert batch.room == 1
    batch.add([record(change(ordinal=2), offset=2)], now=0.0)
    assert batch.is_full(now=0.0)
    assert batch.room == 1


def test_batch_is_full_by_bytes() -> None:
    batch = Batch(LIMITS, {})
    batch.add([record(change(after={"a": "x" * 100_000}))], now=0.0)
    assert batch.is_full(now=0.0)


def test_batch_is_full_by_the_age_of_its_first_record() -> None:
    batch = Batch(LIMITS, {})
    batch.add([record(change())], now=10.0)
    batch.add([record(change(ordinal=1), offset=1)], now=10.4)
    assert not batch.is_full(now=10.4)
    assert abs(batch.seconds_left(now=10.4, when_empty=7.0) - 0.1) < 1e-9
    assert batch.is_full(now=10.5)
    assert batch.seconds_left(now=11.0, when_empty=7.0) == 0.0


def test_new_partition_expects_no_progress() -> None:
    batch = Batch(LIMITS, {})
    batch.add([record(change(commit_lsn=8, ordinal=2), offset=41, partition=5)], now=0.0)
    assert batch.advances() == [Advance(5, None, Watermark(42, str(EPOCH), 8, 2))]


def test_change_at_or_below_the_watermark_is_dropped_and_moves_the_offset() -> None:
    batch = Batch(LIMITS, {0: Watermark(10, str(EPOCH), 8, 2)})
    batch.add(
        [
            record(change(commit_lsn=8, ordinal=1), offset=10),
            record(change(commit_lsn=8, ordinal=2), offset=11),
            record(change(commit_lsn=8, ordinal=3), offset=12),
        ],
        now=0.0,
    )
    assert [row.ordinal for row in batch.rows] == [3]
    assert batch.redelivered == 2
    assert batch.advances() == [Advance(0, 10, Watermark(13, str(EPOCH), 8, 3))]


def test_replay_within_a_batch_is_dropped() -> None:
    batch = Batch(LIMITS, {})
    ordinals = [0, 1, 0, 1, 2]
    batch.add([record(change(ordinal=n), offset=i) for i, n in enumerate(ordinals)], now=0.0)
    assert [row.ordinal for row in batch.rows] == [0, 1, 2]


def test_other_epoch_is_accepted_below_the_watermark_and_becomes_the_watermarks() -> None:
    batch = Batch(LIMITS, {0: Watermark(10, str(EPOCH), 8, 2)})
    batch.add([record(change(commit_lsn=3, ordinal=1, epoch=OTHER_EPOCH), offset=10)], now=0.0)
    assert len(batch.rows) == 1
    assert batch.advances() == [Advance(0, 10, Watermark(11, str(OTHER_EPOCH), 3, 1))]


def test_record_below_the_next_offset_is_ignored() -> None:
    batch = Batch(LIMITS, {0: Watermark(10)})
    batch.add([record(change(), offset=9)], now=0.0)
    assert batch.is_empty
    assert batch.advances() == []


def test_unreadable_record_is_refused_and_moves_the_offset_only() -> None:
    batch = Batch(LIMITS, {0: Watermark(10, str(EPOCH), 8, 2)})
    batch.add([record(b"garbage", offset=10)], now=0.0)
    assert [refused.record.offset for refused in batch.refused] == [10]
    assert "JSON" in batch.refused[0].reason
    assert batch.advances() == [Advance(0, 10, Watermark(11, str(EPOCH), 8, 2))]
    assert not batch.is_empty


def test_next_batch_expects_what_this_one_reached() -> None:
    batch = Batch(LIMITS, {0: Watermark(10), 1: Watermark(3)})
    batch.add([record(change(), offset=10)], now=0.0)
    following = batch.next_batch()
    assert following.is_empty
    following.add([record(change(ordinal=1), offset=11)], now=0.0)
    following.add([record(change(ordinal=1), offset=3, partition=1)], now=0.0)
    assert [advance.expected_offset for advance in following.advances()] == [11, 3]


def test_days_of_a_long_batch_are_known_from_its_beginning_to_its_end() -> None:
    batch = Batch(BatchLimits(rows=10_000, bytes=10**9, age_seconds=0.5), {})
    days = ["2026-01-31"] * 400 + ["2026-02-01"] * 200 + ["2026-02-02"]
    batch.add(
        [
            record(change(n, committed_at=f"{day}T10:00:00Z"), offset=n)
            for n, day in enumerate(days)
        ],
        now=0.0,
    )
    assert batch.commit_days() == set(days)
    assert Batch(LIMITS, {}).commit_days() == set()


def test_batch_says_where_a_partition_goes_on_in_another_epoch() -> None:
    stored = {0: Watermark(10, str(EPOCH), 8, 2)}
    batch = Batch(LIMITS, stored)
    batch.add([record(change(commit_lsn=9), offset=10)], now=0.0)
    assert not batch.begins_epoch
    batch.add([record(change(commit_lsn=9, epoch=OTHER_EPOCH), offset=11)], now=0.0)
    assert batch.begins_epoch
    assert not batch.next_batch().begins_epoch


def test_what_is_stored_is_of_the_topic_that_was_read() -> None:
    batch = Batch(LIMITS, {0: Watermark(10, str(EPOCH), 8, 2)}, "this")
    batch.add([record(change(commit_lsn=9, ordinal=0), offset=10)], now=0.0)
    assert batch.advances()[0].watermark == Watermark(11, str(EPOCH), 9, 0, "this")


def test_offset_of_another_topic_says_nothing_and_an_unknown_one_is_believed() -> None:
    assert Watermark(10, topic_id="former").is_of_another("this")
    assert not Watermark(10, topic_id="this").is_of_another("this")
    assert not Watermark(10).is_of_another("this")
