"""What the source committed, counted from a Debezium connector's stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from runtime.range_reader import KafkaRecord
from schemas.topics import wal_headers
from sink_pg.connector_counts import ConnectorCounts, counts_for
from sink_pg.source_counts import (
    NotCountable,
    PartitionCounts,
    Position,
    SourceTransaction,
    TableCount,
)
from sink_pg.table_patterns import Table

TASK, LOG = Table("public", "task"), Table("public", "log")


def row(xid: int, lsn: int, table: str = "task", op: str = "c") -> dict[str, Any]:
    source = {
        "name": "shop.eu", "db": "app", "schema": "public", "table": table, "txId": xid,
        "lsn": lsn, "ts_us": xid * 1000, "sequence": json.dumps([str(xid * 100), str(lsn)]),
    }  # fmt: skip
    return {"op": op, "source": source, "before": None, "after": {}}


def begin(xid: int) -> dict[str, Any]:
    return {"status": "BEGIN", "id": f"{xid}:1", "event_count": None, "data_collections": None}


def end(xid: int, **tables: int) -> dict[str, Any]:
    counts = [
        {"data_collection": f"public.{table}", "event_count": count}
        for table, count in tables.items()
    ]
    # As 3.6.1.Final has it.
    of_message = (
        "io.debezium.connector.postgresql.LogicalDecodingMessageMonitor"
        "$LogicalDecodingMessageId@55d3a500"
    )
    counts.append({"data_collection": of_message, "event_count": 1})
    return {"status": "END", "id": f"{xid}:9", "event_count": 1, "data_collections": counts}


def wal_record(offset: int, event: dict[str, Any], headers: Any = ()) -> KafkaRecord:
    return KafkaRecord("d.wal", 0, offset, b"{}", json.dumps(event).encode(), tuple(headers))


def counted(
    events: Iterable[dict[str, Any]], is_from_beginning: bool = True
) -> tuple[list[SourceTransaction], list[SourceTransaction]]:
    """Return the transactions that were completed and those that never were."""
    counts = ConnectorCounts(is_from_beginning)
    taken = [counts.take(wal_record(offset, event)) for offset, event in enumerate(events)]
    return [each for each in taken if each is not None], counts.unfinished()


def test_end_says_how_many_changes_each_table_has() -> None:
    events = [begin(7), row(7, 701), row(7, 702, "log"), row(7, 703, op="d"), end(7, task=2, log=1)]
    (found,), lost = counted(events)
    assert found.tables == {TASK: TableCount(2, declared=2), LOG: TableCount(1, declared=1)}
    assert found.position == Position("0.0.1.shop_eu.app", 700)
    assert (found.xid, found.committed_at_us, found.database) == ("7", 7000, "app")
    assert found.is_of_connector
    assert not list(found.undeclared())
    assert not lost


def test_events_with_schemas_are_counted_alike() -> None:
    events = [{"schema": {}, "payload": each} for each in (row(7, 701), end(7, task=1))]
    (found,), _ = counted(events)
    assert found.tables[TASK] == TableCount(1, declared=1)


def test_rows_that_a_stopped_connector_sends_again_are_no_more_changes() -> None:
    events = [row(7, 701), row(7, 702), row(7, 701), row(7, 702), row(7, 703), end(7, task=3)]
    (found,), _ = counted(events)
    assert found.tables[TASK].changes == 3
    again = [*events, row(7, 703), end(7, task=3), row(8, 801), end(8, task=1)]
    assert [each.xid for each in counted(again)[0]] == ["7", "8"]


def test_fewer_rows_than_end_says_are_told() -> None:
    (found,), _ = counted([row(7, 701), end(7, task=3)])
    assert [(t, c.changes, c.declared) for t, c in found.undeclared()] == [(TASK, 1, 3)]


def test_transaction_without_end_is_lost_where_others_have_one() -> None:
    found, lost = counted([row(6, 601), end(6, task=1), row(7, 701), row(8, 801), end(8, task=1)])
    assert [each.xid for each in found] == ["6", "8"]
    assert [each.xid for each in lost] == ["7"]


def test_transaction_that_began_before_the_place_is_left_out() -> None:
    found, lost = counted([row(7, 703), end(7, task=3), row(8, 801), end(8, task=1)], False)
    assert [each.xid for each in found] == ["8"]
    assert not lost


def test_what_is_of_no_transaction_is_not_counted() -> None:
    snapshot = row(7, 1, op="r")
    incremental = row(7, 1)
    incremental["source"]["txId"] = None
    found, _ = counted([snapshot, incremental, {"ts_ms": 1}, end(5), row(8, 801), end(8, task=1)])
    assert [each.xid for each in found] == ["8"]


def test_stream_that_does_not_tell_where_transactions_end_cannot_be_counted() -> None:
    with pytest.raises(NotCountable, match=r"provide\.transaction\.metadata=true"):
        counted([row(7, 701), row(8, 801)])


@pytest.mark.parametrize("without", ["lsn", "name", "db"])
def test_stream_of_another_maker_cannot_be_counted(without: str) -> None:
    event = row(7, 701)
    event["source"]["sequence"] = None
    del event["source"][without]
    with pytest.raises(NotCountable, match="neither"):
        counted([event])


def test_headers_tell_whose_stream_it_is() -> None:
    of_producer = wal_record(0, begin(7), wal_headers(b"1.1.1.bemi.app", 700))
    assert isinstance(counts_for(of_producer, True, 1), PartitionCounts)
    assert isinstance(counts_for(wal_record(0, begin(7)), True, 1), ConnectorCounts)


def test_an_epoch_tells_the_number_of_partitions() -> None:
    counts = counts_for(wal_record(0, begin(7)), True, 3)
    for offset, event in enumerate([begin(7), row(7, 5)]):
        assert counts.take(wal_record(offset, event)) is None
    transaction = counts.take(wal_record(2, end(7, task=1)))
    assert transaction is not None
    assert transaction.position.epoch == "0.0.3.shop_eu.app"
