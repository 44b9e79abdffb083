"""A given database is looked at before anything is started."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.databases import (
    LogicalDecodingOff,
    UnreachableDatabase,
    require_logical_decoding,
)
from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from deploy.local.requirements import missing
from tests.fixtures.postgres import Database
from tests.fixtures.servers import unavailable


@pytest.fixture
def server_without_logical_decoding() -> Iterator[LocalPostgres]:
    """A PostgreSQL as it is installed: wal_level=replica."""
    if problems := missing(kafka=False):
        unavailable(problems[0])
    with tempfile.TemporaryDirectory(prefix="bemi-tests-") as name:
        Path(name).chmod(0o711)
        settings = {"fsync": "off", "wal_level": "replica"}
        server = LocalPostgres(Path(name) / "postgres", free_port(), settings=settings)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def test_a_database_that_can_be_decoded_is_taken(database: Database) -> None:
    require_logical_decoding(database.environ)


def test_a_server_without_logical_decoding_is_told_what_to_run(
    server_without_logical_decoding: LocalPostgres,
) -> None:
    server = server_without_logical_decoding
    environ = {
        "DB_HOST": server.host,
        "DB_PORT": str(server.port),
        "DB_NAME": "postgres",
        "DB_USER": server.user,
        "DB_PASSWORD": server.password,
    }

    with pytest.raises(LogicalDecodingOff) as raised:
        require_logical_decoding(environ)

    message = str(raised.value)
    assert "wal_level of 127.0.0.1" in message
    assert "ALTER SYSTEM SET wal_level = logical;" in message
    assert "\n" not in message


def test_a_database_that_does_not_answer_is_named_in_one_line() -> None:
    port = str(free_port())

    with pytest.raises(UnreachableDatabase) as raised:
        require_logical_decoding({"DB_HOST": "127.0.0.1", "DB_PORT": port, "DB_NAME": "shop"})

    assert f"shop at 127.0.0.1:{port}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_wrong_password_is_refused_without_being_shown(database: Database) -> None:
    with pytest.raises(UnreachableDatabase) as raised:
        require_logical_decoding(database.environ | {"DB_PASSWORD": "s3cret"})

    assert "s3cret" not in str(raised.value)
