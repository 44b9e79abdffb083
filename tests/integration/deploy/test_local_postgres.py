"""The local PostgreSQL starts, stops, is killed and starts again with its data."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from deploy.local import process_table
from deploy.local.ports import free_port, is_listening
from deploy.local.postgres import LocalPostgres
from deploy.local.postgres_account import RootRefused
from deploy.local.requirements import MissingRequirements, missing
from tests.fixtures.servers import unavailable


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that accounts other than this one can enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="bemi-tests-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[LocalPostgres]:
    """A PostgreSQL of the test's own."""
    if problems := missing(kafka=False):
        unavailable(problems[0])
    server = LocalPostgres(folder / "postgres", free_port(), settings={"fsync": "off"})
    yield server
    server.kill()


def _stored(server: LocalPostgres) -> list[tuple[object, ...]]:
    with closing(psycopg.connect(server.dsn("postgres"), autocommit=True)) as connection:
        return connection.execute("SELECT * FROM kept").fetchall()


def _store(server: LocalPostgres) -> None:
    with closing(psycopg.connect(server.dsn("postgres"), autocommit=True)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")


def test_data_is_kept_over_stop_kill_and_start_on_one_port(server: LocalPostgres) -> None:
    port = server.port
    server.start()
    _store(server)

    server.stop()
    assert not server.is_running
    assert not is_listening(port)
    server.start()
    assert _stored(server) == [(1,)]

    server.kill()
    assert not server.is_running
    server.start()
    assert _stored(server) == [(1,)]
    assert server.port == port


def test_kill_leaves_no_process_behind(server: LocalPostgres) -> None:
    server.start()
    with closing(psycopg.connect(server.dsn("postgres"))) as connection:
        backend = connection.info.backend_pid
        assert process_table.is_alive(backend)
        server.kill()
        assert not process_table.is_alive(backend)


def test_another_object_takes_the_folder_over_with_its_password(
    server: LocalPostgres, folder: Path
) -> None:
    server.start()
    _store(server)
    server.stop()

    second = LocalPostgres(folder / "postgres", free_port())
    try:
        second.start()
        assert second.password == server.password
        assert _stored(second) == [(1,)]
    finally:
        second.kill()


def test_logical_decoding_is_on_and_passwords_are_asked_for(server: LocalPostgres) -> None:
    server.start()

    with closing(psycopg.connect(server.dsn("postgres"))) as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.dsn("postgres"), password="guessed")


def test_password_is_readable_by_its_owner_alone(server: LocalPostgres, folder: Path) -> None:
    server.start()

    assert (folder / "postgres" / "password").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_only_this_account_can_enter_is_served_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = LocalPostgres(tmp_path / "postgres", free_port(), settings={"fsync": "off"})
    try:
        server.start()
    except RootRefused:
        pytest.skip("this system lets root make no user namespace")
    try:
        _store(server)
        server.kill()
        server.start()
        assert _stored(server) == [(1,)]
    finally:
        server.kill()


def test_a_lock_file_that_names_another_program_does_not_stop_the_start(
    server: LocalPostgres, folder: Path
) -> None:
    server.start()
    lock = folder / "postgres" / "data" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    server.kill()
    # As after the crash of a machine: the id belongs to somebody else now.
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    server.start()

    assert server.is_running


def test_a_server_left_over_by_a_crash_gives_way_to_the_next(
    server: LocalPostgres, folder: Path
) -> None:
    server.start()
    _store(server)
    second = LocalPostgres(folder / "postgres", free_port())
    try:
        second.start()

        assert not server.is_running
        assert _stored(second) == [(1,)]
    finally:
        second.kill()


def test_data_of_a_version_that_is_gone_is_left_alone_with_advice(folder: Path) -> None:
    data = folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("10\n")

    with pytest.raises(MissingRequirements, match="was made by PostgreSQL 10"):
        LocalPostgres(folder / "postgres", free_port())


def test_changed_settings_of_the_server_survive_a_restart(server: LocalPostgres) -> None:
    server.start()
    with closing(psycopg.connect(server.dsn("postgres"), autocommit=True)) as connection:
        connection.execute("ALTER SYSTEM SET max_connections = 77")

    server.restart()

    with closing(psycopg.connect(server.dsn("postgres"))) as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("77",)
