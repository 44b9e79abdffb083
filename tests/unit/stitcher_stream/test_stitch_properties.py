"""What holds of the fold for every stream and every kind of rubbish."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import DeadLetter
from schemas.change import Change
from schemas.change_id import change_uuid, transaction_seed
from schemas.topics import wal_headers
from stitcher_stream.change_records import change_key, encode_change
from stitcher_stream.errors import UnreadableRecord
from stitcher_stream.stitch import (
    START,
    State,
    WalRecord,
    _id,
    _shared,
    after_unreadable,
    committable_offset,
    stitch,
)
from tests.fixtures.wal_records import EPOCH, WalTransaction

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
rows = st.dictionaries(st.text(min_size=1), json_values, max_size=5)
headers = st.lists(
    st.tuples(
        st.sampled_from(["epoch", "commit_lsn", "ordinal", "other"]),
        st.none() | st.binary(max_size=30) | st.integers(0, 2**70).map(lambda n: b"%d" % n),
    ),
    max_size=5,
) | st.tuples(st.integers(0, 2**64), st.integers(0, 2**40)).map(
    lambda pair: list(wal_headers(str(EPOCH).encode(), *pair))
)
near_events = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["c", "r", "u", "d", "t", "m", "x"]) | json_values,
        "status": st.sampled_from(["BEGIN", "END"]) | json_values,
        "before": json_values,
        "after": json_values,
        "ts_us": json_values | st.integers(0, 2**60),
        "source": json_values
        | st.fixed_dictionaries(
            {},
            optional={
                "db": json_values | st.text(),
                "schema": json_values | st.text(),
                "table": json_values | st.text(),
                "ts_us": json_values | st.integers(0, 2**60),
                "txId": json_values | st.integers(0, 2**32),
                "lsn": json_values | st.integers(0, 2**60),
            },
        ),
        "message": json_values
        | st.fixed_dictionaries(
            {"prefix": st.just("_bemi") | json_values},
            optional={
                "content": json_values
                | st.binary().map(lambda raw: base64.b64encode(raw).decode())
                | json_values.map(lambda v: base64.b64encode(json.dumps(v).encode()).decode())
            },
        ),
    },
)
records = st.builds(
    WalRecord,
    key=st.none() | st.binary(max_size=40) | rows.map(lambda row: json.dumps(row).encode()),
    value=st.none() | st.binary() | near_events.map(lambda event: json.dumps(event).encode()),
    headers=headers,
    offset=st.integers(0, 2**50),
)


@given(st.lists(records, max_size=8))
def test_no_record_raises_anything_but_a_dead_letter(stream: list[WalRecord]) -> None:
    state = START
    for record in stream:
        try:
            state, change = stitch(state, record)
            if change is not None:
                change_key(change)
                json.loads(encode_change(change))
        except UnreadableRecord:
            state = after_unreadable(state)
        except DeadLetter:
            pass


# A transaction as statements: each with a context, none, or a broken one, and its rows.
statements = st.lists(
    st.tuples(st.sampled_from(["context", "none", "broken", "foreign"]), st.integers(0, 3)),
    max_size=5,
)
transactions = st.lists(statements, max_size=5)


def written(plan: list[list[tuple[str, int]]]) -> tuple[list[WalRecord], list[object]]:
    """Return the records of the plan and the context each of its changes must have."""
    wal, expected = [], []
    count = 0
    for number, planned in enumerate(plan, 1):
        transaction = WalTransaction(xid=number, commit_lsn=number * 1000).begin()
        in_force: object = {}
        for kind, row_count in planned:
            count += 1
            if kind == "context":
                in_force = {"statement": count}
                transaction.context(in_force)
            elif kind == "broken":
                in_force = {}
                transaction.context(b"{broken")
            elif kind == "foreign":
                transaction.context({"statement": -1}, prefix="other")
            for row in range(row_count):
                transaction.change({"id": count * 10 + row})
                expected.append(in_force)
        wal.extend(transaction.end().records)
    return [
        WalRecord(record.key, record.value, record.headers, offset)
        for offset, record in enumerate(wal)
    ], expected


def run(wal: list[WalRecord], state: State = START) -> tuple[list[Change], State]:
    changes = []
    for record in wal:
        state, change = stitch(state, record)
        if change is not None:
            changes.append(change)
    return changes, state


@given(transactions)
def test_every_change_comes_once_and_with_its_statements_context(
    plan: list[list[tuple[str, int]]],
) -> None:
    wal, expected = written(plan)
    changes, _ = run(wal)
    assert [change["context"] for change in changes] == expected
    places = [(change["commit_lsn"], change["ordinal"]) for change in changes]
    assert places == sorted(set(places))
    assert len({change["id"] for change in changes}) == len(changes)


@given(transactions, st.data())
def test_stopping_anywhere_and_reading_again_from_the_boundary_repeats_the_same_changes(
    plan: list[list[tuple[str, int]]], data: st.DataObject
) -> None:
    wal, _ = written(plan)
    stop = data.draw(st.integers(0, len(wal)))
    whole, _ = run(wal)
    before, state = run(wal[:stop])
    boundary = committable_offset(state, stop)
    assert boundary <= stop
    after, _ = run(wal[boundary:])
    seen = {(change["commit_lsn"], change["ordinal"]) for change in before}
    fresh = [change for change in after if (change["commit_lsn"], change["ordinal"]) not in seen]
    assert before + fresh == whole


@given(rows, rows)
def test_values_survive_exactly(before: dict[str, Any], after: dict[str, Any]) -> None:
    wal = WalTransaction(1, 1000).begin().context(after).change(after, before=before)
    changes, _ = run([WalRecord(r.key, r.value, r.headers, i) for i, r in enumerate(wal.records)])
    decoded = json.loads(encode_change(changes[0]))
    # The text is compared too: 1 and 1.0 are equal, but not the same.
    for name, sent in (("before", before), ("after", after), ("context", after)):
        assert json.dumps(decoded[name]) == json.dumps(sent)


@given(st.integers(0, 2**63), st.integers(0, 2**50), st.integers(0, 2**63 - 1))
def test_id_is_that_of_the_contract(commit_lsn: int, time_us: int, ordinal: int) -> None:
    shared = _shared("1.shop", commit_lsn, time_us)
    expected = change_uuid(transaction_seed("1.shop", commit_lsn, time_us), ordinal)
    assert _id(shared, ordinal) == str(expected)
