"""Whatever happens to server, network, Kafka or producer: nothing lost, nothing skipped.

Each test lets something go wrong while rows are written, and then compares what arrived with
what the database says was written: every row, in the order of the commits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from schemas.change_id import parse_lsn
from tests.fixtures.capture import Capture
from tests.fixtures.network import cutting_proxy
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import eventually

PAUSE_SECONDS = 0.01  # Between two inserts, so that what reads the topic again keeps up.


@pytest.fixture
def todo(capture: Capture) -> Capture:
    """Return a capture of an empty table, its producer not started."""
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    return capture


def _insert(capture: Capture, *ids: int) -> None:
    for each in ids:
        capture.execute("INSERT INTO todo VALUES (%s)", [each])


@contextmanager
def _steady_inserts(capture: Capture) -> Iterator[list[int]]:
    """Insert row after row meanwhile, over a connection that is made again when it breaks."""
    ending = threading.Event()
    failures: list[Exception] = []

    def insert() -> None:
        number = 0
        connection = None
        while not ending.is_set():
            try:
                connection = connection or psycopg.connect(
                    capture.connection.info.dsn,
                    password=capture.environ["DB_PASSWORD"],
                    connect_timeout=5,
                    autocommit=True,
                )
                connection.execute("INSERT INTO todo VALUES (%s) ON CONFLICT DO NOTHING", [number])
                number += 1
                ending.wait(PAUSE_SECONDS)
            except psycopg.OperationalError:
                connection = None
                ending.wait(0.1)
            except Exception as error:
                failures.append(error)
                return
        if connection is not None:
            connection.close()

    thread = threading.Thread(target=insert)
    thread.start()
    committed: list[int] = []
    try:
        yield committed
    finally:
        ending.set()
        thread.join()
    assert failures == []
    with psycopg.connect(
        capture.connection.info.dsn, password=capture.environ["DB_PASSWORD"]
    ) as connection:
        committed += [row[0] for row in connection.execute("SELECT id FROM todo ORDER BY id")]


def test_the_position_is_stored_before_it_is_confirmed(todo: Capture) -> None:
    todo.start()
    for number in range(20):
        _insert(todo, number)
        stored, confirmed = None, todo.confirmed_lsn()
        stored = todo.stored_lsn()
        assert stored is not None
        assert stored >= confirmed
    end = todo.current_lsn()
    eventually(lambda: todo.confirmed_lsn() >= end)


def test_the_position_is_not_confirmed_while_it_cannot_be_stored(todo: Capture) -> None:
    todo.start()
    _insert(todo, 1)
    todo.wait_for_ids([1])
    todo.kafka_broker.kill()
    before = todo.current_lsn()
    _insert(todo, 2)
    received = (
        "SELECT write_lsn::text FROM pg_stat_replication WHERE application_name LIKE 'bemi%%'"
    )
    eventually(lambda: any(parse_lsn(lsn) > before for (lsn,) in todo.execute(received) if lsn))
    assert todo.confirmed_lsn() <= before
    todo.kafka_broker.start()
    todo.wait_for_ids([1, 2])
    eventually(lambda: todo.confirmed_lsn() > before)


def test_the_offset_store_grows_by_about_one_record_a_second(todo: Capture) -> None:
    todo.start()
    with _steady_inserts(todo) as committed:
        eventually(lambda: len(todo.ids()) > 300)
    todo.wait_for_ids(committed)
    records = todo.records(f"{todo.topic_prefix}.producer-offsets")
    assert len(records) < 60


def test_nothing_is_lost_when_producer_server_and_broker_are_killed_in_turn(
    todo: Capture, postgres_server: PostgresServer
) -> None:
    stage = todo.start()
    with _steady_inserts(todo) as committed:
        for kill in (stage.kill, postgres_server.kill, todo.kafka_broker.kill):
            seen = len(todo.ids())
            kill()
            postgres_server.start()
            todo.kafka_broker.start()
            if not stage.is_running:
                stage.start()
            eventually(lambda seen=seen: len(todo.ids()) > seen + 20, 60)  # type: ignore[misc]
    todo.wait_for_ids(committed)


def test_it_goes_on_after_the_server_was_restarted_in_order(
    todo: Capture, postgres_server: PostgresServer
) -> None:
    stage = todo.start()
    with _steady_inserts(todo) as committed:
        eventually(lambda: len(todo.ids()) > 20)
        postgres_server.restart()
        seen = len(todo.ids())
        eventually(lambda: len(todo.ids()) > seen + 20, 60)
    todo.wait_for_ids(committed)
    assert stage.is_running


def test_a_broker_that_is_away_for_longer_than_wal_sender_timeout_costs_no_connection(
    todo: Capture,
) -> None:
    stage = todo.start(BEMI_PRODUCER_DATABASE_INITIAL_STATEMENTS="SET wal_sender_timeout = '2s'")
    _insert(todo, 1)
    todo.wait_for_ids([1])
    query = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
    reader = todo.execute(query, [todo.slot_name])
    todo.kafka_broker.kill()
    _insert(todo, 2)
    waited = "SELECT pg_sleep(6)"  # Three times the timeout, on the server's own clock.
    todo.execute(waited)
    assert todo.execute(query, [todo.slot_name]) == reader
    todo.kafka_broker.start()
    todo.wait_for_ids([1, 2])
    assert todo.execute(query, [todo.slot_name]) == reader
    assert "trying again" not in stage.output()


def test_a_connection_that_died_without_a_word_is_noticed_and_made_again(
    todo: Capture, postgres_server: PostgresServer
) -> None:
    with cutting_proxy(postgres_server.host, postgres_server.port) as proxy:
        stage = todo.start(
            DB_HOST="127.0.0.1",
            DB_PORT=str(proxy.port),
            BEMI_PRODUCER_CONNECTION_VALIDATION_TIMEOUT_MS="2000",
            BEMI_PRODUCER_DATABASE_QUERY_TIMEOUT_MS="2000",
        )
        _insert(todo, 1)
        todo.wait_for_ids([1])
        proxy.swallow_all()
        _insert(todo, 2)
        eventually(lambda: "trying again" in stage.output())
        # The server still believes in the old reader, as after a cut cable.
        todo.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
            " WHERE slot_name = %s AND active",
            [todo.slot_name],
        )
        proxy.restore()
        _insert(todo, 3)
        todo.wait_for_ids([1, 2, 3])
        assert stage.is_running


def test_a_silent_server_that_is_only_idle_is_not_given_up(todo: Capture) -> None:
    stage = todo.start(
        BEMI_PRODUCER_CONNECTION_VALIDATION_TIMEOUT_MS="1000",
        BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS="0",
    )
    todo.execute("SELECT pg_sleep(4)")
    _insert(todo, 1)
    todo.wait_for_ids([1])
    assert "trying again" not in stage.output()


def test_a_publication_dropped_while_it_runs_stops_it_and_skips_nothing(todo: Capture) -> None:
    stage = todo.start()
    _insert(todo, 1)
    todo.wait_for_ids([1])
    before = todo.current_lsn()
    todo.execute("DROP PUBLICATION bemi")
    _insert(todo, 2)
    assert stage.wait(60) == 2
    assert "was dropped" in stage.output()
    stored = todo.stored_lsn()
    assert stored is not None
    assert stored <= before


@pytest.mark.parametrize(
    "statement",
    ["ALTER PUBLICATION bemi SET (publish = 'update')", "ALTER PUBLICATION bemi DROP TABLE todo"],
)
def test_a_publication_narrowed_while_it_runs_stops_it_and_skips_nothing(
    todo: Capture, statement: str
) -> None:
    todo.execute("CREATE PUBLICATION bemi FOR TABLE todo")
    stage = todo.start()
    _insert(todo, 1)
    todo.wait_for_ids([1])
    before = todo.current_lsn()
    todo.execute(statement)
    _insert(todo, 2)
    assert stage.wait(60) == 2
    assert "BEMI_PRODUCER_ACCEPT_GAP=true" in stage.output()
    stored = todo.stored_lsn()
    assert stored is not None
    assert stored <= before


def test_a_table_added_to_the_publication_while_it_runs_is_captured(todo: Capture) -> None:
    todo.execute("CREATE TABLE note (id int PRIMARY KEY)")
    todo.execute("CREATE PUBLICATION bemi FOR TABLE todo")
    stage = todo.start()
    _insert(todo, 1)
    todo.execute("ALTER PUBLICATION bemi ADD TABLE note")
    todo.execute("INSERT INTO note VALUES (7)")
    todo.wait_for_ids([7], "note")
    eventually(lambda: "nothing is missing by it" in stage.output())
    assert stage.is_running


def test_a_table_altered_dropped_and_made_again_while_it_runs_loses_no_row(todo: Capture) -> None:
    stage = todo.start()
    _insert(todo, 1)
    todo.execute("ALTER TABLE todo ADD COLUMN note text")
    todo.execute("INSERT INTO todo VALUES (2, 'a')")
    todo.execute("ALTER TABLE todo ALTER COLUMN id TYPE bigint")
    todo.execute("INSERT INTO todo VALUES (3, 'b')")
    todo.execute("ALTER TABLE todo RENAME TO done")
    todo.execute("INSERT INTO done VALUES (4, 'c')")
    todo.execute("DROP TABLE done")
    todo.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    _insert(todo, 5)
    todo.wait_for_ids([1, 2, 3, 5])
    todo.wait_for_ids([4], "done")
    assert stage.is_running


def test_while_a_slot_is_being_made_it_says_whom_it_waits_for(
    todo: Capture, postgres_server: PostgresServer
) -> None:
    with psycopg.connect(
        todo.connection.info.dsn,
        password=todo.environ["DB_PASSWORD"],
        application_name="long report",
    ) as old:
        old.execute("INSERT INTO todo VALUES (1)")
        stage = todo.launch()
        eventually(lambda: "the slot waits for the transaction of process" in stage.output())
        assert f"process {old.info.backend_pid} (bemi, long report)" in stage.output()
    eventually(lambda: "ready" in stage.output())
    _insert(todo, 2)
    todo.wait_for_ids([2])


def test_it_can_be_stopped_while_a_slot_is_being_made(todo: Capture) -> None:
    with psycopg.connect(todo.connection.info.dsn, password=todo.environ["DB_PASSWORD"]) as old:
        old.execute("INSERT INTO todo VALUES (1)")
        stage = todo.launch()
        eventually(lambda: "the slot waits for the transaction of process" in stage.output())
        stage.terminate()
        assert stage.wait(30) == 0
        eventually(lambda: todo.slot() is None)
