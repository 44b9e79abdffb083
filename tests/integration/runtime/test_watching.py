"""Each stage of a running pipeline as a monitoring system sees it."""

from __future__ import annotations

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import free_port
from tests.fixtures.pipeline import COMMANDS, READY_SECONDS, Pipeline
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StartStage
from tests.fixtures.waiting import eventually

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
REQUEST_SECONDS = 20


class Watched:
    """A pipeline whose stages serve metrics."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.ports = {name: free_port() for name in COMMANDS}
        plain = dict(pipeline.environ)
        plain["BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS"] = "300"
        for name, port in self.ports.items():
            pipeline.environ = {**plain, "BEMI_METRICS_ADDRESS": f"127.0.0.1:{port}"}
            stage = pipeline.start_stage(name, COMMANDS[name], pipeline.environ)
            pipeline.stages[name] = stage

    def get(self, stage: str, path: str) -> requests.Response:
        url = f"http://127.0.0.1:{self.ports[stage]}{path}"
        try:
            return requests.get(url, timeout=REQUEST_SECONDS)
        except requests.ConnectionError as error:
            raise AssertionError(f"{stage} does not answer") from error

    def is_ready(self, stage: str) -> None:
        answer = self.get(stage, "/readyz")
        assert answer.ok, answer.text

    def samples(self, stage: str) -> Samples:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.get(stage, "/metrics").text)
            for sample in family.samples
        }

    def value(self, stage: str, name: str, **labels: str) -> float:
        return self.samples(stage)[name, tuple(sorted(labels.items()))]


@pytest.fixture
def watched(pipeline: Pipeline) -> Watched:
    """Start a pipeline that can be watched, and wait until every stage says it is ready."""
    made = Watched(pipeline)
    for stage in COMMANDS:
        eventually(lambda stage=stage: made.is_ready(stage), READY_SECONDS)  # type: ignore[misc]
    return made


def test_metrics_tell_what_the_stages_did(watched: Watched) -> None:
    pipeline = watched.pipeline
    pipeline.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    pipeline.execute(
        "SELECT pg_logical_emit_message(true, '_bemi', '{\"user_id\": 1}');"
        " INSERT INTO todo SELECT n, 'walk' FROM generate_series(1, 3) AS n"
    )
    pipeline.execute("UPDATE todo SET task = 'run'")
    pipeline.execute("SELECT pg_logical_emit_message(true, '_bemi', '{'); DELETE FROM todo")
    pipeline.wait_for("todo", 9)
    slot = pipeline.database.name

    def are_counted() -> None:
        producer = watched.samples("producer")
        for kind in ("insert", "update", "delete"):
            # Those of the sink's own tables are read, too.
            assert producer["bemi_producer_messages_total", (("kind", kind),)] >= 3
        assert producer["bemi_producer_transactions_total", ()] >= 3
        assert producer["bemi_producer_heartbeat_seconds_count", ()] >= 1
        # Heartbeats behind the changes above: what is stored for them is nothing.
        assert producer["bemi_heartbeat_round_trip_seconds_count", ()] >= 1
        assert 0 < producer["bemi_heartbeat_round_trip_seconds_sum", ()] < READY_SECONDS
        assert producer["bemi_slot_active", (("slot", slot),)] == 1
        assert producer["bemi_slot_retained_bytes", (("slot", slot),)] >= 0
        status = (("slot", slot), ("status", "reserved"))
        assert producer["bemi_slot_wal_status", status] == 1
        assert producer["bemi_source_up", ()] == 1
        stitcher = watched.samples("stitcher")
        for context in ("stitched", "missing", "invalid"):
            assert stitcher["bemi_stitcher_changes_total", (("context", context),)] == 3
        sink = watched.samples("sink")
        assert sink["bemi_sink_rows_total", ()] == 9
        assert sink["bemi_sink_delay_seconds_count", ()] >= 1
        assert sink["bemi_dead_letters_waiting", ()] == 0
        assert sink["bemi_destination_up", ()] == 1
        for samples, name in ((stitcher, "bemi_stitcher"), (sink, "bemi_sink")):
            lags = [value for (each, _), value in samples.items() if each == f"{name}_lag_records"]
            assert len(lags) == 4
            assert sum(lags) == 0

    eventually(are_counted, READY_SECONDS)


def test_a_stage_without_brokers_is_alive_and_not_ready(
    database: Database, start_stage: StartStage, topic_prefix: str
) -> None:
    environ = database.environ | {
        "BEMI_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "BEMI_TOPIC_PREFIX": topic_prefix,
    }
    # Started here without the broker that the other tests have.
    watched = Watched(Pipeline(database, start_stage, environ))
    for stage in COMMANDS:
        eventually(lambda stage=stage: watched.get(stage, "/livez"), READY_SECONDS)  # type: ignore[misc]
        answer = watched.get(stage, "/readyz")
        assert answer.status_code == 503
        assert "no broker answers" in answer.json()["problems"]["kafka"]
        # What is asked of the brokers is left out; all else is told.
        assert watched.value(stage, "bemi_ready") == 0
        assert watched.get(stage, "/livez").ok
