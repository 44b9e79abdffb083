"""Another server, or another history of the same: backups, promotions, failovers, standbys."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.postgres import LocalPostgres
from deploy.local.process import ChildProcess
from tests.fixtures.capture import Capture
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres_majors import capture_of
from tests.fixtures.stages import StartStage
from tests.fixtures.standbys import STANDBY_SLOT, Servers
from tests.fixtures.waiting import eventually

ACCEPT_GAP = {"BEMI_PRODUCER_ACCEPT_GAP": "true"}


@pytest.fixture
def todo(
    primary: LocalPostgres, kafka_broker: KafkaBroker, topic_prefix: str, start_stage: StartStage
) -> Iterator[Capture]:
    """Return a capture of a table in a database of the primary."""
    with capture_of(primary, kafka_broker, topic_prefix, start_stage) as capture:
        capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
        yield capture


def _insert(server: LocalPostgres, capture: Capture, number: int) -> None:
    with psycopg.connect(server.dsn(capture.slot_name), autocommit=True) as connection:
        connection.execute("INSERT INTO todo VALUES (%s)", [number])


def _capture_one(server: LocalPostgres, capture: Capture, number: int) -> None:
    """Run a producer for one row and let it end in order."""
    stage = capture.start()
    seen = capture.ids()
    _insert(server, capture, number)
    capture.wait_for_ids([*seen, number])
    _end(stage)


def _end(stage: ChildProcess) -> None:
    stage.terminate()
    assert stage.wait(30) == 0


def _at(server: LocalPostgres) -> dict[str, str]:
    return {"DB_HOST": server.host, "DB_PORT": str(server.port)}


def test_a_server_restored_from_a_backup_is_refused_or_the_gap_is_recorded(
    servers: Servers, primary: LocalPostgres, todo: Capture
) -> None:
    _capture_one(primary, todo, 1)
    primary.stop()
    data = servers.folder("primary") / "data"
    backup = data.with_name("backup")
    shutil.copytree(data, backup, copy_function=_copy_with_owner)
    primary.start()
    _capture_one(primary, todo, 2)
    primary.stop()
    shutil.rmtree(data)
    backup.rename(data)
    owner = (data / "PG_VERSION").stat()
    for path in [data, *data.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    primary.start()
    line = todo.refused()
    assert "was restored from a backup" in line
    stage = todo.start(**ACCEPT_GAP)
    _insert(primary, todo, 3)
    todo.wait_for_ids([1, 2, 3])
    assert [gap["reason"] for gap in todo.gaps()] == ["server_went_back"]
    assert stage.is_running


def test_another_server_is_refused_although_slot_and_database_have_the_same_names(
    servers: Servers, primary: LocalPostgres, todo: Capture
) -> None:
    _capture_one(primary, todo, 1)
    other = servers.make("other")
    other.start()
    other.ensure_database(todo.slot_name)
    environ = _at(other) | {"DB_PASSWORD": other.password}
    assert "with system identifier" in todo.refused(**environ)
    with psycopg.connect(other.dsn(todo.slot_name), autocommit=True) as connection:
        connection.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    todo.start(**environ, **ACCEPT_GAP)
    _insert(other, todo, 2)
    todo.wait_for_ids([1, 2])
    (gap,) = todo.gaps()
    assert gap["reason"] == "other_server"
    assert gap["from_system_identifier"] != gap["to_system_identifier"]


def test_a_new_timeline_that_has_everything_is_gone_on_from(
    servers: Servers, primary: LocalPostgres, todo: Capture
) -> None:
    _capture_one(primary, todo, 1)
    primary.stop()
    signal_file = servers.folder("primary") / "data" / "recovery.signal"
    signal_file.touch()
    owner = signal_file.parent.stat()
    os.chown(signal_file, owner.st_uid, owner.st_gid)
    primary.start()
    _wait_until_promoted(primary)
    _insert(primary, todo, 2)
    stage = todo.start()
    _insert(primary, todo, 3)
    todo.wait_for_ids([1, 2, 3])
    assert todo.gaps() == []
    assert stage.is_running


def test_a_promoted_standby_that_lacks_the_end_is_refused_or_the_gap_is_recorded(
    servers: Servers, primary: LocalPostgres, todo: Capture
) -> None:
    standby = servers.standby_of(primary, primary_slot_name=STANDBY_SLOT)
    _capture_one(primary, todo, 1)
    standby.stop()
    _capture_one(primary, todo, 2)
    primary.kill()
    standby.start()
    _promote(standby)
    line = todo.refused(**_at(standby))
    assert "the server that was promoted had received only those up to" in line
    todo.start(**_at(standby), **ACCEPT_GAP)
    _insert(standby, todo, 3)
    todo.wait_for_ids([1, 2, 3])
    (gap,) = todo.gaps()
    assert gap["reason"] == "history_diverged"
    assert (gap["from_timeline"], gap["to_timeline"]) == (1, 2)


@pytest.mark.parametrize("servers", [18], indirect=True)
def test_a_failover_slot_goes_over_to_the_promoted_standby_and_nothing_is_lost(
    servers: Servers, primary: LocalPostgres, todo: Capture
) -> None:
    standby = servers.standby_of(
        primary, primary_slot_name=STANDBY_SLOT, sync_replication_slots="on"
    )
    stage = todo.start(BEMI_PRODUCER_SLOT_FAILOVER="true")
    _insert(primary, todo, 1)
    todo.wait_for_ids([1])
    synced = "SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = %s"
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as connection:
        eventually(lambda: connection.execute(synced, [todo.slot_name]).fetchone() == (True,), 60)
        _end(stage)
        _insert(primary, todo, 2)
        end = todo.execute("SELECT pg_current_wal_lsn()::text")[0][0]
        received = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        eventually(lambda: connection.execute(received, [end]).fetchone() == (True,))
    primary.kill()
    _promote(standby)
    _insert(standby, todo, 3)
    todo.start(**_at(standby))
    todo.wait_for_ids([1, 2, 3])
    assert todo.gaps() == []


@pytest.mark.parametrize("servers", [16], indirect=True)
def test_a_standby_can_be_captured_from_and_its_gaps_are_published_all_the_same(
    servers: Servers, primary: LocalPostgres, todo: Capture
) -> None:
    todo.execute("CREATE PUBLICATION bemi FOR ALL TABLES")
    standby = servers.standby_of(primary, primary_slot_name=STANDBY_SLOT)
    stage = _start_on_standby(todo, standby)
    _insert(primary, todo, 1)
    todo.wait_for_ids([1])
    _end(stage)
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as connection:
        eventually(lambda: connection.execute(drop).rowcount == 1)
    assert "is gone" in todo.refused(**_at(standby))
    _start_on_standby(todo, standby, **ACCEPT_GAP)
    _insert(primary, todo, 2)
    todo.wait_for_ids([1, 2])
    assert [gap["reason"] for gap in todo.gaps()] == ["slot_missing"]


def _start_on_standby(capture: Capture, standby: LocalPostgres, **environ: str) -> ChildProcess:
    stage = capture.launch(**_at(standby), **environ)

    def is_ready() -> bool:
        assert stage.is_running, stage.output()
        # A standby's slot begins at the next note of the primary about its transactions.
        capture.execute("SELECT pg_log_standby_snapshot()")
        return "ready" in stage.output()

    eventually(is_ready)
    return stage


def _promote(standby: LocalPostgres) -> None:
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
    _wait_until_promoted(standby)


def _wait_until_promoted(server: LocalPostgres) -> None:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        eventually(lambda: connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,))


def _copy_with_owner(source: str, target: str) -> None:
    shutil.copy2(source, target)
    owner = Path(source).stat()
    os.chown(target, owner.st_uid, owner.st_gid)
