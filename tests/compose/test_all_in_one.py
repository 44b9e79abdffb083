"""The image that is everything but the database: it tracks the one that DB_* name."""

from __future__ import annotations

import psycopg

from tests.compose.engine import Engine
from tests.fixtures.postgres import Database
from tests.fixtures.waiting import eventually

READY_SECONDS = 240.0
IMAGE = "bemi/all-in-one:0.1.0"
NAMES = ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD")


def test_it_tracks_the_database_that_it_is_told_of(engine: Engine, database: Database) -> None:
    variables = [f"--env={name}={database.environ.get(name, '')}" for name in NAMES]
    with database.connect() as connection:
        connection.execute("CREATE TABLE customer (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO customer VALUES (1, 'there before')")
    # The database is on this machine's own loopback.
    container = engine.docker("run", "--detach", "--network=host", *variables, IMAGE).strip()
    try:

        def is_running() -> None:
            assert "all is running" in engine.docker("logs", container), _log(engine, container)

        eventually(is_running, READY_SECONDS)
        with database.connect() as connection:
            connection.execute("UPDATE customer SET name = 'tracked from now on'")
            connection.execute("CREATE TABLE todo (id int PRIMARY KEY, title text)")
            connection.execute("INSERT INTO todo VALUES (1, 'Sleep')")
            assert eventually(lambda: _changes(connection)) == [("CREATE", "Sleep")]
            (tracked,) = connection.execute(
                """SELECT operation, after ->> 'name' FROM changes WHERE "table" = 'customer'"""
            ).fetchall()
            assert tracked == ("UPDATE", "tracked from now on")
            engine.docker("stop", "--time=60", container)
            code = engine.docker("inspect", "--format={{.State.ExitCode}}", container)
            assert code.strip() == "0"
            # What is changed meanwhile waits in the server's log, where it was in the volume.
            connection.execute("UPDATE todo SET title = 'Wake'")
            engine.docker("start", container)
            found = eventually(lambda: _changes(connection)[1:], READY_SECONDS)
            assert found == [("UPDATE", "Wake")]
    finally:
        engine.docker("rm", "--force", "--volumes", container)


def test_without_a_database_it_says_what_to_give(engine: Engine) -> None:
    container = engine.docker("create", IMAGE).strip()
    try:
        engine.docker("start", container)
        assert engine.docker("wait", container).strip() == "2"
        done = engine.run(["sh", "-c", f"docker logs {container} 2>&1"])
        assert "say which database to track" in done
    finally:
        engine.docker("rm", "--force", "--volumes", container)


def test_it_runs_without_rights_and_has_no_compiler(engine: Engine) -> None:
    found = engine.docker(
        *("run", "--rm", "--cap-drop=ALL", "--entrypoint=sh", IMAGE),
        *("-c", "id -u; command -v gcc cc javac jlink; true"),
    )
    assert found.split() == ["10001"]


def _changes(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return connection.execute(
        """SELECT operation, after ->> 'title' FROM changes WHERE "table" = 'todo'
           ORDER BY commit_lsn, ordinal"""
    ).fetchall()


def _log(engine: Engine, container: str) -> str:
    return engine.run(["sh", "-c", f"docker logs --tail 30 {container} 2>&1"])
