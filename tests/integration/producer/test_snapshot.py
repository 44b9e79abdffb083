"""Snapshots on real servers: what is published, and what a kill in between leaves to do."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually

PUBLICATION = "shop"
ROWS = 60_000
# Rows of about 800 bytes, ten on a page: 60,000 are six chunks.
MANY_ROWS = f"""
CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, note text) WITH (fillfactor = 80);
INSERT INTO item SELECT i, 'Item ' || i, repeat('x', 700) FROM generate_series(1, {ROWS}) AS i;
"""


@dataclass
class Snapshot:
    """A database and the topics its rows are published to."""

    database: Database
    connection: psycopg.Connection[tuple[object, ...]]
    kafka: str
    prefix: str
    start_stage: StartStage

    def execute(self, query: str) -> list[Any]:
        cursor = self.connection.execute(query)
        return cursor.fetchall() if cursor.description else []

    def publish(self, *tables: str) -> None:
        self.execute(f"CREATE PUBLICATION {PUBLICATION} FOR TABLE {', '.join(tables)}")

    def start(self, **arguments: Any) -> StageProcess:
        given = {
            "dsn": self.database.dsn,
            "kafka": self.kafka,
            "prefix": self.prefix,
            "slot": self.database.name,
            "publication": PUBLICATION,
            **arguments,
        }
        program = [sys.executable, "-m", "tests.integration.producer.take_snapshot"]
        return self.start_stage("snapshot", [*program, json.dumps(given)], {})

    def take(self, **arguments: Any) -> str:
        stage = self.start(**arguments)
        eventually(lambda: not stage.is_running, 60)
        output = stage.output()
        assert "complete" in output, output
        return output

    def kill_in_between(self, table: str) -> None:
        """Start, and kill when at least one chunk of the table is finished and one is not."""
        stage = self.start()
        reads = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND "
        eventually(lambda: len(self.execute(f"{reads} query LIKE 'COPY%'")) == 1, 60)
        with self.connection.transaction():
            # Granted when the chunk that is being read has been; the next one waits for it.
            self.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            offsets = f"{self.prefix}.producer-offsets"
            eventually(
                lambda: any(
                    b"finished" in (record.value or b"")
                    for record in read_topic(self.kafka, offsets)
                )
            )
            stage.kill()

    def events(self, table: str, pg_schema: str = "public") -> list[Any]:
        topic = f"{self.prefix}.{pg_schema}.{table}"
        return [record.json() for record in read_topic(self.kafka, topic)]

    def rows(self, table: str) -> list[Any]:
        return [event["after"] for event in self.events(table)]


@pytest.fixture
def snapshot(
    database: Database, kafka_broker: KafkaBroker, topic_prefix: str, start_stage: StartStage
) -> Iterator[Snapshot]:
    with closing(database.connect()) as connection:
        yield Snapshot(
            database, connection, kafka_broker.bootstrap_servers, topic_prefix, start_stage
        )


def test_every_row_is_published_once_as_a_read_event(snapshot: Snapshot) -> None:
    snapshot.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    snapshot.execute("INSERT INTO todo VALUES (1, 'Sleep'), (2, NULL), (3, E'two\\nlines')")
    snapshot.publish("todo")
    snapshot.take()
    events = snapshot.events("todo")
    assert [e["after"] for e in events] == [
        {"id": 1, "task": "Sleep"},
        {"id": 2, "task": None},
        {"id": 3, "task": "two\nlines"},
    ]
    assert {e["op"] for e in events} == {"r"}
    sources = [event["source"] for event in events]
    assert [s["snapshot"] for s in sources] == ["first", "true", "last"]
    assert len({(s["lsn"], s["txId"], s["ts_us"], s["sequence"]) for s in sources}) == 1


def test_tables_are_marked_at_their_ends_in_the_order_of_their_names(snapshot: Snapshot) -> None:
    for table, rows in (("a", "1"), ("b", "1), (2"), ("c", ""), ("d", "1")):
        snapshot.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
        if rows:
            snapshot.execute(f"INSERT INTO {table} VALUES ({rows})")
    snapshot.publish("a", "b", "c", "d")
    snapshot.take()
    marks = {
        table: [event["source"]["snapshot"] for event in snapshot.events(table)]
        for table in ("a", "b", "c", "d")
    }
    assert marks == {
        "a": ["first"],
        "b": ["first_in_data_collection", "last_in_data_collection"],
        "c": [],
        "d": ["last"],
    }


def test_a_large_table_is_read_by_several_readers_without_loss(snapshot: Snapshot) -> None:
    snapshot.execute(MANY_ROWS)
    snapshot.publish("item")
    snapshot.take(readers=2)
    assert Counter(row["id"] for row in snapshot.rows("item")) == Counter(range(1, ROWS + 1))
    assert snapshot.events("item")[-1]["source"]["snapshot"] == "last"


def test_after_a_kill_finished_chunks_are_not_read_again_and_nothing_is_missing(
    snapshot: Snapshot,
) -> None:
    snapshot.execute(MANY_ROWS)
    snapshot.publish("item")
    snapshot.kill_in_between("item")
    before = {row["id"] for row in snapshot.rows("item")}
    assert 0 < len(before) < ROWS
    # An update moves a row, for the free space of pages that were read already or not.
    snapshot.execute("UPDATE item SET name = 'changed' WHERE id % 1000 = 0")
    snapshot.execute("DELETE FROM item WHERE id % 1000 = 1")
    assert "still to read" in snapshot.take()
    rows = snapshot.rows("item")
    table = dict(snapshot.execute("SELECT id, name FROM item"))
    last = {row["id"]: row["name"] for row in rows}
    # Deletions are left to the stream.
    assert {number: name for number, name in last.items() if number in table} == table
    times = Counter(row["id"] for row in rows if row["name"] != "changed")
    assert not [number for number in times if times[number] > 1]


def test_a_table_that_was_rewritten_in_between_is_read_again(snapshot: Snapshot) -> None:
    snapshot.execute(MANY_ROWS)
    snapshot.publish("item")
    snapshot.kill_in_between("item")
    snapshot.execute("CREATE INDEX backwards ON item (id DESC)")
    snapshot.execute("CLUSTER item USING backwards")
    snapshot.take()
    assert {row["id"] for row in snapshot.rows("item")} == set(range(1, ROWS + 1))


def test_partitions_are_published_as_their_publication_has_them(snapshot: Snapshot) -> None:
    snapshot.execute("CREATE TABLE log (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    snapshot.execute("CREATE TABLE log_a PARTITION OF log FOR VALUES FROM (0) TO (10)")
    # A partition may have its columns in another order than its root.
    snapshot.execute("CREATE TABLE log_b (v text, id int PRIMARY KEY)")
    snapshot.execute("ALTER TABLE log ATTACH PARTITION log_b FOR VALUES FROM (10) TO (20)")
    snapshot.execute("INSERT INTO log VALUES (1, 'a'), (11, 'b')")
    snapshot.execute(
        f"CREATE PUBLICATION {PUBLICATION} FOR TABLE log WITH (publish_via_partition_root)"
    )
    snapshot.take()
    assert snapshot.rows("log") == [{"id": 1, "v": "a"}, {"id": 11, "v": "b"}]
    assert snapshot.rows("log_a") == []


def test_an_override_says_which_rows_are_read(snapshot: Snapshot) -> None:
    snapshot.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    snapshot.execute("INSERT INTO todo VALUES (1, 'Sleep'), (2, 'Eat')")
    snapshot.publish("todo")
    snapshot.take(overrides={"public.todo": "SELECT * FROM todo WHERE id > 1"})
    assert snapshot.rows("todo") == [{"id": 2, "task": "Eat"}]


def test_row_filters_and_column_lists_of_the_publication_hold(snapshot: Snapshot) -> None:
    if snapshot.connection.info.server_version < 150_000:
        pytest.skip("PostgreSQL 15 has them first")
    snapshot.execute("CREATE TABLE todo (id int PRIMARY KEY, task text, secret text)")
    snapshot.execute("INSERT INTO todo VALUES (1, 'Sleep', 's'), (2, 'Eat', 's')")
    snapshot.publish("todo (id, task) WHERE (id > 1)")
    snapshot.take()
    assert snapshot.rows("todo") == [{"id": 2, "task": "Eat"}]


def test_rows_written_after_the_slot_was_made_are_left_to_the_stream(snapshot: Snapshot) -> None:
    snapshot.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    snapshot.execute("INSERT INTO todo VALUES (1)")
    snapshot.publish("todo")
    snapshot.take()
    snapshot.execute("INSERT INTO todo VALUES (2)")
    assert snapshot.rows("todo") == [{"id": 1}]
    changes = snapshot.execute(
        "SELECT count(*) FROM pg_logical_slot_get_binary_changes("
        f"'{snapshot.database.name}', NULL, NULL, 'proto_version', '1',"
        f" 'publication_names', '{PUBLICATION}') WHERE get_byte(data, 0) = ascii('I')"
    )
    assert changes == [(1,)]


def test_a_snapshot_is_taken_once(snapshot: Snapshot) -> None:
    snapshot.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    snapshot.publish("todo")
    snapshot.take()
    stage = snapshot.start()
    eventually(lambda: "nothing to do" in stage.output() or not stage.is_running)


def test_a_policy_that_would_hide_rows_stops_the_snapshot(snapshot: Snapshot) -> None:
    role = f"{snapshot.database.name}_reader"
    snapshot.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    snapshot.execute("INSERT INTO todo VALUES (1)")
    snapshot.execute("ALTER TABLE todo ENABLE ROW LEVEL SECURITY")
    snapshot.publish("todo")
    snapshot.execute(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'secret'")
    try:
        snapshot.execute(f"GRANT SELECT ON todo TO {role}")
        dsn = psycopg.conninfo.make_conninfo(snapshot.database.dsn, user=role, password="secret")
        stage = snapshot.start(dsn=dsn)
        eventually(lambda: not stage.is_running, 60)
        assert "row-level security" in stage.output()
    finally:
        snapshot.execute(f"DROP OWNED BY {role}")
        snapshot.execute(f"DROP ROLE {role}")
