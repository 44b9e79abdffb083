"""The sink makes its tables once, and leaves those of others alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sink_pg.errors import DatabaseRefused, ForeignChangesTable, NewerTables
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings
from sink_pg.statements import migrations
from tests.fixtures.postgres import Database
from tests.integration.sink_pg.conftest import Trail
from tests.unit.sink_pg.example_changes import TOPIC

ALL = [migration.version for migration in migrations()]
BEMI_COLUMNS = [
    ("id", "uuid"),
    ("database", "character varying"),
    ("schema", "character varying"),
    ("table", "character varying"),
    ("primary_key", "character varying"),
    ("operation", "text"),
    ("before", "jsonb"),
    ("after", "jsonb"),
    ("context", "jsonb"),
    ("committed_at", "timestamp with time zone"),
    ("queued_at", "timestamp with time zone"),
    ("created_at", "timestamp with time zone"),
    ("transaction_id", "bigint"),
    ("position", "bigint"),
]


def test_table_begins_with_the_columns_of_bemi(writer: PgWriter, trail: Trail) -> None:
    columns = trail.connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = 'changes' ORDER BY ordinal_position"
    ).fetchall()
    assert columns[: len(BEMI_COLUMNS)] == BEMI_COLUMNS


def test_second_run_applies_nothing(settings: SinkSettings) -> None:
    writer = PgWriter(settings, TOPIC)
    assert [writer.migrate(), writer.migrate()] == [ALL, []]
    writer.close()


def test_several_sinks_may_start_at_once(settings: SinkSettings) -> None:
    writers = [PgWriter(settings, TOPIC) for _ in range(4)]
    with ThreadPoolExecutor(len(writers)) as pool:
        applied = list(pool.map(PgWriter.migrate, writers))
    assert sorted(version for versions in applied for version in versions) == ALL
    for writer in writers:
        writer.close()


def test_changes_table_of_another_maker_is_left_alone(settings: SinkSettings, trail: Trail) -> None:
    trail.connection.execute("CREATE TABLE changes (id uuid PRIMARY KEY, position bigint)")
    with pytest.raises(ForeignChangesTable, match="DESTINATION_DB_NAME"):
        PgWriter(settings, TOPIC).migrate()
    tables = trail.connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    ).fetchall()
    assert tables == [("changes",)]


def test_tables_of_a_newer_version_are_refused(
    writer: PgWriter, settings: SinkSettings, trail: Trail
) -> None:
    trail.connection.execute("INSERT INTO bemi_migrations VALUES (9999, 'from_the_future')")
    with pytest.raises(NewerTables, match="9999"):
        PgWriter(settings, TOPIC).migrate()


def test_role_without_rights_is_told_what_it_needs_and_changes_nothing(
    database: Database, settings: SinkSettings, trail: Trail
) -> None:
    role = f"{database.name}_reader"
    trail.connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reader'")
    try:
        trail.connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        environ = {**database.environ, "DB_USER": role, "DB_PASSWORD": "reader"}
        reader = PgWriter(SinkSettings.from_environ(environ), TOPIC)
        with pytest.raises(DatabaseRefused, match="bemi-sink migrate"):
            reader.migrate()
        owner = PgWriter(settings, TOPIC)
        owner.migrate()
        trail.connection.execute(f"GRANT SELECT ON bemi_migrations TO {role}")
        assert reader.migrate() == []
        reader.close()
        owner.close()
    finally:
        trail.connection.execute(f"DROP OWNED BY {role}")
        trail.connection.execute(f"DROP ROLE {role}")
