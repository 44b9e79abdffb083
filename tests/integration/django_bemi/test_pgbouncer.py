"""Contexts through PgBouncer in transaction mode, where a session is nobody's for long."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

import bemi
from deploy.local.ports import free_port
from deploy.local.postgres_account import unprivileged
from deploy.local.process import ChildProcess
from tests.fixtures.postgres import Database
from tests.fixtures.waiting import eventually
from tests.integration.django_bemi.conftest import use_database
from tests.integration.django_bemi.wal import Context, Wal

# Debian has it where only root's PATH looks.
PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


@pytest.fixture
def pooled(site: Database, server_folder: Path) -> Iterator[None]:
    """Let Django connect through a pool of one server connection, that of whoever comes."""
    assert Path(PROGRAM).exists(), "PgBouncer is missing: apt-get install pgbouncer"
    port = free_port()
    folder = server_folder / "pgbouncer"
    folder.mkdir()
    environ = site.environ
    (folder / "users.txt").write_text(f'"{environ["DB_USER"]}" "{environ["DB_PASSWORD"]}"\n')
    (folder / "pgbouncer.ini").write_text(f"""
        [databases]
        {site.name} = host={environ["DB_HOST"]} port={environ["DB_PORT"]}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = plain
        auth_file = users.txt
        pool_mode = transaction
        default_pool_size = 1
        ignore_startup_parameters = extra_float_digits,options
    """)
    way = unprivileged(folder, Path(PROGRAM))
    pgbouncer = ChildProcess(
        "pgbouncer",
        [*way.prefix, PROGRAM, "pgbouncer.ini"],
        log_path=folder / "pgbouncer.log",
        folder=folder,
        account=way.account,
    )
    pgbouncer.start()
    before = dict(connection.settings_dict)
    try:
        use_database(HOST="127.0.0.1", PORT=str(port), DISABLE_SERVER_SIDE_CURSORS=True)
        eventually(lambda: _answers(pgbouncer))
        yield
    finally:
        use_database(**before)
        pgbouncer.stop()


def _answers(pgbouncer: ChildProcess) -> bool:
    assert pgbouncer.is_running, pgbouncer.tail()
    try:
        connection.ensure_connection()
    except OperationalError:
        return False
    return True


def run(statement: str, parameters: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.mark.usefixtures("pooled")
def test_each_statement_carries_its_own_context_and_no_other_clients(
    wal: Wal, site: Database
) -> None:
    other = psycopg.connect(
        **{**connection.get_connection_params(), "cursor_factory": None}, autocommit=True
    )
    with other, bemi.context(user_id=1):
        run("INSERT INTO item (name) VALUES (%s)", ["one"])
        # On the same connection of the server, by somebody who knows nothing of contexts.
        other.execute("INSERT INTO item (name) VALUES ('other')")
        with transaction.atomic():
            run("INSERT INTO item (name) VALUES (%s)", ["two"])
            run("UPDATE item SET amount = 5 WHERE name = 'two'")
        with connection.cursor() as cursor, cursor.copy("COPY item (name) FROM STDIN") as copy:
            copy.write(b"three\n")
        other.execute("DELETE FROM item WHERE name = 'three'")
    entries = [
        entry.values["user_id"] if isinstance(entry, Context) else entry.operation
        for entry in wal.read()
    ]
    assert entries == [
        *[1, "INSERT", "INSERT", 1, "INSERT", 1, "UPDATE"],
        *[1, "INSERT", "DELETE"],
    ]
