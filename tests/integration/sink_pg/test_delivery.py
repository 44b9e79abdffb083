"""The sink as a process: each change once, whatever is redelivered, killed or moved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from schemas.change import Change
from sink_pg.pg_writer import PgWriter
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.network import cutting_proxy
from tests.fixtures.postgres import Database, PostgresServer
from tests.fixtures.stages import StageProcess
from tests.fixtures.topics import committed_offsets
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import ChangesTopic, StartSink, Trail, until_ready
from tests.unit.sink_pg.example_changes import EPOCH, change

ENDED_BY_A_PERSONS_CASE = 2
PATIENCE_SECONDS = 60.0


def numbered(count: int, first: int = 0) -> list[Change]:
    return [change(n) for n in range(first, first + count)]


def until_stored(trail: Trail, count: int) -> None:
    """Wait for so many rows, and see that they are that many different changes."""

    def has_all() -> None:
        assert trail.count() == count

    eventually(has_all, timeout_seconds=PATIENCE_SECONDS)
    assert len(set(trail.rows("id"))) == count


def until_ended(sink: StageProcess) -> int:
    assert eventually(lambda: not sink.is_running, timeout_seconds=PATIENCE_SECONDS)
    code = sink.wait(1.0)
    assert code is not None
    return code


@contextmanager
def load(topic: ChangesTopic, batches: int = 40, rows: int = 250) -> Iterator[int]:
    """Publish in the background, half to each partition; yields how many in the end."""

    def publish() -> None:
        for n in range(batches):
            topic.publish(numbered(rows, first=n * rows), partition=n % 2)

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        yield batches * rows
    finally:
        publishing.join()


def test_changes_are_stored_and_a_restart_goes_on_behind_them(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    changes_topic.publish(numbered(300))
    sink = start_sink()
    until_stored(trail, 300)
    sink.terminate()
    assert sink.wait(PATIENCE_SECONDS) == 0
    changes_topic.publish(numbered(100, first=300))
    start_sink()
    until_stored(trail, 400)
    assert trail.rows("commit_lsn") == [(n,) for n in range(400)]
    assert trail.progress() == {0: 400}


def test_sink_waits_for_a_topic_that_is_not_there_yet(
    unmade_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    sink = start_sink(wait_until_ready=False)
    eventually(lambda: "waiting for the topic" in sink.output(), timeout_seconds=PATIENCE_SECONDS)
    unmade_topic.make(partitions=1)
    until_ready(sink)
    unmade_topic.publish(numbered(10))
    until_stored(trail, 10)


def test_changes_published_again_are_stored_once(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    start_sink()
    for first in (0, 0, 50, 20):
        changes_topic.publish(numbered(100, first=first))
    until_stored(trail, 150)
    eventually(lambda: trail.progress() == {0: 400})
    until_stored(trail, 150)


def test_offsets_of_the_group_do_not_decide_where_reading_begins(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail, topic_prefix: str
) -> None:
    changes_topic.publish(numbered(100))
    sink = start_sink()
    until_stored(trail, 100)
    sink.terminate()
    assert sink.wait(PATIENCE_SECONDS) == 0
    trail.connection.execute("UPDATE bemi_sink_progress SET next_offset = 40, commit_lsn = 39")
    trail.connection.execute("DELETE FROM changes WHERE commit_lsn >= 40")
    rewound = ConsumerGroupTopicPartitions(
        f"{topic_prefix}-sink", [TopicPartition(changes_topic.name, 0, 95)]
    )
    changes_topic.admin.alter_consumer_group_offsets([rewound])[f"{topic_prefix}-sink"].result(
        timeout=30.0
    )
    start_sink()
    until_stored(trail, 100)


def test_group_shows_the_progress_to_those_who_watch_its_lag(
    changes_topic: ChangesTopic,
    start_sink: StartSink,
    trail: Trail,
    topic_prefix: str,
    kafka_broker: KafkaBroker,
) -> None:
    start_sink()
    changes_topic.publish(numbered(30))
    until_stored(trail, 30)
    group = f"{topic_prefix}-sink"

    def committed() -> bool:
        servers = kafka_broker.bootstrap_servers
        return committed_offsets(servers, group, changes_topic.name, partitions=1) == [30]

    eventually(committed, timeout_seconds=PATIENCE_SECONDS)


def test_sink_killed_under_load_stores_each_change_once(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    sink = start_sink(BEMI_SINK_BATCH_ROWS="100")
    with load(changes_topic) as total:
        for part in (0.1, 0.4):
            eventually(lambda part=part: trail.count() > total * part)  # type: ignore[misc]
            sink.kill()
            sink.start()
    until_stored(trail, total)


def test_postgres_killed_under_load_loses_and_doubles_nothing(
    changes_topic: ChangesTopic,
    start_sink: StartSink,
    database: Database,
    postgres_server: PostgresServer,
) -> None:
    sink = start_sink(BEMI_SINK_BATCH_ROWS="100")
    with load(changes_topic) as total:
        with database.connect() as connection:
            eventually(lambda: Trail(connection).count() > total * 0.1)
        postgres_server.kill()
        eventually(lambda: "trying again" in sink.output())
        postgres_server.start()
    with database.connect() as connection:
        until_stored(Trail(connection), total)
    assert sink.is_running


def test_broker_killed_under_load_loses_and_doubles_nothing(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail, kafka_broker: KafkaBroker
) -> None:
    sink = start_sink(BEMI_SINK_BATCH_ROWS="100")
    with load(changes_topic) as total:
        eventually(lambda: trail.count() > total * 0.1)
        kafka_broker.kill()
        kafka_broker.start()
    until_stored(trail, total)
    assert sink.is_running


def test_lost_answer_to_a_commit_doubles_nothing(
    changes_topic: ChangesTopic, start_sink: StartSink, database: Database, trail: Trail
) -> None:
    host, port = database.environ["DB_HOST"], int(database.environ["DB_PORT"])
    with cutting_proxy(host, port) as proxy:
        sink = start_sink(
            DESTINATION_DB_HOST="127.0.0.1",
            DESTINATION_DB_PORT=str(proxy.port),
            DESTINATION_DB_SSLMODE="disable",
        )
        changes_topic.publish(numbered(10))
        until_stored(trail, 10)
        proxy.cut_answer_to(b"COMMIT\0")
        changes_topic.publish(numbered(10, first=10))
        assert proxy.was_cut.wait(PATIENCE_SECONDS)
        changes_topic.publish(numbered(10, first=20))
        until_stored(trail, 30)
        assert trail.dead_letters() == []
        sink.terminate()
        assert sink.wait(PATIENCE_SECONDS) == 0


def test_two_sinks_share_the_partitions_and_one_takes_over(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    first = start_sink()
    second = start_sink()
    third = start_sink()
    for partition in (0, 1):
        changes_topic.publish(numbered(200, first=1_000 * partition), partition)
    until_stored(trail, 400)
    first.kill()
    second.kill()
    for partition in (0, 1):
        changes_topic.publish(numbered(200, first=1_000 * partition + 200), partition)
    until_stored(trail, 800)
    assert third.is_running


def test_progress_made_by_another_sink_is_respected(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    sink = start_sink()
    changes_topic.publish(numbered(10))
    until_stored(trail, 10)
    trail.connection.execute("UPDATE bemi_sink_progress SET next_offset = 20, commit_lsn = 19")
    changes_topic.publish(numbered(15, first=10))
    until_stored(trail, 15)
    assert trail.rows("commit_lsn")[10:] == [(n,) for n in range(20, 25)]
    assert "another sink" in sink.output()
    assert sink.is_running


def test_garbage_is_put_aside_and_the_rest_goes_on(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    sink = start_sink()
    changes_topic.publish([change(1), b"\x00garbage", b"{}", change(2)])
    until_stored(trail, 2)
    assert [letter[:2] for letter in trail.dead_letters()] == [(1, b"\x00garbage"), (2, b"{}")]
    assert "garbage" not in sink.output()


def test_changes_of_another_epoch_are_stored_although_they_step_back(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    start_sink()
    restored = type(EPOCH)(EPOCH.system_identifier + 1, 1, 4, "bemi", "app")
    changes_topic.publish(numbered(50, first=1_000))
    changes_topic.publish([change(n, epoch=restored) for n in range(50)])
    until_stored(trail, 100)


def test_value_of_five_megabytes_arrives_whole(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    start_sink()
    text = "five \\ \t\n" * 600_000
    changes_topic.publish([change(n, after={"text": text}) for n in range(8)])
    until_stored(trail, 8)
    assert trail.rows("(after ->> 'text') = repeat(E'five \\\\ \\t\\n', 600000)") == [(True,)] * 8


def test_records_removed_before_they_were_stored_stop_the_sink_and_are_named(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    changes_topic.publish(numbered(10))
    sink = start_sink()
    until_stored(trail, 10)
    sink.terminate()
    assert sink.wait(PATIENCE_SECONDS) == 0
    changes_topic.publish(numbered(10, first=10))
    changes_topic.admin.delete_records([TopicPartition(changes_topic.name, 0, 15)])[
        TopicPartition(changes_topic.name, 0, 15)
    ].result(timeout=30.0)
    sink = start_sink(wait_until_ready=False)
    assert until_ended(sink) == ENDED_BY_A_PERSONS_CASE
    assert "5 records were removed" in sink.output()
    assert trail.count() == 10


def test_topic_that_ends_before_what_was_stored_stops_the_sink(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    sink = start_sink()
    changes_topic.publish(numbered(10))
    until_stored(trail, 10)
    sink.terminate()
    assert sink.wait(PATIENCE_SECONDS) == 0
    trail.connection.execute("UPDATE bemi_sink_progress SET next_offset = 1000")
    sink = start_sink(wait_until_ready=False)
    assert until_ended(sink) == ENDED_BY_A_PERSONS_CASE
    assert "ends at 10" in sink.output()


def test_foreign_changes_table_stops_the_sink(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    trail.connection.execute("CREATE TABLE changes (id uuid)")
    sink = start_sink(wait_until_ready=False)
    assert until_ended(sink) == ENDED_BY_A_PERSONS_CASE
    assert "did not make" in sink.output()


def test_interrupt_ends_the_sink_while_its_database_is_away(
    changes_topic: ChangesTopic, start_sink: StartSink
) -> None:
    sink = start_sink(wait_until_ready=False, DESTINATION_DB_PORT="1")
    eventually(lambda: "trying again" in sink.output(), timeout_seconds=PATIENCE_SECONDS)
    sink.terminate()
    assert sink.wait(PATIENCE_SECONDS) == 0
    assert signal.SIGTERM.name in sink.output()


def test_interrupt_ends_the_sink_while_the_brokers_are_away(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail, kafka_broker: KafkaBroker
) -> None:
    sink = start_sink()
    changes_topic.publish(numbered(10))
    until_stored(trail, 10)
    kafka_broker.kill()
    sink.terminate()
    assert sink.wait(30.0) == 0
    kafka_broker.start()
    changes_topic.publish(numbered(10, first=10))
    start_sink()
    until_stored(trail, 20)


def test_running_sink_makes_partitions_ahead_and_removes_what_is_old(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    now = datetime.now(timezone.utc)
    changes_topic.publish([change(1, committed_at=now.isoformat())])
    sink = start_sink(BEMI_SINK_PARTITION_BY="day")
    until_stored(trail, 1)
    assert trail.rows("tableoid::regclass::text") == [(f"bemi_changes_y{now:%Ym%md%d}",)]
    changes_topic.publish([change(2, committed_at="2020-01-01T00:00:00Z")])
    until_stored(trail, 2)
    sink.terminate()
    assert sink.wait(PATIENCE_SECONDS) == 0
    start_sink(BEMI_RETENTION_DAYS="30")
    until_stored(trail, 1)
    assert trail.rows("commit_lsn") == [(1,)]


def test_sink_that_catches_up_makes_the_partitions_of_what_it_reads(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    months = ["2026-01", "2026-02", "2026-04"]
    changes_topic.publish(
        [change(n, committed_at=f"{month}-15T00:00:00Z") for n, month in enumerate(months)]
    )
    changes_topic.publish([change(9, committed_at="2199-01-01T00:00:00Z")])
    start_sink()
    until_stored(trail, 4)
    assert trail.rows("tableoid::regclass::text") == [
        ("bemi_changes_y2026m01",),
        ("bemi_changes_y2026m02",),
        ("bemi_changes_y2026m04",),
        ("bemi_changes_default",),
    ]


def test_role_that_may_only_write_rows_stores_them_and_says_what_to_run(
    changes_topic: ChangesTopic,
    start_sink: StartSink,
    trail: Trail,
    database: Database,
    writer: PgWriter,
) -> None:
    role = f"{database.name}_writer"
    trail.connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'writer'")
    try:
        trail.connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        trail.connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        sink = start_sink(DESTINATION_DB_USER=role, DESTINATION_DB_PASSWORD="writer")
        changes_topic.publish(numbered(10))
        until_stored(trail, 10)
        assert "Run `bemi-sink partitions`" in sink.output()
        sink.terminate()
        assert sink.wait(PATIENCE_SECONDS) == 0
    finally:
        trail.connection.execute(f"DROP OWNED BY {role}")
        trail.connection.execute(f"DROP ROLE {role}")
