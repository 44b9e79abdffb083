"""Each part dies once while changes are written: nothing is lost, doubled or misattributed."""

from __future__ import annotations

from tests.faults.under_load import run_under_load
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.load import SCHEMA
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.postgres import PostgresServer


def test_a_pipeline_whose_every_part_is_killed_once_stores_each_change_once(
    pipeline: Pipeline, postgres_server: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    run_under_load(
        pipeline,
        [
            lambda: kill_and_start(pipeline, "producer"),
            lambda: kill_and_start(pipeline, "stitcher"),
            lambda: kill_and_start(pipeline, "sink"),
            lambda: kill_server(postgres_server),
            lambda: kill_server(kafka_broker),
        ],
    )


def test_a_pipeline_whose_every_part_is_restarted_once_stores_each_change_once(
    pipeline: Pipeline, postgres_server: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    run_under_load(
        pipeline,
        [
            lambda: restart_server(kafka_broker),
            lambda: restart(pipeline, "sink"),
            lambda: restart_server(postgres_server),
            lambda: restart(pipeline, "stitcher"),
            lambda: restart(pipeline, "producer"),
        ],
    )


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
