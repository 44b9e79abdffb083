"""Which position may be stored, and which may be confirmed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producer.progress import STORE_SECONDS, InFlight, Progress, StoredProgress
from schemas.change_id import Lsn


def test_nothing_is_confirmable_before_the_first_commit() -> None:
    progress = Progress(Lsn(5))
    progress.begin()
    assert progress.confirmable_lsn() == 5


def test_a_transaction_is_confirmable_once_every_record_is_acknowledged() -> None:
    progress = Progress(Lsn(5))
    transaction = progress.begin()
    transaction.pending = True
    progress.commit(transaction, Lsn(10))
    assert progress.confirmable_lsn() == 5
    progress.acknowledge()
    assert progress.confirmable_lsn() == 10


def test_a_later_transaction_waits_for_an_earlier_one() -> None:
    progress = Progress(Lsn(5))
    first, second = progress.begin(), progress.begin()
    first.pending = True
    progress.commit(first, Lsn(10))
    progress.commit(second, Lsn(20))
    assert progress.confirmable_lsn() == 5
    progress.acknowledge()
    assert progress.confirmable_lsn() == 20


def test_a_keepalive_counts_only_while_nothing_is_in_flight() -> None:
    progress = Progress(Lsn(5))
    transaction = progress.begin()
    progress.idle(Lsn(100))
    assert progress.confirmable_lsn() == 5
    progress.commit(transaction, Lsn(10))
    progress.confirmable_lsn()
    progress.idle(Lsn(100))
    assert progress.confirmable_lsn() == 100


def test_an_older_keepalive_moves_nothing_back() -> None:
    progress = Progress(Lsn(50))
    progress.idle(Lsn(40))
    assert progress.confirmable_lsn() == 50


@given(st.data())
def test_the_position_only_grows_and_never_passes_an_unacknowledged_record(
    data: st.DataObject,
) -> None:
    progress = Progress(Lsn(0))
    transactions: list[tuple[InFlight, int]] = []
    confirmed = 0
    end = 0
    for step in data.draw(st.lists(st.sampled_from(["commit", "acknowledge"]), max_size=30)):
        if step == "commit":
            transaction = progress.begin()
            transaction.pending = data.draw(st.booleans())
            end += data.draw(st.integers(1, 10))
            progress.commit(transaction, Lsn(end))
            transactions.append((transaction, end))
        else:
            progress.acknowledge()
        now = progress.confirmable_lsn()
        assert now >= confirmed
        confirmed = now
        assert all(not transaction.pending for transaction, lsn in transactions if lsn <= now)


def test_a_position_is_confirmable_only_once_it_is_stored() -> None:
    progress = StoredProgress(Lsn(5))
    assert progress.due(Lsn(10), now=0.0) == 10
    assert progress.confirmable_lsn == 5
    progress.note_stored(Lsn(10))
    assert progress.confirmable_lsn == 10


def test_positions_are_written_one_at_a_time_and_about_once_a_second() -> None:
    progress = StoredProgress(Lsn(5))
    assert progress.due(Lsn(10), now=0.0) == 10
    assert progress.due(Lsn(20), now=100.0) is None
    progress.note_stored(Lsn(10))
    assert progress.due(Lsn(20), now=STORE_SECONDS / 2) is None
    assert progress.due(Lsn(20), now=STORE_SECONDS) == 20


def test_a_position_that_is_stored_is_not_written_again() -> None:
    progress = StoredProgress(Lsn(5))
    assert progress.due(Lsn(5), now=0.0) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3), st.booleans()), max_size=50))
def test_nothing_is_ever_confirmable_that_no_write_has_stored(
    steps: list[tuple[int, float, bool]],
) -> None:
    progress = StoredProgress(Lsn(0))
    acknowledged = 0
    now = 0.0
    writing: Lsn | None = None
    stored = 0
    for advance, passed, answers in steps:
        acknowledged += advance
        now += passed
        due = progress.due(Lsn(acknowledged), now)
        if due is not None:
            assert writing is None
            assert due <= acknowledged
            writing = due
        if answers and writing is not None:
            stored = writing
            progress.note_stored(writing)
            writing = None
        assert progress.confirmable_lsn == stored
