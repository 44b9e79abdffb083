"""Make the sink's tables, and bring those of an earlier version up to date. Edge: SQL.

Each migration is one transaction and is recorded in it, under a lock that every sink takes:
several may start at once, and one that is killed half-way has changed nothing. A table
`changes` of another maker is left alone.
"""

from __future__ import annotations

import logging

import psycopg

from sink_pg.errors import ForeignChangesTable, NewerTables
from sink_pg.pg_connection import Connection, stage_error
from sink_pg.statements import Migration, migrations, statement

log = logging.getLogger(__name__)


def migrate(connection: Connection) -> list[int]:
    """Apply the migrations that the destination lacks and return their numbers.

    Needs no right to create anything where there are none to apply.
    """
    try:
        _refuse_unknown_tables(connection)
        return [
            migration.version
            for migration in migrations()
            if _is_newly_applied(connection, migration)
        ]
    except psycopg.Error as error:
        raise stage_error(error) from error


def has_foreign_table(connection: Connection) -> bool:
    """Return whether a table `changes` stands there that no sink made."""
    _, has_changes = _tables(connection)
    return has_changes and not _applied(connection)


def _is_newly_applied(connection: Connection, migration: Migration) -> bool:
    if migration.version in _applied(connection):
        return False
    with connection.transaction():
        connection.execute(statement("begin_migration"))
        # Another sink may have been first while this one waited for the lock.
        if migration.version in _applied(connection):
            return False
        _refuse_unknown_tables(connection)
        has_migrations, _ = _tables(connection)
        if not has_migrations:
            connection.execute(statement("create_migrations"))
        connection.execute(migration.statements)
        connection.execute(
            statement("record_migration"), {"version": migration.version, "name": migration.name}
        )
    log.info("applied migration %04d_%s", migration.version, migration.name)
    return True


def _refuse_unknown_tables(connection: Connection) -> None:
    if has_foreign_table(connection):
        raise ForeignChangesTable
    applied = _applied(connection)
    newest = max((migration.version for migration in migrations()), default=0)
    if applied and max(applied) > newest:
        raise NewerTables(
            f"the destination's tables were made by a newer version (migration {max(applied)},"
            f" this one knows {newest}); install that version"
        )


def _applied(connection: Connection) -> set[int]:
    has_migrations, _ = _tables(connection)
    if not has_migrations:
        return set()
    rows = connection.execute(statement("applied_migrations"))
    return {version for (version,) in rows if isinstance(version, int)}


def _tables(connection: Connection) -> tuple[bool, bool]:
    row = connection.execute(statement("find_tables")).fetchone()
    if row is None:
        return False, False
    return bool(row[0]), bool(row[1])
