"""The producer's snapshot.mode: what a start publishes before it streams."""

from __future__ import annotations

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


@dataclass
class Capture:
    """A database with a table of two rows, and its producer."""

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
        yield Capture(connection, servers, topic_prefix, start_stage, environ)


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


def test_a_row_of_many_megabytes_is_read(capture: Capture) -> None:
    capture.execute("CREATE TABLE document (id int PRIMARY KEY, body text)")
    capture.execute("INSERT INTO document VALUES (1, repeat('x', 40 * 1024 * 1024))")
    capture.start_ready("initial")
    assert capture.events("public.document") == [("r", 1)]
