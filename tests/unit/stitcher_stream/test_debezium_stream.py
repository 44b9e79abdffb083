"""The fold over what a Debezium connector writes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import DeadLetter
from schemas.change import Change
from stitcher_stream.contexts import NO_CONTEXT
from stitcher_stream.debezium_stream import (
    RUN_HEADER,
    SENT_AGAIN,
    Place,
    partition_of,
    stitch_debezium,
)
from stitcher_stream.errors import MalformedChange, TransactionsTorn, UnreadableRecord
from stitcher_stream.stitch import START, State, WalRecord, after_unreadable, committable_offset
from tests.unit.stitcher_stream.test_stitch_properties import records as any_records

Event = tuple[dict[str, Any], dict[str, Any] | None]


class Connector:
    """Writes the events of transactions one after the other, as the connector does."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.last_commit: int | None = None
        self.xid = 700

    def transaction(self, *parts: object, at: int) -> None:
        """Send a transaction: a number is an INSERT at that LSN past `at`, a dict a context.

        A context is at an LSN of its own, which the row behind it may be told to have as well.
        """
        self.xid += 1
        lsn = at
        for part in parts:
            if isinstance(part, dict):
                lsn += 5
                content = base64.b64encode(json.dumps(part).encode()).decode()
                message = {"prefix": "_bemi", "content": content}
                message_event = {"op": "m", "source": self.source(lsn), "message": message}
                self.sent.append((message_event, None))
                continue
            assert isinstance(part, int)
            lsn = at + part
            row = {"id": len(self.sent)}
            event: dict[str, Any] = {"op": "c", "before": None, "after": row, "ts_us": 5}
            self.sent.append((event | {"source": self.source(lsn)}, {"id": row["id"]}))
        self.last_commit = max(self.last_commit or 0, lsn) + 50

    def source(self, lsn: int) -> dict[str, Any]:
        last = None if self.last_commit is None else str(self.last_commit)
        return {
            "name": "shop.main",
            "db": "shop",
            "schema": "public",
            "table": "task",
            "txId": self.xid,
            "lsn": lsn,
            "ts_us": self.xid * 1000,
            "sequence": json.dumps([last, str(lsn)]),
        }


def as_records(events: list[Event], run: bytes = b"1", schemas: bool = False) -> list[WalRecord]:
    def encoded(value: dict[str, Any] | None) -> bytes | None:
        wrapped = {"schema": {"type": "struct"}, "payload": value} if schemas else value
        return None if value is None else json.dumps(wrapped).encode()

    return [
        WalRecord(encoded(key), encoded(event), [(RUN_HEADER, run)] if key else [], offset)
        for offset, (event, key) in enumerate(events)
    ]


def lsn_of(record: WalRecord) -> int:
    return int(json.loads(record.value or b"")["source"]["lsn"])


def fold(records: list[WalRecord], state: State = START) -> list[Change]:
    changes = []
    for record in records:
        state, change = stitch_debezium(state, record)
        if change is not None:
            changes.append(change)
    return changes


def places(changes: list[Change]) -> list[tuple[int, int]]:
    return [(change["commit_lsn"], change["ordinal"]) for change in changes]


@pytest.mark.parametrize("schemas", [False, True])
def test_change_has_the_nearest_context_before_it_in_its_transaction(schemas: bool) -> None:
    connector = Connector()
    connector.transaction(0, {"n": 1}, 10, 20, {"n": 2}, 30, at=1000)
    connector.transaction(0, at=2000)
    changes = fold(as_records(connector.sent, schemas=schemas))
    assert [change["context"] for change in changes] == [{}, {"n": 1}, {"n": 1}, {"n": 2}, {}]
    assert {change["context_error"] for change in changes} == {None}
    assert changes[0]["primary_key"] == "0"
    assert changes[0]["transaction_id"] == 701
    assert changes[0]["committed_at"] == "1970-01-01T00:00:00.701000Z"
    assert changes[0]["epoch"] == "0.0.1.shop_main.shop"


def test_places_grow_within_and_across_transactions_and_ids_with_them() -> None:
    connector = Connector()
    # The second began before the first, and its rows lie below the first's commit.
    connector.transaction(0, 0, 0, 40, at=1000)
    connector.transaction(0, 0, 90, at=900)
    connector.transaction(0, at=5000)
    changes = fold(as_records(connector.sent))
    assert places(changes) == sorted(set(places(changes)))
    ids = [change["id"] for change in changes]
    assert ids == sorted(set(ids))
    assert places(changes)[:2] == [(1000, 1000), (1000, 1001)]
    assert places(changes)[4] == (1090, 900)


def test_what_a_new_run_sends_again_has_the_same_ids_and_places() -> None:
    connector = Connector()
    connector.transaction(0, at=500)
    connector.transaction({"n": 1}, 5, 20, 20, 20, {"n": 2}, 25, 40, at=1000)
    connector.transaction({"n": 3}, 10, at=2000)
    first = as_records(connector.sent, run=b"1")
    known = {change["after"]["id"]: change for change in fold(first)}
    for stopped_at in range(1, len(first)):
        for resumed_at in range(min(stopped_at + 1, len(first))):
            # It goes on at a WAL record, not among the rows of one.
            if resumed_at > 0 and lsn_of(first[resumed_at]) == lsn_of(first[resumed_at - 1]):
                continue
            records = first[:stopped_at] + as_records(connector.sent, run=b"2")[resumed_at:]
            for change in fold(records):
                same = known[change["after"]["id"]]
                assert (change["id"], change["commit_lsn"], change["ordinal"]) == (
                    same["id"],
                    same["commit_lsn"],
                    same["ordinal"],
                )
                if change["context"] != same["context"]:
                    assert (change["context"], change["context_error"]) == (NO_CONTEXT, SENT_AGAIN)


def test_what_was_not_stored_before_the_connector_stopped_has_its_context() -> None:
    connector = Connector()
    connector.transaction({"n": 1}, 10, 20, {"n": 2}, 30, 40, 50, at=1000)
    first, again = as_records(connector.sent), as_records(connector.sent, run=b"2")
    changes = fold(first[:5] + again[1:])
    assert [(change["after"]["id"], change["context"]) for change in changes] == [
        (1, {"n": 1}),
        (2, {"n": 1}),
        (4, {"n": 2}),
        (1, {}),
        (2, {}),
        (4, {"n": 2}),
        (5, {"n": 2}),
        (6, {"n": 2}),
    ]


def test_reading_begins_again_at_the_first_record_of_the_last_transaction() -> None:
    connector = Connector()
    connector.transaction({"n": 1}, 10, at=1000)
    connector.transaction({"n": 2}, 10, at=2000)
    state, boundaries = START, []
    for record in as_records(connector.sent):
        state, _ = stitch_debezium(state, record)
        boundaries.append(committable_offset(state, record.offset + 1))
    assert boundaries == [0, 0, 2, 2]
    end = WalRecord(b"{}", b'{"status":"END","id":"702:1"}', [], 4)
    state, _ = stitch_debezium(state, end)
    assert committable_offset(state, 5) == 5


# What PartitionRouting 3.6.1 answers for 1, 3, 4 and 7 partitions.
@pytest.mark.parametrize(
    ("commit_ms", "answers"),
    [
        (1_700_000_000_123, [0, 2, 0, 0]),
        (1_700_000_000_124, [0, 0, 3, 0]),
        (1_795_873_347_886, [0, 0, 0, 2]),
        (5, [0, 2, 1, 5]),
        (2_147_483_647, [0, 0, 0, 0]),
        (9_223_372_036_854_775, [0, 2, 0, 5]),
    ],
)
def test_partition_is_the_one_that_debezium_routes_to(commit_ms: int, answers: list[int]) -> None:
    assert [partition_of(commit_ms, partitions) for partitions in (1, 3, 4, 7)] == answers


def test_transaction_in_another_partition_than_its_own_stops_the_stitcher() -> None:
    connector = Connector()
    connector.transaction({"n": 1}, 10, at=1000)
    message, row = as_records(connector.sent)
    begin = WalRecord(b"{}", b'{"status":"BEGIN","id":"701:1","ts_ms":701}', [], 0)
    own = Place(partition_of(701, 3), 3)
    other = Place(own.partition ^ 1, 3)
    for record in (begin, message, row):
        stitch_debezium(START, record, place=own)
        with pytest.raises(TransactionsTorn, match=f"belongs to {own.partition} of the 3"):
            stitch_debezium(START, record, place=other)


def test_rows_of_a_snapshot_may_be_in_any_partition_and_have_ids_of_their_own() -> None:
    connector = Connector()
    connector.transaction(0, at=1000)
    connector.sent[0][0]["op"] = "r"
    (record,) = as_records(connector.sent)
    changes = [stitch_debezium(START, record, place=Place(p, 3))[1] for p in range(3)]
    assert len({change["id"] for change in changes if change}) == 3
    assert {change["epoch"] for change in changes if change} == {
        "0.0.3.shop_main_snapshot_701.shop"
    }


def test_epoch_may_be_given_by_a_header() -> None:
    connector = Connector()
    connector.transaction(0, at=1000)
    (record,) = as_records(connector.sent)
    record = record._replace(headers=[*record.headers, ("epoch", b"9.1.1.slot.shop")])
    (change,) = fold([record])
    assert change["epoch"] == "9.1.1.slot.shop"


def test_rows_of_a_snapshot_are_an_epoch_of_their_own() -> None:
    connector = Connector()
    connector.transaction(0, at=1000)
    connector.transaction(0, 0, 0, at=2000)
    for event, _ in connector.sent[1:]:
        event["op"] = "r"
    connector.transaction(0, at=3000)
    changes = fold(as_records(connector.sent))
    assert len({change["id"] for change in changes}) == 5
    assert [change["epoch"] for change in changes[1:4]] == ["0.0.1.shop_main_snapshot_702.shop"] * 3
    assert changes[0]["epoch"] == changes[4]["epoch"]


@pytest.mark.parametrize("value", ["", "[]", "[1", '["x"]', '["-1"]', "7", 7])
def test_change_whose_sequence_cannot_be_read_is_a_dead_letter(value: object) -> None:
    connector = Connector()
    connector.transaction(0, at=1000)
    connector.sent[0][0]["source"]["sequence"] = value
    with pytest.raises(MalformedChange):
        fold(as_records(connector.sent))


def test_row_of_an_incremental_snapshot_is_a_dead_letter() -> None:
    connector = Connector()
    connector.transaction(0, at=1000)
    connector.sent[0][0]["source"] |= {"txId": None, "lsn": None}
    with pytest.raises(MalformedChange, match="incremental snapshot"):
        fold(as_records(connector.sent))


def test_heartbeats_and_tombstones_tell_nothing() -> None:
    for value in (None, b'{"ts_ms": 5}', b'{"status": "BEGIN", "id": "7:1"}'):
        assert stitch_debezium(START, WalRecord(b"{}", value, [], 0)) == (START, None)
    with pytest.raises(UnreadableRecord):
        stitch_debezium(START, WalRecord(b"{}", b'{"ts_ms": 5, "x": 1}', [], 0))


@given(st.lists(any_records, max_size=6))
def test_no_record_raises_anything_but_a_dead_letter(stream: list[WalRecord]) -> None:
    state = START
    for record in stream:
        try:
            state, _ = stitch_debezium(state, record)
        except UnreadableRecord:
            state = after_unreadable(state)
        except DeadLetter:
            pass
