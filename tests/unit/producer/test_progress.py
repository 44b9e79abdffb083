"""Which position may be confirmed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producer.progress import InFlight, Progress
from schemas.change_id import Lsn


def test_nothing_is_confirmable_before_the_first_commit() -> None:
    progress = Progress(Lsn(5))
    progress.begin()
    assert progress.confirmable_lsn() == 5


def test_a_transaction_is_confirmable_once_every_record_is_acknowledged() -> None:
    progress = Progress(Lsn(5))
    transaction = progress.begin()
    transaction.pending = 2
    progress.commit(transaction, Lsn(10))
    assert progress.confirmable_lsn() == 5
    transaction.pending = 0
    assert progress.confirmable_lsn() == 10


def test_a_later_transaction_waits_for_an_earlier_one() -> None:
    progress = Progress(Lsn(5))
    first, second = progress.begin(), progress.begin()
    first.pending = 1
    progress.commit(first, Lsn(10))
    progress.commit(second, Lsn(20))
    assert progress.confirmable_lsn() == 5
    first.pending = 0
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
            transaction.pending = data.draw(st.integers(0, 3))
            end += data.draw(st.integers(1, 10))
            progress.commit(transaction, Lsn(end))
            transactions.append((transaction, end))
        elif transactions:
            transaction, _ = data.draw(st.sampled_from(transactions))
            transaction.pending = max(0, transaction.pending - 1)
        now = progress.confirmable_lsn()
        assert now >= confirmed
        confirmed = now
        assert all(not transaction.pending for transaction, lsn in transactions if lsn <= now)
