"""What a real Debezium connector writes, stitched and stored, beside what the producer writes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import javaproperties

from deploy.local.debezium import LocalDebezium
from runtime.service import EXIT_PERSON_MUST_ACT
from schemas.change import join_primary_key
from stitcher_stream.debezium_stream import partition_of
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually
from tests.integration.stitcher_stream.wal_topic import PARTITIONS, WalTopic

CONFIGURATION = Path(__file__).parents[3] / "deploy" / "debezium" / "connector.properties"
# What a connector does not tell, and what says when an event was made.
DIFFERENT = ("id", "commit_lsn", "ordinal", "epoch", "queued_at", "created_at")

COMPLETE, GAP, NOT_COMPARED = 0, 1, 2

COMMITTED_MS = 1_700_000_000_123

SCHEMAS = ("key.converter.schemas.enable", "value.converter.schemas.enable")
TABLES = """
CREATE TABLE task (id int PRIMARY KEY, title text, price numeric, at timestamptz, more jsonb);
CREATE TABLE pair (name text, number int, long text, PRIMARY KEY (name, number));
ALTER TABLE task REPLICA IDENTITY FULL;
ALTER TABLE pair REPLICA IDENTITY FULL
"""
SQL = (
    "INSERT INTO task SELECT n, 'task ' || n, n * 1.10, now(), '{\"a\": [1]}'"
    " FROM generate_series(1, 300) n",
    "UPDATE task SET title = 'done' WHERE id % 3 = 0",
    "SELECT pg_logical_emit_message(true, '_bemi', '{\"second\": true}')",
    "DELETE FROM task WHERE id < 10",
    "INSERT INTO pair VALUES ('a,b', 1, repeat('x', 5000)), ('c', 2, NULL)",
    "UPDATE pair SET long = 'y'",
    "UPDATE pair SET number = number + 10; UPDATE task SET title = NULL WHERE id = 20;"
    "SELECT pg_logical_emit_message(true, '_bemi', '{\"third\": 3}');"
    "DELETE FROM pair WHERE number = 12",
    "TRUNCATE pair",
)


def contexts(number: int) -> str:
    return f"SELECT pg_logical_emit_message(true, '_bemi', '{{\"request\": {number}}}')"


@contextmanager
def connector(
    worker: LocalDebezium, environ: dict[str, str], changed: dict[str, str]
) -> Iterator[None]:
    """Run the connector that deploy/ describes, with what the environment says."""
    properties = {
        name: re.sub(r"\$\{env:(\w+)\}", lambda found: environ[found[1]], value)
        for name, value in javaproperties.loads(CONFIGURATION.read_text()).items()
    } | changed
    worker.add(properties)
    try:
        yield
    finally:
        worker.remove(properties["name"])


def test_connectors_stream_fills_the_table_as_the_producers_stream_does(
    pipeline: Pipeline, debezium_worker: LocalDebezium
) -> None:
    environ, database = dict(pipeline.environ), pipeline.database
    servers, own = environ["BEMI_KAFKA_BOOTSTRAP_SERVERS"], environ["BEMI_TOPIC_PREFIX"]
    # The second in one partition, and without what verify needs.
    plain, with_schemas = f"{own}d", f"{own}s"
    with ExitStack() as running, closing(database.connect()) as connection:
        connection.execute(TABLES)
        connection.execute("CREATE PUBLICATION bemi_debezium FOR ALL TABLES")
        pipeline.start()
        for prefix in (plain, with_schemas):
            changed = {"name": prefix, "slot.name": f"{database.name}_{prefix[-1]}"}
            if prefix == with_schemas:
                changed |= dict.fromkeys(SCHEMAS, "true")
                changed["provide.transaction.metadata"] = "false"
            partitions = 3 if prefix == plain else 1
            at = environ | {
                "BEMI_TOPIC_PREFIX": prefix,
                "BEMI_PRODUCER_WAL_PARTITIONS": str(partitions),
            }
            running.enter_context(connector(debezium_worker, at, changed))
        for number, statement in enumerate(SQL):
            with connection.transaction():
                connection.execute(contexts(number))
                connection.execute(statement.encode())
        connection.execute("INSERT INTO task (id) VALUES (1000)")
        for prefix in (plain, with_schemas):
            pipeline.environ = environ | {
                "BEMI_TOPIC_PREFIX": prefix,
                "BEMI_STITCHER_WAL_FROM": "debezium",
            }
            pipeline.start("stitcher")
            pipeline.environ = environ | {"BEMI_TOPIC_PREFIX": prefix}
            pipeline.start("sink")
        expected = eventually(lambda: complete(stored(pipeline, database.name)), 60)
        found = eventually(lambda: complete(stored(pipeline, plain)), 60)
        # A change has the same id in both streams of connectors, so it is stored once.
        same = eventually(lambda: complete(changes_in(servers, with_schemas)), 60)
    assert comparable(found) == comparable(expected)
    places = [(row["commit_lsn"], row["ordinal"]) for row in found]
    assert places == sorted(set(places))
    assert [change["id"] for change in same] == [str(row["id"]) for row in found]
    assert_no_transaction_is_torn(servers, f"{plain}.wal")
    for prefix in (plain, with_schemas):
        assert read_topic(servers, f"{prefix}.dead-letters") == []
    assert expected[-1]["context"] == {}
    assert {change["context"].get("request") for change in expected[:-1]} == {
        0,
        1,
        None,
        3,
        4,
        5,
        6,
        7,
    }
    # The stitcher commits what it has done a moment later.
    eventually(lambda: verify(pipeline, environ, plain, ", complete", COMPLETE), 30)
    no_ends = "set provide.transaction.metadata=true"
    eventually(lambda: verify(pipeline, environ, with_schemas, no_ends, NOT_COMPARED), 30)
    assert stored(pipeline, with_schemas) == []
    with closing(database.connect()) as connection:
        connection.execute(
            "DELETE FROM changes WHERE split_part(epoch, '.', 4) = %s AND operation = 'DELETE'"
            " AND \"table\" = 'task' AND primary_key < '4'",
            [plain],
        )
    verify(pipeline, environ, plain, "public.task: 9 expected, 9 in .changes, 6 stored", GAP)


def assert_no_transaction_is_torn(servers: str, wal: str) -> None:
    """Fail unless each transaction stands whole, BEGIN and END included, in one partition."""
    partitions: dict[int, set[int]] = {}
    parts: dict[int, int] = {}
    for record in read_topic(servers, wal):
        event = json.loads(record.value or b"{}")
        xid = event["source"]["txId"] if "source" in event else int(event["id"].split(":")[0])
        partitions.setdefault(xid, set()).add(record.partition)
        parts[xid] = parts.get(xid, 0) + 1
    assert all(len(found) == 1 for found in partitions.values())
    # BEGIN, a message, a row and END at the least; the last has no message, others have no row.
    whole = [xid for xid, count in parts.items() if count >= 4]
    assert len(whole) == len(SQL)
    assert len({min(partitions[xid]) for xid in whole}) > 1


def verify(pipeline: Pipeline, environ: dict[str, str], prefix: str, words: str, code: int) -> None:
    """Run the command to its end, and see what it says and its exit code."""
    argv = [sys.executable, "-m", "sink_pg", "verify"]
    command = pipeline.start_stage("verify", argv, environ | {"BEMI_TOPIC_PREFIX": prefix})
    assert command.wait(60) == code, command.output()
    assert words in command.output()


def stored(pipeline: Pipeline, name: str) -> list[dict[str, Any]]:
    """Return the rows of one stream, whose epoch names its slot or connector."""
    return [row for row in pipeline.changes() if row["epoch"].split(".")[3] == name]


def changes_in(servers: str, prefix: str) -> list[dict[str, Any]]:
    """Return the changes of a stream in the order of the log."""
    return [json.loads(record.value or b"") for record in read_topic(servers, f"{prefix}.changes")]


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows without what differs, and an UPDATE of a key as a connector tells it."""
    told: list[dict[str, Any]] = []
    for row in rows:
        left = {name: value for name, value in row.items() if name not in DIFFERENT}
        if row["operation"] == "UPDATE" and key_of(row["before"]) != key_of(row["after"]):
            told.append(
                left | {"operation": "DELETE", "primary_key": key_of(row["before"]), "after": {}}
            )
            left |= {"operation": "CREATE", "before": {}}
        told.append(left)
    return told


def key_of(row: dict[str, Any]) -> str | None:
    """Return the key of a row of `pair`, the only table whose keys change."""
    return join_primary_key([row["name"], row["number"]]) if "number" in row else None


def complete(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows once the last one is there."""
    assert rows
    assert rows[-1]["after"].get("id") == 1000
    return rows


def test_connector_that_tears_transactions_needs_a_person(wal: WalTopic) -> None:
    torn = partition_of(COMMITTED_MS, PARTITIONS) ^ 1
    source = {"txId": 7, "lsn": 5, "ts_us": COMMITTED_MS * 1000, "name": "p", "db": "shop"}
    row = {"op": "c", "source": source | {"schema": "s", "table": "t"}, "before": None, "after": {}}
    publisher = wal.publisher()
    publisher.produce(wal.topics.wal, json.dumps(row).encode(), b"{}", torn)
    assert publisher.flush(30) == 0
    stitcher = wal.start(BEMI_STITCHER_WAL_FROM="debezium")
    assert stitcher.wait(30) == EXIT_PERSON_MUST_ACT
    assert "Let the connector route by commit time" in stitcher.output()
    assert read_topic(wal.bootstrap_servers, wal.topics.changes) == []
