"""`bemi-sink verify` on real servers: complete, or each gap by its name and place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from deploy.local.ports import free_port
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.stages import StageProcess
from tests.fixtures.waiting import eventually
from tests.fixtures.wal_records import WalTransaction, usual_transaction
from tests.integration.sink_pg.conftest import Trail, until_ready
from tests.integration.stitcher_stream.wal_topic import WalTopic

PATIENCE_SECONDS = 60.0
COMPLETE, GAP, NOT_COMPARED = 0, 1, 2

Run = Callable[..., StageProcess]


@pytest.fixture
def sink_command(pipeline: Pipeline) -> Run:
    """Run a command of the sink to its end and see its exit code."""

    def run(*words: str, code: int) -> StageProcess:
        argv = [sys.executable, "-m", "sink_pg", *words]
        command = pipeline.start_stage("-".join(words[:1]), argv, pipeline.environ)
        assert command.wait(PATIENCE_SECONDS) == code, command.output()
        return command

    return run


@pytest.fixture
def wal(pipeline: Pipeline, kafka_broker: KafkaBroker, topic_prefix: str) -> WalTopic:
    """Make `.wal`, as a producer would."""
    servers = kafka_broker.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    topics = WalTopic(servers, topic_prefix, admin, pipeline.start_stage)
    topics.make(topics.topics.wal)
    return topics


def test_verify_proves_the_trail_complete_and_names_what_is_taken_from_it(
    pipeline: Pipeline, sink_command: Run, trail: Trail
) -> None:
    pipeline.execute("CREATE TABLE task (id int PRIMARY KEY, title text)")
    pipeline.execute("CREATE TABLE log (line text)")
    pipeline.start()
    pipeline.execute("INSERT INTO task SELECT n, 'x' FROM generate_series(1, 100) AS n")
    pipeline.execute("UPDATE task SET id = id + 1000 WHERE id <= 10")
    with pipeline.database.connect() as connection, connection.transaction():
        connection.execute("SELECT pg_logical_emit_message(true, '_bemi', '{\"user\": 1}')")
        connection.execute("INSERT INTO log VALUES ('a'), ('b')")
        connection.execute("DELETE FROM task WHERE id > 1005")
    pipeline.execute("TRUNCATE log, task")
    pipeline.wait_for(None, 100 + 10 + 2 + 5 + 2)

    def compared() -> None:
        # The stitcher commits what it has done a moment later.
        assert "4 transactions with 119 changes compared, complete" in (
            sink_command("verify", code=COMPLETE).output()
        )

    eventually(compared)
    trail.connection.execute(
        "DELETE FROM changes WHERE operation = 'UPDATE' AND after->>'id' > '1007'"
    )
    (lsn, xid), *_ = trail.connection.execute(
        "SELECT DISTINCT pg_lsn(commit_lsn), transaction_id FROM changes WHERE operation = 'UPDATE'"
    ).fetchall()
    output = sink_command("verify", code=GAP).output()
    assert f"gap: commit LSN {lsn}, transaction {xid} of " in output
    assert "public.task: 10 expected, 10 in .changes, 7 stored: 3 removed from the table" in output
    assert "4 transactions with 119 changes compared, 1 gaps" in output
    sink_command("verify", "--to-lsn", str(lsn), code=COMPLETE)
    sink_command("verify", "--from-lsn", str(lsn), code=GAP)
    assert "3 stored" in sink_command("replay", code=0).output()
    sink_command("verify", code=COMPLETE)
    trail.connection.execute(
        "CREATE TEMP TABLE copied AS SELECT * FROM changes WHERE operation = 'DELETE' LIMIT 1;"
        " UPDATE copied SET id = gen_random_uuid(); INSERT INTO changes SELECT * FROM copied"
    )
    output = sink_command("verify", code=GAP).output()
    assert "5 expected, 5 in .changes, 6 stored: more rows than the source has changes" in output


def test_verify_says_where_on_its_way_a_change_was_put_aside(
    wal: WalTopic, pipeline: Pipeline, sink_command: Run, trail: Trail
) -> None:
    malformed = usual_transaction(2)
    value = malformed.records[3].value
    assert value is not None
    malformed.records[3] = replace(
        malformed.records[3], value=value.replace(b'"txId":2', b'"txId":null')
    )
    gap = {"reason": "slot_lost", "from_lsn": "0/10", "to_lsn": "0/20"}
    recorded = WalTransaction(4, 4_000_000).begin().context(gap, prefix="_bemi_gap").end()
    wal.write([usual_transaction(1), malformed, usual_transaction(3), recorded])
    assert "does not exist" in sink_command("verify", code=NOT_COMPARED).output()
    wal.start_ready()
    wal.wait_for_changes(8)
    wal.wait_for_commit()
    sink = pipeline.start_stage("sink", [sys.executable, "-m", "sink_pg"], pipeline.environ)
    until_ready(sink)
    eventually(lambda: trail.count() == 8)
    output = sink_command("verify", code=GAP).output()
    assert "public.task: 3 expected, 2 in .changes, 2 stored: 1 put aside by the stitcher" in output
    assert "the producer recorded a gap before it: slot_lost from 0/10 to 0/20" in output
    assert "2 gaps" in output
    output = sink_command("verify", "--expect-ignored", "public.ta*", code=GAP).output()
    assert "1 changes left out as expected, 1 gaps" in output
    sink.kill()
    wal.write([usual_transaction(5)])
    wal.wait_for_changes(8 + 3)
    wal.wait_for_commit()
    output = sink_command("verify", "--from-lsn", "0/0", code=GAP).output()
    assert "the sink is 3 records behind in partition 1" in output
    assert "2 gaps" in output


HOOK = """
def reshape(change):
    return None if change["after"].get("title") == "secret" else {}
"""


def test_verify_tells_what_rules_left_out_from_what_was_lost(
    pipeline: Pipeline, sink_command: Run, trail: Trail, tmp_path: Path
) -> None:
    (tmp_path / "operators_hook.py").write_text(HOOK)
    plain = dict(pipeline.environ)
    pipeline.execute("CREATE TABLE task (id int PRIMARY KEY, title text, seen int)")
    pipeline.execute("ALTER TABLE task REPLICA IDENTITY FULL; CREATE TABLE log (line text)")
    pipeline.start("producer")
    pipeline.environ |= {
        "PYTHONPATH": str(tmp_path),
        "BEMI_STITCHER_IGNORE_TABLES": "public.log",
        "BEMI_STITCHER_IGNORE_UPDATES_OF": "public.task.seen",
        "BEMI_STITCHER_CHANGE_HOOK": "operators_hook.reshape",
    }
    pipeline.start("stitcher")
    pipeline.environ = plain
    pipeline.start("sink")
    pipeline.execute(
        "INSERT INTO task SELECT n, CASE n WHEN 7 THEN 'secret' ELSE 'x' END, 0"
        " FROM generate_series(1, 10) AS n; INSERT INTO log VALUES ('a'), ('b')"
    )
    pipeline.execute("UPDATE task SET seen = 1")
    pipeline.execute("INSERT INTO log SELECT 'c' FROM generate_series(1, 500)")
    pipeline.execute("UPDATE task SET title = 'y' WHERE id <= 3")
    pipeline.wait_for(None, 9 + 3)

    def compared() -> None:
        assert (
            "4 transactions with 525 changes compared, 513 changes left out by the stitcher's"
            " rules, complete"
        ) in sink_command("verify", code=COMPLETE).output()

    eventually(compared)
    trail.connection.execute("DELETE FROM changes WHERE primary_key IN ('4', '5')")
    output = sink_command("verify", code=GAP).output()
    assert "public.task: 9 expected, 9 in .changes, 7 stored: 2 removed from the table" in output
    assert "1 gaps" in output


def test_destination_that_does_not_answer_is_no_gap(pipeline: Pipeline, sink_command: Run) -> None:
    pipeline.environ["DB_PORT"] = str(free_port())
    output = sink_command("verify", code=NOT_COMPARED).output()
    assert "could not compare: cannot connect to the destination" in output
    assert "Traceback" not in output
