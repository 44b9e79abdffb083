"""What a real Debezium connector writes, stitched, beside what the producer writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import javaproperties

from deploy.local.debezium import LocalDebezium
from runtime.service import EXIT_PERSON_MUST_ACT
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually
from tests.integration.stitcher_stream.wal_topic import WalTopic

CONFIGURATION = Path(__file__).parents[3] / "deploy" / "debezium" / "connector.properties"
# What a connector does not tell, and what says when an event was made.
DIFFERENT = ("id", "commit_lsn", "ordinal", "epoch", "queued_at")

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


def comparable(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in change.items() if name not in DIFFERENT}
        for change in changes
    ]


def test_connectors_stream_gives_the_changes_that_the_producers_stream_gives(
    pipeline: Pipeline, debezium_worker: LocalDebezium
) -> None:
    environ, database = dict(pipeline.environ), pipeline.database
    servers, own = environ["BEMI_KAFKA_BOOTSTRAP_SERVERS"], environ["BEMI_TOPIC_PREFIX"]
    plain, with_schemas = f"{own}d", f"{own}s"
    with ExitStack() as running, closing(database.connect()) as connection:
        connection.execute(TABLES)
        connection.execute("CREATE PUBLICATION bemi_debezium FOR ALL TABLES")
        pipeline.start("producer", "stitcher")
        for prefix in (plain, with_schemas):
            changed = {"name": prefix, "slot.name": f"{database.name}_{prefix[-1]}"}
            if prefix == with_schemas:
                changed |= dict.fromkeys(SCHEMAS, "true")
            at = environ | {"BEMI_TOPIC_PREFIX": prefix}
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
        expected = eventually(lambda: complete(changes_in(servers, own)), 60)
        for prefix in (plain, with_schemas):
            found = eventually(lambda prefix=prefix: complete(changes_in(servers, prefix)), 60)  # type: ignore[misc]
            assert comparable(found) == comparable(expected)
            places = [(change["commit_lsn"], change["ordinal"]) for change in found]
            assert places == sorted(set(places))
            assert read_topic(servers, f"{prefix}.dead-letters") == []
    assert expected[-1]["context"] == {}
    assert {change["context"].get("request") for change in expected[:-1]} == {0, 1, 3, 4, 5, 6}


def complete(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the changes once the last row is there."""
    assert changes
    assert changes[-1]["after"].get("id") == 1000
    return changes


def changes_in(servers: str, prefix: str) -> list[dict[str, Any]]:
    """Return the changes of a pipeline in the order of the log."""
    changes = [
        json.loads(record.value or b"") for record in read_topic(servers, f"{prefix}.changes")
    ]
    return sorted(changes, key=lambda change: (change["commit_lsn"], change["ordinal"]))


def test_connectors_topic_of_several_partitions_needs_a_person(wal: WalTopic) -> None:
    stitcher = wal.start(BEMI_STITCHER_WAL_FROM="debezium")
    assert stitcher.wait(30) == EXIT_PERSON_MUST_ACT
    assert "Let the connector write to a topic of one partition" in stitcher.output()
