"""`bemi-stitcher restitch` on a real broker: the same changes again, in their contexts."""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka import TopicPartition

from tests.fixtures.topics import read_topic
from tests.fixtures.wal_records import usual_transaction
from tests.integration.stitcher_stream.wal_topic import PARTITIONS, WalTopic

PATIENCE_SECONDS = 30.0
RECORDS = 6
"""Of a usual transaction: BEGIN, a context, three rows, END."""


def restitch(wal: WalTopic, *options: str, code: int = 0, **environ: str) -> str:
    """Run the command to its end and return what it said."""
    argv = ["bemi-stitcher", "restitch", *options]
    command = wal.start_stage("restitch", argv, wal.environ | environ)
    assert command.wait(PATIENCE_SECONDS) == code, command.output()
    return command.output()


def changes(wal: WalTopic, topic: str | None = None) -> list[tuple[int, dict[str, Any]]]:
    """Return partition and change of each record."""
    records = read_topic(wal.bootstrap_servers, topic or wal.topics.changes)
    return [(record.partition, json.loads(record.value or b"")) for record in records]


def test_changes_are_stitched_again_as_they_were(wal: WalTopic) -> None:
    wal.write(usual_transaction(n) for n in range(1, 21))
    wal.start_ready()
    wal.wait_for_changes(60)
    wal.wait_for_commit()
    before, committed = changes(wal), wal.committed()
    output = restitch(wal)
    assert "120 records read, 60 changes written" in output
    assert "`bemi-sink replay --from-offset 0:30 --from-offset 1:30`" in output
    again = changes(wal)
    for partition in range(PARTITIONS):
        first = [change for p, change in before if p == partition]
        assert [change for p, change in again if p == partition] == first + first
    assert wal.committed() == committed


def test_reading_begins_where_the_transaction_at_the_place_begins(wal: WalTopic) -> None:
    wal.write(usual_transaction(n * PARTITIONS) for n in range(1, 5))
    inside = RECORDS + 4
    restitch(
        wal, "--from-offset", f"0:{inside}", "--to", f"0:{3 * RECORDS}", "--into-topic", again(wal)
    )
    found = changes(wal, again(wal))
    assert [change["transaction_id"] for _, change in found] == [4, 4, 4, 6, 6, 6]
    assert all(change["context"] == {"request": change["transaction_id"]} for _, change in found)
    assert wal.topics.changes not in wal.admin.list_topics(timeout=10.0).topics


def test_beginning_is_found_far_before_the_place(wal: WalTopic) -> None:
    wal.write([usual_transaction(PARTITIONS), usual_transaction(2 * PARTITIONS, rows=5_000)])
    last = RECORDS + 2 + 5_000 - 1
    output = restitch(wal, "--from-offset", f"0:{last}", "--into-topic", again(wal))
    assert "5000 changes written" in output
    assert all(change["context"] == {"request": 4} for _, change in changes(wal, again(wal)))


def test_rules_that_are_set_now_decide_what_comes_out(wal: WalTopic) -> None:
    wal.write([usual_transaction(1)])
    output = restitch(wal, "--into-topic", again(wal), BEMI_STITCHER_IGNORE_TABLES="public.task")
    assert "0 changes written" in output
    assert "3 left out by rules" in output


def test_records_that_are_not_there_any_more_are_named(wal: WalTopic) -> None:
    wal.write(usual_transaction(n * PARTITIONS) for n in range(1, 4))
    cut = TopicPartition(wal.topics.wal, 0, RECORDS + 3)
    wal.admin.delete_records([cut])[cut].result(timeout=PATIENCE_SECONDS)
    output = restitch(wal, "--from-offset", "0:2", code=2)
    assert f"retention removed everything before {RECORDS + 3}" in output
    restitch(wal, "--from-offset", f"0:{RECORDS + 4}", "--into-topic", again(wal))
    errors = [(c["transaction_id"], c["context_error"]) for _, c in changes(wal, again(wal))]
    assert [xid for xid, _ in errors] == [4, 4, 6, 6, 6]
    assert all((error is not None) is (xid == 4) for xid, error in errors)


def test_topic_with_too_few_partitions_is_refused(wal: WalTopic) -> None:
    wal.write([usual_transaction(1)])
    wal.make(again(wal), partitions=1)
    assert "has 1 partitions" in restitch(wal, "--into-topic", again(wal), code=2)
    assert "a topic of the pipeline" in restitch(wal, "--into-topic", wal.topics.wal, code=2)


def again(wal: WalTopic) -> str:
    """Return the name of another topic."""
    return f"{wal.prefix}.again"
