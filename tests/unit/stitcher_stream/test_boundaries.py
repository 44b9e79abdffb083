"""Where the transaction begins that a record of `.wal` is of."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from stitcher_stream.boundaries import beginning
from stitcher_stream.stitch import WalRecord
from tests.fixtures.wal_records import RawRecord, all_records, usual_transaction


def stream(records: list[RawRecord], first: int = 0) -> list[WalRecord]:
    return [
        WalRecord(record.key, record.value, record.headers, first + n)
        for n, record in enumerate(records)
    ]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.data())
def test_beginning_is_the_last_begin_before_the_record_or_not_known(
    sizes: list[int], data: st.DataObject
) -> None:
    transactions = [usual_transaction(n + 1, rows=size) for n, size in enumerate(sizes)]
    records = stream(all_records(transactions))
    begins = [sum(len(each.records) for each in transactions[:n]) for n in range(len(sizes))]
    start = data.draw(st.integers(0, len(records) - 1))
    at = data.draw(st.integers(start, len(records) - 1))
    truth = max(begin for begin in begins if begin <= at)
    assert beginning(records[start : at + 1]) == (truth if truth >= start else None)


def test_connectors_stream_without_headers_and_begin_is_told_apart_by_transaction_id() -> None:
    records = [
        RawRecord(None, json.dumps(event).encode(), [])
        for event in (
            {"op": "c", "source": {"txId": 7}},
            {"op": "c", "source": {"txId": 8}},
            {"payload": {"op": "m", "source": {"txId": 8}}},
            {"op": "c", "source": {"txId": 8}},
        )
    ]
    assert beginning(stream(records, first=40)) == 41
    assert beginning(stream(records[1:])) is None
    assert beginning([]) is None
