"""A destination whose disk is full: the sink waits, and goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.postgres import Database, PostgresServer
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import ChangesTopic, StartSink, Trail
from tests.integration.sink_pg.test_delivery import numbered, until_stored

ROWS = 20_000
TOO_SMALL = "8m"
LARGE_ENOUGH = "256m"


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system of a few megabytes with a tablespace on it."""

    folder: Path
    tablespace: str

    def grow(self) -> None:
        """Make room, with what is on it kept."""
        _run("mount", "-o", f"remount,size={LARGE_ENOUGH}", str(self.folder))


@pytest.fixture
def small_disk(postgres_server: PostgresServer, server_folder: Path) -> Iterator[SmallDisk]:
    """Mount it and make the tablespace; to be asked for before the database that uses it."""
    data = server_folder / "postgres" / "data"
    if os.geteuid() != 0 or not data.exists():
        pytest.skip("only root may mount a small disk, for a server on this machine")
    folder = server_folder / f"disk-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={TOO_SMALL}", "tmpfs", str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no disk can be mounted here: {error.stderr}")
    try:
        owner = data.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        disk = SmallDisk(folder, folder.name.replace("-", "_"))
        with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE {disk.tablespace} LOCATION '{folder}'")
            try:
                yield disk
            finally:
                connection.execute(f"DROP TABLESPACE {disk.tablespace}")
    finally:
        _run("umount", str(folder))


def test_full_disk_loses_and_doubles_nothing(
    small_disk: SmallDisk,
    database: Database,
    changes_topic: ChangesTopic,
    start_sink: StartSink,
    trail: Trail,
) -> None:
    trail.connection.execute(
        f"ALTER DATABASE {database.name} SET default_tablespace = {small_disk.tablespace}"
    )
    changes_topic.publish(numbered(ROWS))
    sink = start_sink(BEMI_SINK_BATCH_ROWS="1000")
    eventually(lambda: "No space left on device" in sink.output(), timeout_seconds=60.0)
    stored = trail.count()
    assert stored < ROWS
    assert trail.progress() == {0: stored}
    small_disk.grow()
    until_stored(trail, ROWS)
    assert trail.dead_letters() == []
    assert sink.is_running


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
