"""What the source committed, counted from any stream that `.wal` may hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.range_reader import KafkaRecord
from schemas.envelope import Op
from schemas.topics import Topics
from sink_pg.source_counts import NotCountable, PartitionCounts, SourceTransaction, TableCount
from sink_pg.table_patterns import Table
from stitcher_stream.settings import StitcherSettings
from tests.fixtures.wal_records import RawRecord, WalTransaction, usual_transaction

TASK = Table("public", "task")


def counted(
    records: Iterable[RawRecord], is_from_beginning: bool = True
) -> tuple[list[SourceTransaction], list[SourceTransaction]]:
    """Return the transactions that were completed and those that never were."""
    counts = PartitionCounts(is_from_beginning)
    found = []
    for offset, record in enumerate(records):
        taken = counts.take(
            KafkaRecord("t.wal", 0, offset, record.key, record.value, tuple(record.headers))
        )
        if taken is not None:
            found.append(taken)
    return found, counts.unfinished()


def lsns(transactions: Iterable[SourceTransaction]) -> list[int]:
    return [each.position.commit_lsn for each in transactions]


def test_changes_are_counted_by_table_with_the_places_they_have() -> None:
    transaction = WalTransaction(7, 1_000).begin().context({"user": 1})
    transaction.change({"id": 1}).change({"id": 2}, table="log").change({"id": 3})
    (found,), _ = counted(transaction.end().records)
    assert found.tables == {
        TASK: TableCount(changes=2, ordinals=1 + 3, declared=2),
        Table("public", "log"): TableCount(changes=1, ordinals=2, declared=1),
    }
    assert (found.xid, found.position.commit_lsn, found.offset) == ("7", 1_000, 5)
    assert found.system_identifier == "7512345678901234567"
    assert list(found.undeclared()) == []


def test_change_that_left_the_topic_is_told_by_the_end() -> None:
    records = usual_transaction(1).records
    del records[3]
    (found,), _ = counted(records)
    assert [(t, c.changes, c.declared) for t, c in found.undeclared()] == [(TASK, 2, 3)]


def test_table_of_which_nothing_is_left_is_told_by_the_end() -> None:
    records = usual_transaction(1, rows=1).records
    del records[2]
    (found,), _ = counted(records)
    assert [(t, c.changes, c.declared) for t, c in found.undeclared()] == [(TASK, 0, 1)]


def test_update_that_moved_a_row_may_be_counted_twice_by_the_end() -> None:
    transaction = WalTransaction(1, 1_000).begin()
    transaction.change({"id": 2}, Op.UPDATE, before={"id": 1}, key={"id": 2})
    transaction.counts["public.task"] += 1
    (found,), _ = counted(transaction.end().records)
    assert list(found.undeclared()) == []


def test_update_that_moved_nothing_may_not() -> None:
    transaction = WalTransaction(1, 1_000).begin()
    transaction.change({"id": 1, "a": 2}, Op.UPDATE, before={"id": 1, "a": 1})
    transaction.counts["public.task"] += 1
    (found,), _ = counted(transaction.end().records)
    assert [table for table, _ in found.undeclared()] == [TASK]


def test_transaction_sent_again_is_counted_once() -> None:
    first, second = usual_transaction(1).records, usual_transaction(2).records
    found, unfinished = counted([*first, *second, *first, *second])
    assert lsns(found) == [1_000_000, 2_000_000]
    assert unfinished == []


def test_transaction_cut_off_is_counted_when_it_comes_again_whole() -> None:
    first, second = usual_transaction(1).records, usual_transaction(2).records
    found, unfinished = counted([*first, *second[:3], *first, *second])
    assert lsns(found) == [1_000_000, 2_000_000]
    assert found[1].tables[TASK].changes == 3
    assert unfinished == []


def test_transaction_cut_off_that_a_later_one_overtakes_is_lost() -> None:
    records = [*usual_transaction(1).records[:3], *usual_transaction(2).records]
    found, unfinished = counted(records)
    assert lsns(found) == [2_000_000]
    assert lsns(unfinished) == [1_000_000]


def test_transaction_that_is_still_being_sent_is_no_finding() -> None:
    found, unfinished = counted([*usual_transaction(1).records, *usual_transaction(2).records[:3]])
    assert lsns(found) == [1_000_000]
    assert unfinished == []


def test_transaction_that_began_before_the_place_of_reading_is_left_out() -> None:
    records = [*usual_transaction(1).records[2:], *usual_transaction(2).records]
    assert lsns(counted(records, is_from_beginning=False)[0]) == [2_000_000]
    found, _ = counted(records, is_from_beginning=True)
    assert lsns(found) == [1_000_000, 2_000_000]


def test_gap_that_the_producer_recorded_is_told() -> None:
    gap = {"reason": "slot_lost", "from_lsn": "0/10", "to_lsn": "0/20"}
    transaction = WalTransaction(1, 1_000).begin().context(gap, prefix="_bemi_gap").end()
    (found,), _ = counted(transaction.records)
    assert found.gaps == ["slot_lost from 0/10 to 0/20"]


def test_stream_without_the_producers_headers_is_refused() -> None:
    record = usual_transaction(1).records[2]
    with pytest.raises(NotCountable, match="only what bemi's producer writes"):
        counted([RawRecord(record.key, record.value, [])])


@given(
    st.lists(st.lists(st.sampled_from(["task", "log", "note"]), max_size=5), max_size=5), st.data()
)
def test_counts_are_those_of_the_transactions_whatever_is_cut_and_repeated(
    contents: list[list[str]], data: st.DataObject
) -> None:
    """The oracle counts the transactions; the stream is sent by a producer that is killed."""
    transactions = []
    for number, tables in enumerate(contents, start=1):
        transaction = WalTransaction(number, number * 1_000).begin()
        for row, table in enumerate(tables):
            transaction.change({"id": row}, table=table)
        transactions.append(transaction.end())
    whole = [record for each in transactions for record in each.records]
    begins = [sum(len(each.records) for each in transactions[:n]) for n in range(len(contents))]
    stream: list[RawRecord] = []
    reached = 0
    for _ in range(data.draw(st.integers(0, 3))):
        killed_at = data.draw(st.integers(reached, len(whole)))
        stream += whole[reached:killed_at]
        confirmed = [begin for begin in begins if begin <= killed_at]
        reached = data.draw(st.sampled_from(confirmed or [0]))
    found, unfinished = counted([*stream, *whole[reached:]])
    assert unfinished == []
    assert lsns(found) == [each.commit_lsn for each in transactions]
    assert [
        {table.name: count.changes for table, count in each.tables.items()} for each in found
    ] == [dict(Counter(tables)) for tables in contents]
    assert all(list(each.undeclared()) == [] for each in found)


@given(
    st.binary(max_size=20)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    ["op", "status", "source", "data_collections", "message", "before"]
                ),
                inner,
            )
            | st.lists(inner, max_size=2)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_record_is_counted_or_refused_by_name(value: bytes) -> None:
    good = usual_transaction(1).records
    counted([good[0], RawRecord(b"{}", value, good[2].headers), good[-1]])


def test_group_of_the_stitchers_is_known_by_its_own_name() -> None:
    settings = StitcherSettings.from_environ({"BEMI_TOPIC_PREFIX": "shop"})
    assert Topics("shop").stitcher_group == settings.group_id
