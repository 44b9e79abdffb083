"""What is told of the changes that rules leave out, for any stream and any rule."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.left_out import LeftOutChanges, LeftOutOfTransaction, parse_left_out
from stitcher_stream.left_out import LeftOutCounts
from stitcher_stream.stitch import START, WalRecord, stitch
from tests.fixtures.wal_records import EPOCH, RawRecord, WalTransaction

TABLES = ("task", "log", "session")


def told(records: Iterable[RawRecord], left_out: set[str]) -> list[LeftOutOfTransaction]:
    """Return what is told while the records are stitched and the tables are left out."""
    counts, state, found = LeftOutCounts(), START, []
    for offset, record in enumerate(records):
        state, change = stitch(state, WalRecord(record.key, record.value, record.headers, offset))
        if over := counts.take(state.transaction):
            found.append(over)
        if change is not None and change["table"] in left_out:
            counts.add(state.transaction, change)
    return found


def transaction_of(number: int, tables: Iterable[str]) -> WalTransaction:
    transaction = WalTransaction(number, number * 1000).begin().context({"n": number})
    for row, table in enumerate(tables):
        transaction.change({"id": row}, table=table)
    return transaction


@given(
    transactions=st.lists(st.lists(st.sampled_from(TABLES), max_size=6), max_size=5),
    left_out=st.sets(st.sampled_from(TABLES)),
)
def test_each_transaction_is_told_once_with_what_is_left_out_of_it(
    transactions: list[list[str]], left_out: set[str]
) -> None:
    records, expected = [], []
    for number, tables in enumerate(transactions, 1):
        records += transaction_of(number, tables).end().records
        wanted = {
            ("public", table): LeftOutChanges(
                # The context stands before the rows, at 0.
                tables.count(table), sum(n for n, each in enumerate(tables, 1) if each == table)
            )
            for table in tables
            if table in left_out
        }  # fmt: skip
        if wanted:
            expected.append(LeftOutOfTransaction(str(EPOCH), number * 1000, wanted))
    assert told(records, left_out) == expected


def test_transaction_that_comes_again_is_told_whole_in_the_end() -> None:
    cut, whole = transaction_of(1, ["log"]), transaction_of(1, ["log", "log"]).end()
    first, second = told([*cut.records, *whole.records], {"log"})
    assert first.key() == second.key()
    assert second.tables == {("public", "log"): LeftOutChanges(2, 1 + 2)}


@given(
    st.builds(
        LeftOutOfTransaction,
        st.text(),
        st.integers(0, 1 << 62),
        st.dictionaries(
            st.tuples(st.text(), st.text()),
            st.builds(LeftOutChanges, st.integers(0, 1 << 40), st.integers(0, 1 << 80)),
        ),
    )
)
def test_record_says_what_was_put_into_it(left_out: LeftOutOfTransaction) -> None:
    assert parse_left_out(left_out.value()) == left_out


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"epoch":"e","commit_lsn":1,"tables":[1]}'])
def test_anything_else_is_an_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"say|line"):
        parse_left_out(value)
