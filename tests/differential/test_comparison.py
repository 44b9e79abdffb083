"""The comparison shows every difference, once, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.differential.comparison import ABSENT, Difference, compare_topics
from tests.differential.kept import RULES
from tests.differential.records import Record
from tests.differential.rules import unexplained
from tests.differential.script import StatementLog

PREFIXES = ("run1d", "run1o")


def event(lsn: int, **fields: Any) -> dict[str, Any]:
    """Return an event; `source.` fields are given as `source_name`."""
    source = {"version": "1", "snapshot": "false", "lsn": lsn, "txId": 7, "ts_ms": 1}
    source |= {name[7:]: value for name, value in fields.items() if name.startswith("source_")}
    plain = {name: value for name, value in fields.items() if not name.startswith("source_")}
    return {"before": None, "after": None, "source": source, "op": "c", "ts_ms": lsn, **plain}


def compared(
    theirs: list[Any], ours: list[Any], topic: str = "public.t", headers: Any = ()
) -> list[Difference]:
    """Compare two topics of these values; a value of bytes or None is taken as it is."""
    sides = []
    for prefix, values in zip(PREFIXES, (theirs, ours), strict=True):
        name = f"{prefix}.{topic}"
        records = []
        for offset, value in enumerate(values):
            content = json.dumps(value).replace("PREFIX", prefix).encode() if value else None
            records.append(Record(name, 0, offset, b'{"id":1}', content, tuple(headers)))
        sides.append({name: records})
    return list(compare_topics(sides[0], sides[1], PREFIXES))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"after": {"v": 1}}, {"after": {"v": 1}}),
        ({"ts_ms": 1}, {"ts_ms": 2}),
        ({"source_version": "3.6.1.Final"}, {"source_version": "0.1"}),
        ({"source_name": "PREFIX"}, {"source_name": "PREFIX"}),
        ({"op": "m", "source_txId": None, "source_ts_ms": 1}, {"op": "m", "source_txId": None}),
        (
            {"op": "r", "source_snapshot": "true", "source_lsn": 4, "source_txId": 5},
            {"op": "r", "source_snapshot": "true", "source_lsn": 9, "source_txId": 8},
        ),
    ],
    ids=["equal", "clock", "version", "prefix", "message", "snapshot"],
)
def test_what_no_two_runs_agree_on_is_not_shown(theirs: Any, ours: Any) -> None:
    assert compared([event(1, **theirs)], [event(1, **ours)]) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "path"),
    [
        ({"v": 1}, {"v": 2}, "value.after.v"),
        ({"v": 1}, {"v": 1.0}, "value.after.v"),
        ({"v": 1}, {"v": True}, "value.after.v"),
        ({"v": 2.840659960001}, {"v": 2.84066}, "value.after.v"),
        ({"v": 1e300}, {"v": 2e300}, "value.after.v"),
        ({"v": None}, {}, "value.after.v"),
        ({}, {"v": None}, "value.after.v"),
        ({"v": [1, 2]}, {"v": [1, 3]}, "value.after.v[1]"),
        ({"v": [1]}, {"v": [1, 2]}, "value.after.v[1]"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "value.after (order)"),
    ],
)
def test_a_difference_is_shown_by_its_path(theirs: Any, ours: Any, path: str) -> None:
    found = compared([event(1, after=theirs)], [event(1, after=ours)])
    assert [difference.path for difference in found] == [path]


def test_the_time_of_a_transaction_is_compared() -> None:
    found = compared([event(1, source_ts_ms=1)], [event(1, source_ts_ms=2)])
    assert [difference.path for difference in found] == ["value.source.ts_ms"]


def test_a_time_that_is_missing_is_shown() -> None:
    theirs = event(1)
    ours = {name: value for name, value in theirs.items() if name != "ts_ms"}
    assert [d.ours for d in compared([theirs], [ours])] == [ABSENT]


def test_a_missing_record_is_shown_once_and_the_rest_is_still_compared() -> None:
    theirs = [event(1), event(2), event(3, after={"v": 1})]
    ours = [event(1), event(3, after={"v": 2})]
    found = compared(theirs, ours)
    assert [(d.offset, d.path) for d in found] == [(1, "record"), (2, "value.after.v")]


def test_a_missing_tombstone_is_shown() -> None:
    assert [d.path for d in compared([event(1, op="d"), None], [event(1, op="d")])] == ["record"]


def test_the_fields_of_a_schema_are_named() -> None:
    def with_schema(kind: str) -> dict[str, Any]:
        schema = {"type": "struct", "fields": [{"type": kind, "field": "v"}]}
        return {"schema": schema, "payload": event(1)}

    found = compared([with_schema("int32")], [with_schema("int64")])
    assert [d.path for d in found] == ["value.schema.fields.v.type"]


def end(*names: str) -> dict[str, Any]:
    """Return the end of a transaction with one event of each collection."""
    counts = [{"data_collection": name, "event_count": 1} for name in names]
    return {"status": "END", "id": "7:1", "data_collections": counts, "ts_ms": 1}


def test_the_order_of_a_transactions_counts_is_not_compared() -> None:
    ends = end("public.a", "public.b"), end("public.b", "public.a")
    assert compared([ends[0]], [ends[1]], topic="transaction") == []


def test_the_messages_of_a_transaction_are_counted_together() -> None:
    theirs = end("io.debezium.Id@4dc3bc0c", "public.t", "io.debezium.Id@5dc3bc0c")
    ours = end("public.t", "LOGICAL_DECODING_MESSAGE")
    found = compared([theirs], [ours], topic="transaction")
    assert [(d.path.rpartition(".")[2], d.debezium, d.ours) for d in found] == [
        ("name", "io.debezium.Id", "LOGICAL_DECODING_MESSAGE"),
        ("count", 2, 1),
    ]
    assert [d.path for d in unexplained(found, RULES)] == [found[1].path]


@pytest.mark.parametrize(
    ("theirs", "ours", "is_explained"),
    [
        (2.84065996e15, 2.84066e15, True),
        (2.840659960001, 2.84066, False),
        (1e300, 2e300, False),
        (["[Ljava.lang.String;@4dc3bc0c"], [None], True),
        (["[Ljava.lang.String;@4dc3bc0c"], ["{a,b}"], False),
        ([-703383], [-735160], True),
        ([-703383], [-703384], False),
        (-63517953600000, -63517780800000, False),
    ],
)
def test_a_rule_explains_one_difference_and_no_other_like_it(
    theirs: Any, ours: Any, is_explained: bool
) -> None:
    found = compared([event(1, after={"v": theirs})], [event(1, after={"v": ours})])
    assert len(found) == 1
    assert (unexplained(found, RULES) == []) is is_explained


def test_an_lsn_leads_to_the_statement_that_wrote_there() -> None:
    log = StatementLog()
    log.add("first", 100)
    log.add("second", 200)
    assert [log.at(lsn) for lsn in (50, 99, 100, 150, 300)] == [
        *("first", "first", "second", "second", "second")
    ]
