"""Tables read beside the stream: whatever is written meanwhile, the topic ends as the table."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from runtime.kafka_topics import TopicSpec, ensure_topics
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually
from tests.integration.producer.random_writers import RandomWriters

SEED = int(os.environ.get("BEMI_TEST_SEED", "0")) or random.randrange(1 << 32)
ROWS = 3000
CHUNK_ROWS = "100"
READ_SECONDS = 120.0
SCHEMA = f"""
CREATE TABLE signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));
CREATE TABLE item (id int PRIMARY KEY, version bigint NOT NULL, note text);
ALTER TABLE item REPLICA IDENTITY FULL;
CREATE SEQUENCE version;
INSERT INTO item
SELECT i, nextval('version'), repeat('x', i % 50) FROM generate_series(1, {ROWS}) AS i;
"""


@dataclass
class Stream:
    """A database, the producer that streams it, and signals to it."""

    database: Database
    connection: psycopg.Connection[tuple[object, ...]]
    kafka: str
    prefix: str
    start_stage: StartStage
    environ: dict[str, str]
    signals: int = 0
    stages: list[StageProcess] = field(default_factory=list)

    def execute(self, query: str, parameters: Any = None) -> list[Any]:
        cursor = self.connection.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def start(self, **environ: str) -> StageProcess:
        program = [sys.executable, "-m", "producer"]
        stage = self.start_stage("producer", program, {**self.environ, **environ})
        self.stages.append(stage)
        eventually(lambda: "ready" in stage.output(), 60)
        return stage

    def signal(self, kind: str, **data: Any) -> None:
        self.signals += 1
        self.execute(
            "INSERT INTO signal VALUES (%s, %s, %s)",
            [f"signal-{self.signals}", kind, json.dumps(data)],
        )

    def execute_snapshot(self, *tables: str, **more: Any) -> None:
        names = [f"public.{table}" for table in tables]
        self.signal("execute-snapshot", **{"data-collections": names, **more})

    def wait_until_read(self, stage: StageProcess, table: str = "item") -> None:
        eventually(lambda: f"public.{table} is read" in stage.output(), READ_SECONDS)

    def events(self, table: str = "item") -> list[Any]:
        records = read_topic(self.kafka, f"{self.prefix}.public.{table}")
        return [record.json() for record in records if record.value is not None]

    def rows_read(self, table: str = "item") -> list[Any]:
        return [event["after"] for event in self.events(table) if event["op"] == "r"]

    def table(self) -> dict[int, int]:
        return dict(self.execute("SELECT id, version FROM item"))

    def events_to_the_end(self) -> list[Any]:
        """Return all events once a last change has arrived."""
        self.execute("INSERT INTO item VALUES (0, nextval('version'), 'the last change')")

        def events() -> list[Any]:
            found = self.events()
            assert any((e["after"] or {}).get("id") == 0 for e in found)
            return found

        return eventually(events, READ_SECONDS)


@pytest.fixture
def stream(
    database: Database, kafka_broker: KafkaBroker, topic_prefix: str, start_stage: StartStage
) -> Iterator[Stream]:
    environ = database.environ | {
        "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "BEMI_TOPIC_PREFIX": topic_prefix,
        "BEMI_PRODUCER_SLOT_NAME": database.name,
        "BEMI_PRODUCER_SIGNAL_DATA_COLLECTION": "public.signal",
        "BEMI_PRODUCER_SIGNAL_POLL_INTERVAL_MS": "200",
        "BEMI_PRODUCER_INCREMENTAL_SNAPSHOT_CHUNK_SIZE": CHUNK_ROWS,
    }
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA)
        bootstrap_servers = kafka_broker.bootstrap_servers
        yield Stream(database, connection, bootstrap_servers, topic_prefix, start_stage, environ)


def replay(events: list[Any]) -> dict[int, int]:
    """Return the table that the events lead to; no read row may stand behind a newer change."""
    table: dict[int, int] = {}
    newest: dict[int, int] = {}
    for event in events:
        row = event["after"] or event["before"]
        key, version = row["id"], row["version"]
        if event["op"] == "r":
            assert version >= newest.get(key, 0), f"seed {SEED}: an old row of {key}"
        else:
            newest[key] = version + (event["op"] == "d")
        if event["op"] == "d":
            table.pop(key, None)
        else:
            table[key] = version
    return table


def test_under_random_writes_the_topic_ends_as_the_table(stream: Stream) -> None:
    stage = stream.start()
    with RandomWriters(stream.database, SEED, ROWS + 200):
        stream.execute_snapshot("item")
        stream.wait_until_read(stage)
    events = stream.events_to_the_end()
    assert replay(events) == stream.table(), f"seed {SEED}"
    assert sum(event["op"] == "r" for event in events) > ROWS // 2


def test_after_a_kill_it_goes_on_with_the_next_chunk(stream: Stream) -> None:
    # In so many chunks that it cannot be through before it is killed.
    stage = stream.start(BEMI_PRODUCER_INCREMENTAL_SNAPSHOT_CHUNK_SIZE="10")
    with RandomWriters(stream.database, SEED, ROWS + 200, count=1):
        stream.execute_snapshot("item")
        eventually(lambda: len(stream.rows_read()) > ROWS // 10, READ_SECONDS)
        stage.kill()
        before = len(stream.rows_read())
        stage = stream.start()
        stream.wait_until_read(stage)
    events = stream.events_to_the_end()
    table: dict[int, int] = {}
    for event in events:
        row = event["after"] or event["before"]
        table[row["id"]] = row["version"]
        if event["op"] == "d":
            del table[row["id"]]
    assert table == stream.table(), f"seed {SEED}"
    # What was finished is not read again, but for the chunks on their way when it was killed.
    assert len(stream.rows_read()) < ROWS + min(before, 5 * int(CHUNK_ROWS)) + 200


def test_a_row_says_that_it_was_read_by_an_incremental_snapshot(stream: Stream) -> None:
    stage = stream.start()
    stream.execute_snapshot("item")
    stream.wait_until_read(stage)
    event = stream.events()[0]
    assert (event["op"], event["before"], event["transaction"]) == ("r", None, None)
    source = event["source"]
    assert (source["snapshot"], source["lsn"], source["txId"]) == ("incremental", None, None)
    assert [row["id"] for row in stream.rows_read()] == list(range(1, ROWS + 1))


def test_it_reads_without_writing_a_word_into_the_database(stream: Stream) -> None:
    stage = stream.start(BEMI_PRODUCER_READ_ONLY="true", BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS="0")
    with RandomWriters(stream.database, SEED, ROWS + 200, count=1):
        stream.execute_snapshot("item")
        eventually(lambda: len(stream.rows_read()) > ROWS // 10, READ_SECONDS)
    stream.wait_until_read(stage)
    assert replay(stream.events_to_the_end()) == stream.table(), f"seed {SEED}"


def test_signals_arrive_though_the_publication_is_made_for_other_tables(stream: Stream) -> None:
    stage = stream.start(
        BEMI_PRODUCER_PUBLICATION_AUTOCREATE_MODE="filtered",
        BEMI_PRODUCER_TABLE_INCLUDE_LIST="public.item",
    )
    published = "SELECT tablename::text FROM pg_publication_tables ORDER BY 1"
    assert stream.execute(published) == [("item",), ("signal",)]
    stream.execute_snapshot("item")
    stream.wait_until_read(stage)
    assert stream.events("signal") == []


def test_a_condition_says_which_rows_are_read(stream: Stream) -> None:
    stage = stream.start()
    condition = {"data-collection": "public.item", "filter": "id % 1000 = 7"}
    stream.execute_snapshot("item", **{"additional-conditions": [condition]})
    stream.wait_until_read(stage)
    assert [row["id"] for row in stream.rows_read()] == [7, 1007, 2007]


def test_composite_keys_of_any_type_are_read_in_their_order(stream: Stream) -> None:
    stream.execute("CREATE TABLE pair (a text, b timestamptz, PRIMARY KEY (a, b))")
    stream.execute(
        "INSERT INTO pair SELECT chr(97 + i % 3), '2026-01-01'::timestamptz + i * interval '1 hour'"
        " FROM generate_series(1, 450) AS i"
    )
    stage = stream.start()
    stream.execute_snapshot("pair")
    stream.wait_until_read(stage, "pair")
    rows = [(row["a"], row["b"]) for row in stream.rows_read("pair")]
    assert rows == sorted(rows)
    assert len(set(rows)) == 450


def test_it_pauses_resumes_and_stops_by_signal(stream: Stream) -> None:
    stage = stream.start()
    stream.signal("pause-snapshot")
    stream.execute_snapshot("item")
    stream.signal("log", message="heard everything")
    eventually(lambda: "heard everything" in stage.output())
    assert stream.rows_read() == []
    stream.signal("resume-snapshot")
    stream.wait_until_read(stage)
    stream.signal("pause-snapshot")
    stream.execute_snapshot("item")
    stream.signal("stop-snapshot", **{"data-collections": ["public.item"]})
    stream.signal("resume-snapshot")
    stream.signal("log", message="stopped")
    eventually(lambda: "stopped" in stage.output())
    assert len(stream.rows_read()) == ROWS


def test_signals_come_by_a_topic_too(stream: Stream) -> None:
    topic = f"{stream.prefix}-signal"
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": stream.kafka}
    ensure_topics(AdminClient(client), [TopicSpec(topic, 1)])
    stage = stream.start(BEMI_PRODUCER_SIGNAL_ENABLED_CHANNELS="kafka")
    producer = Producer(client)
    data = {"data-collections": ["public.item"], "type": "INCREMENTAL"}

    def is_heard() -> bool:
        # The group joins some time after the producer is ready.
        signal = {"type": "log", "data": {"message": "is heard"}}
        producer.produce(topic, json.dumps(signal), stream.prefix)
        producer.flush()
        return "is heard" in stage.output()

    eventually(is_heard, 60)
    for key, kind in (("another", "stop-snapshot"), (stream.prefix, "execute-snapshot")):
        producer.produce(topic, json.dumps({"type": kind, "data": data}), key)
    producer.flush()
    stream.wait_until_read(stage)
    assert len(stream.rows_read()) == ROWS


def test_what_cannot_be_understood_or_read_stops_nothing(stream: Stream) -> None:
    stream.execute("CREATE TABLE keyless (v text)")
    stage = stream.start()
    stream.execute("INSERT INTO signal VALUES ('x', 'execute-snapshot', 'no json')")
    condition = {"data-collection": "public.item", "filter": "no such thing"}
    stream.execute_snapshot("item", **{"additional-conditions": [condition]})
    eventually(lambda: "not reading public.item" in stage.output())
    stream.execute_snapshot("keyless", "item")
    stream.wait_until_read(stage)
    assert "signal refused" in stage.output()
    eventually(lambda: "not reading public.keyless" in stage.output())
