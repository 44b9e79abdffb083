"""The fold over one partition of `.wal`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from runtime.errors import DeadLetter
from schemas.change import Change
from schemas.change_id import Epoch, change_uuid, transaction_seed
from schemas.envelope import Op
from schemas.topics import HEARTBEAT_PREFIX
from stitcher_stream.contexts import ContextRules
from stitcher_stream.errors import MalformedChange, UnreadableRecord
from stitcher_stream.stitch import (
    BEGIN_MISSING,
    RECORD_UNREADABLE,
    START,
    State,
    WalRecord,
    after_unreadable,
    committable_offset,
    stitch,
)
from tests.fixtures.wal_records import EPOCH, RawRecord, WalTransaction, usual_transaction


def at_offsets(records: Iterable[RawRecord], first_offset: int = 0) -> list[WalRecord]:
    return [
        WalRecord(record.key, record.value, record.headers, offset)
        for offset, record in enumerate(records, first_offset)
    ]


def fold(records: Iterable[RawRecord], state: State = START) -> list[Change]:
    changes = []
    for record in at_offsets(records):
        try:
            state, change = stitch(state, record)
        except UnreadableRecord:
            state, change = after_unreadable(state), None
        except DeadLetter:
            change = None
        if change is not None:
            changes.append(change)
    return changes


def transaction(xid: int = 7) -> WalTransaction:
    return WalTransaction(xid=xid, commit_lsn=xid * 1000).begin()


def contexts(records: Iterable[RawRecord]) -> list[Any]:
    return [dict(change["context"]) for change in fold(records)]


def rewritten(record: RawRecord, **fields: Any) -> RawRecord:
    """Return the record with these fields of its value set; None removes one."""
    value = json.loads(record.value or b"{}")
    value |= fields
    value = {name: field for name, field in value.items() if field is not ...}
    return RawRecord(record.key, json.dumps(value).encode(), record.headers)


def test_change_has_the_nearest_context_before_it_in_its_transaction() -> None:
    wal = transaction().change({"id": 1}).context({"n": 1}).change({"id": 2})
    wal.context({"n": 2}).change({"id": 3}).change({"id": 4}).end()
    assert contexts(wal.records) == [{}, {"n": 1}, {"n": 2}, {"n": 2}]


def test_context_does_not_reach_the_next_transaction() -> None:
    first = transaction(1).context({"n": 1}).change({"id": 1}).end()
    second = transaction(2).change({"id": 2}).end()
    assert contexts(first.records + second.records) == [{"n": 1}, {}]


def test_begin_drops_a_transaction_left_open_and_its_context() -> None:
    torn = transaction(1).context({"n": 1}).change({"id": 1})
    again = transaction(1).change({"id": 1}).end()
    assert contexts(torn.records + again.records) == [{"n": 1}, {}]


@pytest.mark.parametrize("prefix", [HEARTBEAT_PREFIX, "someone_else", "_bemi2", ""])
def test_message_of_another_prefix_changes_nothing(prefix: str) -> None:
    wal = transaction().context({"n": 1}).context({"n": 2}, prefix=prefix).change({"id": 1}).end()
    assert contexts(wal.records) == [{"n": 1}]


def test_message_outside_a_transaction_changes_nothing() -> None:
    wal = transaction().context({"n": 1}).context({"n": 2}).change({"id": 1}).end()
    source = wal.source() | {"txId": None}
    wal.records[2] = rewritten(wal.records[2], source=source)
    assert contexts(wal.records) == [{"n": 1}]


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[1]", b'"text"', b"\xff", b"{} {}"])
def test_unusable_context_ends_the_one_before_it_and_says_why(content: bytes) -> None:
    wal = transaction().context({"n": 1}).change({"id": 1}).context(content)
    wal.change({"id": 2}).context({"n": 3}).change({"id": 3}).end()
    first, second, third = fold(wal.records)
    assert (first["context"], first["context_error"]) == ({"n": 1}, None)
    assert second["context"] == {}
    assert second["context_error"]
    assert (third["context"], third["context_error"]) == ({"n": 3}, None)


def test_oversized_context_is_left_out_with_a_note() -> None:
    wal = transaction().context({"sql": "x" * 200}).change({"id": 1}).end()
    state, change = START, None
    for record in at_offsets(wal.records[:3]):
        state, change = stitch(state, record, ContextRules(max_bytes=100))
    assert change is not None
    assert change["context"] == {}
    assert "larger than the 100 allowed" in (change["context_error"] or "")


@pytest.mark.parametrize(
    ("op", "operation"),
    [
        (Op.CREATE, "CREATE"),
        (Op.READ, "CREATE"),
        (Op.UPDATE, "UPDATE"),
        (Op.DELETE, "DELETE"),
        (Op.TRUNCATE, "TRUNCATE"),
    ],
)
def test_operation_is_told_in_the_words_of_the_table(op: Op, operation: str) -> None:
    (change,) = fold(transaction().change({"id": 1}, op=op).records)
    assert change["operation"] == operation


def test_change_tells_where_and_when_it_was_made() -> None:
    wal = transaction(7).context({"n": 1}).change({"id": 5, "title": "a"}).end()
    (change,) = fold(wal.records)
    seed = transaction_seed(EPOCH.source_id, 7000, wal.source()["ts_us"])
    assert change == {
        "id": str(change_uuid(seed, 1)),
        "database": "shop",
        "schema": "public",
        "table": "task",
        "primary_key": "5",
        "operation": "CREATE",
        "before": {},
        "after": {"id": 5, "title": "a"},
        "context": {"n": 1},
        "committed_at": "2025-11-24T16:00:00.007000Z",
        "queued_at": "2025-11-24T16:00:05.000123Z",
        "transaction_id": 7,
        "position": 6999,
        "commit_lsn": 7000,
        "ordinal": 1,
        "epoch": str(EPOCH),
        "context_error": None,
    }
    assert list(change) == list(Change.__annotations__)


def test_composite_key_keeps_the_order_of_its_columns() -> None:
    wal = transaction().change({"id": 1}, key={"region": "a,b", "number": 7})
    assert fold(wal.records)[0]["primary_key"] == "a\\,b,7"


def test_truncate_and_table_without_key_have_no_primary_key() -> None:
    wal = transaction().change(None, op=Op.TRUNCATE)
    (change,) = fold(wal.records)
    assert change["primary_key"] is None
    assert change["before"] == change["after"] == {}


def test_transaction_without_its_begin_says_that_its_context_is_unknown() -> None:
    wal = transaction().context({"n": 1}).change({"id": 1}).context({"n": 2}).change({"id": 2})
    first, second = fold(wal.end().records[2:])
    assert (first["context"], first["context_error"]) == ({}, BEGIN_MISSING)
    assert (second["context"], second["context_error"]) == ({"n": 2}, None)


def test_change_of_another_transaction_does_not_take_the_open_ones_context() -> None:
    stale = transaction(1).context({"n": 1}).change({"id": 1})
    headless = transaction(2).change({"id": 2}).records[1:]
    assert contexts(stale.records + headless) == [{"n": 1}, {}]


def test_same_commit_lsn_in_another_epoch_is_another_transaction() -> None:
    other = WalTransaction(7, 7000, epoch=Epoch(1, 2, 2, "bemi", "shop")).begin()
    stale = transaction(7).context({"n": 1}).change({"id": 1})
    assert contexts(stale.records + other.change({"id": 1}).records[1:]) == [{"n": 1}, {}]


def test_unreadable_record_ends_the_context_because_it_may_have_been_one() -> None:
    wal = transaction().context({"n": 1}).raw(b"not json").change({"id": 1}).end()
    (change,) = fold(wal.records)
    assert (change["context"], change["context_error"]) == ({}, RECORD_UNREADABLE)


def test_malformed_change_leaves_the_context_of_the_others_alone() -> None:
    wal = transaction().context({"n": 1}).change({"id": 1}).change({"id": 2}).end()
    wal.records[2] = rewritten(wal.records[2], source=...)
    assert contexts(wal.records) == [{"n": 1}]


@pytest.mark.parametrize(
    "field", ["db", "schema", "table", "ts_us", "txId", "lsn"], ids=lambda field: str(field)
)
@pytest.mark.parametrize("value", [..., None, [], True, -(10**30)], ids=lambda value: repr(value))
def test_change_without_a_usable_source_is_a_dead_letter(field: str, value: object) -> None:
    wal = transaction().change({"id": 1})
    source = {**wal.source(), "table": "task", field: value}
    source = {name: known for name, known in source.items() if known is not ...}
    begin, change = at_offsets([wal.records[0], rewritten(wal.records[1], source=source)])
    with pytest.raises(MalformedChange):
        stitch(stitch(START, begin)[0], change)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("epoch", b"1.1.1.s.d"), ("commit_lsn", b"1")],
        [("epoch", None), ("commit_lsn", b"1"), ("ordinal", b"1")],
        [("epoch", b"no epoch"), ("commit_lsn", b"1"), ("ordinal", b"1")],
        [("epoch", b"\xff.1.1.s.d"), ("commit_lsn", b"1"), ("ordinal", b"1")],
        [("epoch", b"1.1.1.s.d"), ("commit_lsn", b"-1"), ("ordinal", b"1")],
        [("epoch", b"1.1.1.s.d"), ("commit_lsn", b"1"), ("ordinal", b"9" * 5000)],
        [("epoch", b"1.1.1.s.d"), ("commit_lsn", b"1"), ("ordinal", None)],
    ],
)
def test_change_without_usable_headers_is_a_dead_letter(headers: Any) -> None:
    record = transaction().change({"id": 1}).records[1]
    with pytest.raises(MalformedChange):
        stitch(START, WalRecord(record.key, record.value, headers, 0))


def test_tombstone_tells_nothing() -> None:
    assert stitch(START, WalRecord(b"{}", None, [], 0)) == (START, None)


def test_snapshot_rows_of_one_transaction_may_have_times_of_their_own() -> None:
    wal = transaction().change({"id": 1}, op=Op.READ).change({"id": 2}, op=Op.READ)
    source = wal.source() | {"ts_us": 1, "table": "task"}
    wal.records[2] = rewritten(wal.records[2], source=source)
    first, second = fold(wal.records)
    assert first["committed_at"] == "2025-11-24T16:00:00.007000Z"
    assert second["committed_at"] == "1970-01-01T00:00:00.000001Z"


def test_reading_begins_again_at_the_open_transactions_begin() -> None:
    state = START
    boundaries = []
    records = usual_transaction(1, rows=2).records + transaction(2).change({"id": 1}).records
    for record in at_offsets(records, first_offset=100):
        state, _ = stitch(state, record)
        boundaries.append(committable_offset(state, record.offset + 1))
    # BEGIN, context, two rows and END from 100 on, then BEGIN and a row from 105 on.
    assert boundaries == [100, 100, 100, 100, 105, 105, 105]


def test_context_is_written_once_for_the_whole_transaction() -> None:
    first, second = fold(usual_transaction(1, rows=2).records)
    assert first["context"] is second["context"]
