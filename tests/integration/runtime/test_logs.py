"""What the stages write into their logs, and what they never do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from confluent_kafka import Producer

from schemas.topics import Topics
from tests.fixtures.pipeline import COMMANDS, Pipeline
from tests.fixtures.waiting import eventually

VALUE = "zanzibar-row-value"
KEY = "quetzal-context-key"
PASSWORD = "xylophone-password"
RECONNECT_SECONDS = 60
EXIT_SECONDS = 60


@pytest.fixture
def logging_pipeline(pipeline: Pipeline) -> Iterator[Pipeline]:
    """Give a pipeline with a role of its own, whose password can be recognised."""
    role = f"logs_{pipeline.database.name}"
    with closing(pipeline.database.connect()) as connection:
        connection.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{PASSWORD}'".encode())
    pipeline.environ |= {
        "DB_USER": role,
        "DB_PASSWORD": PASSWORD,
        "BEMI_LOG_FORMAT": "json",
        "BEMI_LOG_LEVEL": "DEBUG",
        "BEMI_STITCHER_CONTEXT_KEY": KEY,
        "BEMI_PRODUCER_SNAPSHOT_MODE": "initial",
    }
    yield pipeline
    with closing(pipeline.database.connect()) as connection:
        connection.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP ROLE {role}".encode())


def test_logs_are_json_and_hold_no_row_value_and_no_secret(logging_pipeline: Pipeline) -> None:
    pipeline = logging_pipeline
    pipeline.execute("CREATE TABLE todo (id int PRIMARY KEY, task text, data json)")
    pipeline.execute("INSERT INTO todo VALUES (1, %s)", [VALUE])
    pipeline.start()
    # A good context, one that cannot be parsed, a value that jsonb refuses, a key that changes.
    context = json.dumps({"user": VALUE})
    for content in (context, f"{{{VALUE}", "[1]"):
        with closing(pipeline.database.connect()) as connection, connection.transaction():
            connection.execute("SELECT pg_logical_emit_message(true, '_bemi', %s)", [content])
            connection.execute("UPDATE todo SET task = task || 'x'")
    pipeline.execute("UPDATE todo SET id = 2, data = %s", [f'{{"{VALUE}": 1e999999}}'])
    changes = Topics(pipeline.environ["BEMI_TOPIC_PREFIX"]).changes
    broken = Producer({"bootstrap.servers": pipeline.environ["BEMI_KAFKA_BOOTSTRAP_SERVERS"]})
    broken.produce(changes, f'{{"id": "{VALUE}"'.encode(), partition=0)
    assert broken.flush(EXIT_SECONDS) == 0
    pipeline.wait_for("todo", 4)

    # Sessions that end make every stage say what it lost.
    producer = pipeline.stages["producer"]
    with closing(pipeline.database.connect()) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'bemi%'"
        )
    eventually(lambda: producer.output().count('"ready"') >= 2, RECONNECT_SECONDS)
    pipeline.execute("DELETE FROM todo")
    pipeline.wait_for("todo", 5)
    with closing(psycopg.connect(pipeline.database.dsn)) as connection:
        letters = connection.execute("SELECT count(*) FROM bemi_dead_letters").fetchone()
    assert letters == (1,)

    for name in COMMANDS:
        stage = pipeline.stages[name]
        stage.stop()
        lines = stage.log_path.read_text().splitlines()
        said = [json.loads(line) for line in lines]
        assert {each["stage"] for each in said} == {name}
        assert any(each["message"] == "ready" for each in said)
        for secret in (VALUE, KEY, PASSWORD):
            assert not [line for line in lines if secret in line], name
