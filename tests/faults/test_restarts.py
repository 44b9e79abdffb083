"""Each part dies once while changes are written: nothing is lost, doubled or misattributed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.load import SCHEMA, Expected, Writer
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import eventually

WRITERS = 2
TRANSACTIONS_BETWEEN_FAULTS = 60
STORED_SECONDS = 120.0


def test_a_pipeline_whose_every_part_is_killed_once_stores_each_change_once(
    pipeline: Pipeline, postgres_server: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    faults: dict[str, Callable[[], None]] = {
        "producer": lambda: kill_and_start(pipeline, "producer"),
        "stitcher": lambda: kill_and_start(pipeline, "stitcher"),
        "sink": lambda: kill_and_start(pipeline, "sink"),
        "postgres": lambda: kill_server(postgres_server),
        "kafka": lambda: kill_server(kafka_broker),
    }
    run_under_load(pipeline, faults)


def test_a_pipeline_whose_every_part_is_restarted_once_stores_each_change_once(
    pipeline: Pipeline, postgres_server: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    faults: dict[str, Callable[[], None]] = {
        "kafka": lambda: restart_server(kafka_broker),
        "sink": lambda: restart(pipeline, "sink"),
        "postgres": lambda: restart_server(postgres_server),
        "stitcher": lambda: restart(pipeline, "stitcher"),
        "producer": lambda: restart(pipeline, "producer"),
    }
    run_under_load(pipeline, faults)


def kill_server(server: PostgresServer | KafkaBroker) -> None:
    """End the server as the kernel would, and start it again."""
    server.kill()
    server.start()


def restart_server(server: PostgresServer | KafkaBroker) -> None:
    """End the server in order, and start it again."""
    server.stop()
    server.start()


def kill_and_start(pipeline: Pipeline, name: str) -> None:
    """End the stage as the kernel would, and start it again."""
    pipeline.stages[name].kill()
    pipeline.start(name)


def restart(pipeline: Pipeline, name: str) -> None:
    """End the stage in order, and start it again."""
    pipeline.stages[name].terminate()
    assert pipeline.stages[name].wait(30) == 0
    pipeline.start(name)


def run_under_load(pipeline: Pipeline, faults: dict[str, Callable[[], None]]) -> None:
    """Let each fault happen while the writers write, and compare what is stored in the end."""
    writers = [Writer(pipeline.database.dsn, number) for number in range(1, WRITERS + 1)]
    for writer in writers:
        writer.start()
    try:
        for fault in faults.values():
            wait_for_transactions(writers)
            fault()
        wait_for_transactions(writers)
    finally:
        for writer in writers:
            writer.stop()
    for name, stage in pipeline.stages.items():
        assert stage.is_running, f"the {name} has ended"
    count = sum(len(writer.expected) for writer in writers)
    changes = pipeline.wait_for("item", count, STORED_SECONDS)
    for writer in writers:
        own = [change for change in changes if change["context"].get("writer") == writer.number]
        assert [as_expected(change) for change in own] == writer.expected
    assert replayed(changes) == table_rows(pipeline)
    committed = sum(writer.transactions for writer in writers)
    pipeline.wait_for("committed", committed, STORED_SECONDS)


def wait_for_transactions(writers: list[Writer]) -> None:
    """Let each writer write some more."""
    targets = [writer.transactions + TRANSACTIONS_BETWEEN_FAULTS for writer in writers]
    eventually(lambda: all(w.transactions >= t for w, t in zip(writers, targets, strict=True)), 120)


def as_expected(change: dict[str, Any]) -> Expected:
    """Return the stored change as the writer noted it."""
    return Expected(
        change["operation"],
        change["primary_key"],
        change["before"],
        change["after"],
        change["context"],
    )


def replayed(changes: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the rows that the changes make, one after the other."""
    rows: dict[int, dict[str, Any]] = {}
    for change in changes:
        if change["operation"] == "DELETE":
            del rows[int(change["primary_key"])]
        else:
            rows[int(change["primary_key"])] = change["after"]
    return rows


def table_rows(pipeline: Pipeline) -> dict[int, dict[str, Any]]:
    """Return the rows of the source's table."""
    with closing(pipeline.database.connect()) as connection:
        found = connection.execute("SELECT id, to_jsonb(item) FROM item").fetchall()
    return dict(found)  # type: ignore[arg-type]
