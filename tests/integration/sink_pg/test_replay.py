"""`bemi-sink replay` on real servers: what is missing comes back, once, and nothing else moves."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest
from confluent_kafka import TopicPartition

from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import committed_offsets
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import ChangesTopic, StartSink, Trail
from tests.integration.sink_pg.test_delivery import numbered, until_stored
from tests.unit.sink_pg.example_changes import change

PATIENCE_SECONDS = 60.0
INTERRUPTED = 130
A_PERSON_MUST_ACT = 2

COMPARED = "id, before, after, context, committed_at, queued_at, transaction_id, position, epoch"

RunReplay = Callable[..., StageProcess]


@pytest.fixture
def replay(
    start_stage: StartStage, database: Database, kafka_broker: KafkaBroker, topic_prefix: str
) -> RunReplay:
    """Run `bemi-sink replay` to its end and see its exit code."""

    def run(*options: str, code: int = 0, **environ: str) -> StageProcess:
        command = start_stage(
            "replay",
            [sys.executable, "-m", "sink_pg", "replay", *options],
            {
                **database.environ,
                "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
                "BEMI_TOPIC_PREFIX": topic_prefix,
                **environ,
            },
        )
        assert command.wait(PATIENCE_SECONDS) == code, command.output()
        return command

    return run


@pytest.fixture
def stored(changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail) -> None:
    """Store 200 changes, half from each partition, and end the sink."""
    changes_topic.publish(numbered(100))
    changes_topic.publish(numbered(100, first=100), partition=1)
    sink = start_sink()
    until_stored(trail, 200)
    eventually(lambda: trail.progress() == {0: 100, 1: 100})
    sink.terminate()
    assert sink.wait(PATIENCE_SECONDS) == 0


def test_replay_stores_what_is_missing_and_nothing_twice(
    stored: None, replay: RunReplay, trail: Trail, kafka_broker: KafkaBroker, topic_prefix: str
) -> None:
    before = trail.rows(COMPARED)
    progress = trail.progress()
    group = (kafka_broker.bootstrap_servers, f"{topic_prefix}-sink", f"{topic_prefix}.changes", 2)
    committed = committed_offsets(*group)
    trail.connection.execute("DELETE FROM changes WHERE commit_lsn BETWEEN 40 AND 159")
    first = replay("--from-offset", "0:50", "--to", "0:60")
    assert "10 records read, 10 stored" in first.output()
    assert trail.count() == 90
    assert "200 records read, 110 stored" in replay().output()
    assert "200 records read, 0 stored" in replay().output()
    assert trail.rows(COMPARED) == before
    assert trail.progress() == progress
    assert committed_offsets(*group) == committed


def test_only_the_named_tables_are_replayed_and_from_the_named_time(
    changes_topic: ChangesTopic, replay: RunReplay, trail: Trail
) -> None:
    changes_topic.publish([change(n, table=f"order_{n % 2}") for n in range(10)])
    changes_topic.publish([change(n, table="task") for n in range(10, 20)])
    replay("--table", "public.order_*", "--from-time", "2020-01-01")
    assert trail.rows("commit_lsn") == [(n,) for n in range(10)]
    assert "0 records read" in replay("--from-time", "2100-01-01").output()


def test_replay_into_another_table_makes_it_like_changes(
    stored: None, replay: RunReplay, trail: Trail
) -> None:
    trail.connection.execute("DELETE FROM changes")
    for expected in ("200 stored", "0 stored"):
        assert expected in replay("--into", "bemi_changes_again").output()
    rows = trail.connection.execute("SELECT count(*), count(DISTINCT id) FROM bemi_changes_again")
    assert rows.fetchone() == (200, 200)
    assert trail.count() == 0


def test_table_that_cannot_take_changes_is_refused_with_what_it_lacks(
    changes_topic: ChangesTopic, replay: RunReplay, trail: Trail
) -> None:
    changes_topic.publish(numbered(1))
    trail.connection.execute("CREATE TABLE other (id uuid)")
    assert "lacks the columns after, before" in replay("--into", "other", code=2).output()
    assert "the sink's own" in replay("--into", "changes", code=2).output()


def test_replace_gives_stored_changes_what_was_stitched_last(
    changes_topic: ChangesTopic, start_sink: StartSink, replay: RunReplay, trail: Trail
) -> None:
    changes_topic.publish(change(n, context={}) for n in range(10))
    changes_topic.publish(change(n, context={"user": n}) for n in range(10))
    start_sink()
    until_stored(trail, 10)
    eventually(lambda: trail.progress() == {0: 20})
    assert "0 stored, 0 replaced" in replay().output()
    assert {context for (context,) in trail.rows("context::text")} == {"{}"}
    assert "0 stored, 10 replaced" in replay("--replace").output()
    assert trail.rows("context") == [({"user": n},) for n in range(10)]
    assert "0 stored, 0 replaced" in replay("--replace").output()


def test_offsets_that_are_not_there_are_named(
    changes_topic: ChangesTopic, replay: RunReplay, trail: Trail
) -> None:
    changes_topic.publish(numbered(10))
    assert "it ends at 10" in replay("--from-offset", "0:11", code=2).output()
    assert "no partition 7" in replay("--from-offset", "7:0", code=2).output()
    remove_before(changes_topic, 4)
    output = replay("--from-offset", "0:3", code=2).output()
    assert "retention removed everything before 4" in output
    replay("--from-offset", "0:4")
    assert trail.count() == 6


def test_replay_beside_the_running_sink_doubles_and_loses_nothing(
    changes_topic: ChangesTopic, start_sink: StartSink, replay: RunReplay, trail: Trail
) -> None:
    start_sink(BEMI_SINK_BATCH_ROWS="50")
    changes_topic.publish(numbered(3_000))
    replay(BEMI_SINK_BATCH_ROWS="70")
    until_stored(trail, 3_000)
    assert len(set(trail.rows("id"))) == 3_000


def test_interrupted_replay_names_where_the_rest_begins(
    changes_topic: ChangesTopic,
    start_stage: StartStage,
    replay: RunReplay,
    database: Database,
    kafka_broker: KafkaBroker,
    topic_prefix: str,
    trail: Trail,
) -> None:
    changes_topic.publish(numbered(300))
    replay("--to", "0:100")
    with database.connect() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE")
        command = start_stage(
            "replay",
            [sys.executable, "-m", "sink_pg", "replay", "--from-offset", "0:50"],
            {
                **database.environ,
                "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
                "BEMI_TOPIC_PREFIX": topic_prefix,
                "BEMI_SINK_BATCH_ROWS": "100",
            },
        )
        eventually(lambda: is_waiting_for_a_lock(database))
        command.send_signal(signal.SIGINT)
        eventually(lambda: "stopping on SIGINT" in command.output())
    assert command.wait(PATIENCE_SECONDS) == INTERRUPTED
    assert "the rest begins at --from-offset 0:150" in command.output()
    assert trail.count() == 150
    replay("--from-offset", "0:150")
    assert trail.count() == 300


def remove_before(topic: ChangesTopic, offset: int) -> None:
    """Remove the first records of partition 0, as retention does."""
    end = TopicPartition(topic.name, 0, offset)
    topic.admin.delete_records([end])[end].result(timeout=PATIENCE_SECONDS)


def is_waiting_for_a_lock(database: Database) -> bool:
    with database.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        ).fetchone()
    return row is not None and row[0] != 0


def test_record_that_is_no_change_is_put_aside_once(
    changes_topic: ChangesTopic, replay: RunReplay, trail: Trail
) -> None:
    changes_topic.publish([change(1), b"no change", change(2)])
    for _ in range(2):
        assert "1 could not be stored" in replay().output()
    assert trail.dead_letters() == [(1, b"no change", "the record is not a JSON object")]
    assert trail.count() == 2


def test_changes_older_than_the_retention_stay_away(
    changes_topic: ChangesTopic, replay: RunReplay, trail: Trail
) -> None:
    changes_topic.publish([change(1, committed_at="2001-01-01T00:00:00.000000Z"), change(2)])
    replay(BEMI_RETENTION_DAYS="3650")
    assert trail.rows("commit_lsn") == [(2,)]


def test_topic_that_does_not_exist_is_named(replay: RunReplay, topic_prefix: str) -> None:
    output = replay(code=A_PERSON_MUST_ACT).output()
    assert f"topic {topic_prefix}.changes does not exist" in output
