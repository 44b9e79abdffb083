"""The producer's snapshot.mode: what a start publishes before it streams."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from schemas.envelope import UNAVAILABLE_VALUE
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually
from tests.integration.producer.random_writers import RandomWriters

SEED = int(os.environ.get("BEMI_TEST_SEED", "0")) or random.randrange(1 << 32)
KEYS = 24_000  # Ten on a page: three chunks.


@dataclass
class Capture:
    """A database with a table of two rows, and its producer."""

    database: Database
    connection: psycopg.Connection[tuple[object, ...]]
    kafka: str
    prefix: str
    start_stage: StartStage
    environ: dict[str, str]

    def execute(self, query: str) -> None:
        self.connection.execute(query)

    def start(self, mode: str, **environ: str) -> StageProcess:
        given = {**self.environ, "BEMI_PRODUCER_SNAPSHOT_MODE": mode, **environ}
        return self.start_stage("producer", ["bemi-producer"], given)

    def start_ready(self, mode: str, **environ: str) -> StageProcess:
        stage = self.start(mode, **environ)
        eventually(lambda: "ready" in stage.output(), 60)
        return stage

    def wait_for_finished_chunk(self) -> None:
        def is_finished() -> bool:
            stored = read_topic(self.kafka, f"{self.prefix}.producer-offsets")
            return any(b"finished" in (record.value or b"") for record in stored)

        eventually(is_finished, 60)

    def item_events_to(self, key: int) -> list[Any]:
        """Return the events of `item` once one of the key has come."""

        def check() -> list[Any]:
            records = read_topic(self.kafka, f"{self.prefix}.public.item")
            events = [record.json() for record in records if record.value is not None]
            assert any((event["after"] or {}).get("id") == key for event in events)
            return events

        return eventually(check, 120)

    def events(self, topic: str = "public.todo") -> list[tuple[str, int]]:
        records = read_topic(self.kafka, f"{self.prefix}.{topic}")
        values: list[Any] = [record.json() for record in records]
        return [(value["op"], value["after"]["id"]) for value in values if "op" in value]

    def wait_for(self, count: int) -> list[tuple[str, int]]:
        def check() -> list[tuple[str, int]]:
            events = self.events()
            assert len(events) >= count
            return events

        return eventually(check, 60)


@pytest.fixture
def capture(
    database: Database, kafka_broker: KafkaBroker, topic_prefix: str, start_stage: StartStage
) -> Iterator[Capture]:
    environ = database.environ | {
        "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "BEMI_TOPIC_PREFIX": topic_prefix,
        "BEMI_PRODUCER_SLOT_NAME": database.name,
    }
    with closing(database.connect()) as connection:
        connection.execute("CREATE TABLE todo (id int PRIMARY KEY)")
        connection.execute("INSERT INTO todo VALUES (1), (2)")
        servers = kafka_broker.bootstrap_servers
        yield Capture(database, connection, servers, topic_prefix, start_stage, environ)


def test_initial_publishes_the_rows_once_and_then_what_changes(capture: Capture) -> None:
    capture.start_ready("initial").stop()
    capture.execute("INSERT INTO todo VALUES (3)")
    capture.start_ready("initial")
    assert capture.wait_for(3) == [("r", 1), ("r", 2), ("c", 3)]


def test_rows_that_are_read_are_no_changes_of_the_wal(capture: Capture) -> None:
    capture.start_ready("initial")
    capture.execute("INSERT INTO todo VALUES (3)")
    capture.wait_for(3)
    wal = eventually(lambda: capture.events("wal"))
    assert wal == [("c", 3)]


def test_initial_only_ends_after_the_last_row(capture: Capture) -> None:
    stage = capture.start("initial_only")
    eventually(lambda: not stage.is_running, 60)
    assert stage.exit_code == 0
    assert capture.events() == [("r", 1), ("r", 2)]
    again = capture.start("initial_only")
    eventually(lambda: not again.is_running, 60)
    assert (again.exit_code, len(capture.events())) == (0, 2)


def test_always_publishes_the_rows_at_each_start_and_loses_no_change(capture: Capture) -> None:
    capture.start_ready("always").stop()
    capture.execute("INSERT INTO todo VALUES (3)")
    capture.start_ready("always")
    events = capture.wait_for(6)
    assert events[:2] == [("r", 1), ("r", 2)]
    assert sorted(events[2:5]) == [("r", 1), ("r", 2), ("r", 3)]
    assert events[5] == ("c", 3)


def test_without_a_snapshot_only_changes_are_published(capture: Capture) -> None:
    capture.start_ready("no_data")
    capture.execute("INSERT INTO todo VALUES (3)")
    assert capture.wait_for(1) == [("c", 3)]


def test_only_the_tables_named_are_read(capture: Capture) -> None:
    capture.execute("CREATE TABLE other (id int PRIMARY KEY)")
    capture.execute("INSERT INTO other VALUES (1)")
    capture.start_ready("initial", BEMI_PRODUCER_SNAPSHOT_INCLUDE_COLLECTION_LIST="public[.]other")
    assert capture.events("public.other") == [("r", 1)]
    assert capture.events() == []


def test_after_a_kill_under_writes_rows_and_changes_together_end_as_the_table(
    capture: Capture,
) -> None:
    # `body` is stored out of line: the stream does not repeat it in the update of another column,
    # so it arrives only where a row is read or inserted.
    capture.execute("CREATE SEQUENCE version")
    capture.execute(
        "CREATE TABLE item (id int PRIMARY KEY, version bigint, body text, padding text)"
        " WITH (fillfactor = 90)"
    )
    capture.execute("ALTER TABLE item ALTER body SET STORAGE EXTERNAL")
    capture.execute(
        "INSERT INTO item SELECT i, nextval('version'), repeat(i::text || '.', 500),"
        f" repeat('x', 700) FROM generate_series(1, {KEYS}) AS i"
    )
    stage = capture.start("initial")
    with RandomWriters(capture.database, SEED, KEYS + 100, count=1):
        capture.wait_for_finished_chunk()
        stage.kill()
        capture.start_ready("initial")
    capture.execute("INSERT INTO item VALUES (0, nextval('version'), 'the last change')")
    events = capture.item_events_to(0)
    rows: dict[int, tuple[int, str]] = {}
    for event in events:
        row = event["after"] or event["before"]
        if event["op"] == "d":
            rows.pop(row["id"], None)
            continue
        body = row["body"]
        if body == UNAVAILABLE_VALUE:
            # Unknown only of a row that was deleted before it could be read after the kill.
            body = rows.get(row["id"], (0, body))[1]
        rows[row["id"]] = (row["version"], body)
    table = capture.connection.execute("SELECT id, version, body FROM item").fetchall()
    assert rows == {key: (version, body) for key, version, body in table}, f"seed {SEED}"


def test_a_row_of_many_megabytes_is_read(capture: Capture) -> None:
    capture.execute("CREATE TABLE document (id int PRIMARY KEY, body text)")
    capture.execute("INSERT INTO document VALUES (1, repeat('x', 40 * 1024 * 1024))")
    capture.start_ready("initial")
    assert capture.events("public.document") == [("r", 1)]
