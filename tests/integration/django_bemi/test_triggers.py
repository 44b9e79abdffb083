"""Which tables get the trigger, what it leaves alone, and how it goes again."""

from __future__ import annotations

import io
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from bemi import Bemi, checks, triggers
from bemi.context_variable import context_in_force
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.conftest import use_database
from tests.integration.django_bemi.wal import Context, RowChange, Wal

Admin = psycopg.Connection[Any]

COVERED = """
    SELECT c.oid::regclass::text, c.relreplident::text, t.tgname
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid AND starts_with(t.tgname, '_bemi_')
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_(catalog|toast)|^information_schema'
    ORDER BY 1
"""
# What bemi-django leaves in a database, reduced to what matters here: names and relations.
ROW_TRIGGERS = """
    CREATE FUNCTION _bemi_row_trigger_func() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'row trigger'; END $$;
    CREATE TABLE old (id int PRIMARY KEY);
    CREATE TABLE old_parts (id int) PARTITION BY RANGE (id);
    CREATE TABLE old_part PARTITION OF old_parts DEFAULT;
    CREATE TABLE changes (id int);
    CREATE TRIGGER _bemi_row_trigger_changes BEFORE INSERT ON changes
        FOR EACH ROW EXECUTE FUNCTION _bemi_row_trigger_func();
    CREATE TRIGGER _bemi_row_trigger_old BEFORE INSERT ON old
        FOR EACH ROW EXECUTE FUNCTION _bemi_row_trigger_func();
    CREATE TRIGGER _bemi_row_trigger_old_parts BEFORE INSERT ON old_parts
        FOR EACH ROW EXECUTE FUNCTION _bemi_row_trigger_func();
    CREATE FUNCTION _bemi_create_table_trigger_func() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'old event trigger'; END $$;
    CREATE EVENT TRIGGER _bemi_create_table_trigger ON ddl_command_end
        WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION _bemi_create_table_trigger_func();
"""


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def covered(admin: Admin) -> dict[str, str | None]:
    """Return each table's replica identity when it has the trigger, else None."""
    return {
        table: identity if trigger == "_bemi_statement_trigger" else None
        for table, identity, trigger in admin.execute(COVERED).fetchall()
    }


def migrate(*arguments: str) -> None:
    call_command("migrate", *arguments, verbosity=0)


@pytest.fixture
def owner(empty_site: Database, admin: Admin) -> Iterator[str]:
    """Let Django connect as a role that owns the database and may nothing else."""
    role = f"owner_{empty_site.name}"
    admin.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'owner'").format(sql.Identifier(role)),
    )
    admin.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
            sql.Identifier(empty_site.name), sql.Identifier(role)
        )
    )
    admin.execute("GRANT CREATE ON SCHEMA public TO public")
    use_database(USER=role, PASSWORD="owner")
    yield role
    connection.close()
    admin.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(sql.Identifier(empty_site.name))
    )
    admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
    admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.mark.usefixtures("empty_site")
def test_every_table_of_every_schema_is_covered_and_the_pipelines_own_are_not(
    admin: Admin,
) -> None:
    before = """
        CREATE SCHEMA "other schema";
        CREATE TABLE "other schema"."My.Table with spaces" (id int PRIMARY KEY);
        CREATE TABLE keyless (a int);
        CREATE TABLE parent (id int) PARTITION BY RANGE (id);
        CREATE TABLE child PARTITION OF parent DEFAULT;
        CREATE TABLE changes (at int) PARTITION BY RANGE (at);
        CREATE TABLE early PARTITION OF changes DEFAULT;
        CREATE TABLE bemi_sink_progress (id int);
        CREATE UNLOGGED TABLE lost (id int);
        CREATE TEMP TABLE mine (id int);
        CREATE VIEW seen AS SELECT 1;
    """
    run(before)
    run(Bemi.migration_up())
    assert covered(admin) == {
        '"other schema"."My.Table with spaces"': "f",
        "keyless": "f",
        "parent": "f",
        "child": "f",
        "changes": None,
        "early": None,
        "bemi_sink_progress": None,
        "lost": None,
        f"pg_temp_{temp_number(admin)}.mine": None,
    }


def temp_number(admin: Admin) -> int:
    row = admin.execute(
        "SELECT substr(n.nspname, 9)::int FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE relname = 'mine'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("site")
def test_a_table_made_later_is_covered_at_once(admin: Admin) -> None:
    admin.execute(
        """
        CREATE TABLE "Late" (id int);
        CREATE TABLE late_parent (id int) PARTITION BY RANGE (id);
        CREATE TABLE late_child PARTITION OF late_parent DEFAULT;
        CREATE TABLE copied AS SELECT 1 AS id;
        SELECT 1 AS id INTO selected;
        CREATE SCHEMA late CREATE TABLE inside (id int);
        CREATE TABLE changes (at int) PARTITION BY RANGE (at);
        CREATE TABLE changes_default PARTITION OF changes DEFAULT;
        CREATE TEMP TABLE gone (id int);
        DROP TABLE gone;
        """
    )
    assert covered(admin) == {
        "item": "f",
        '"Late"': "f",
        "late_parent": "f",
        "late_child": "f",
        "copied": "f",
        "selected": "f",
        "late.inside": "f",
        "changes": None,
        "changes_default": None,
    }


def test_odd_names_partitions_and_tables_without_a_key_send_their_context(wal: Wal) -> None:
    run(
        """
        CREATE TABLE "a b.c""d" (a int);
        CREATE TABLE parent (id int) PARTITION BY RANGE (id);
        CREATE TABLE child PARTITION OF parent DEFAULT;
        """
    )
    for table in ('"a b.c""d"', "parent", "child"):
        with context_in_force({"user_id": 1}):
            run(f"INSERT INTO {table} VALUES (1)")
            run(f"DELETE FROM {table}")
        found = wal.read()
        assert [type(entry) for entry in found] == [Context, RowChange, Context, RowChange]


@pytest.mark.usefixtures("site")
def test_a_failure_inside_the_event_trigger_does_not_stop_a_create_table(admin: Admin) -> None:
    admin.execute("DROP FUNCTION _bemi_cover_table(oid)")
    admin.execute("CREATE TABLE late (id int)")
    assert covered(admin)["late"] is None


@pytest.mark.usefixtures("empty_site")
def test_row_triggers_of_bemi_django_are_replaced(admin: Admin) -> None:
    admin.execute(ROW_TRIGGERS)
    run(Bemi.migration_up())
    admin.execute("INSERT INTO old VALUES (1); INSERT INTO old_parts VALUES (1)")
    admin.execute("INSERT INTO changes VALUES (1)")
    admin.execute("CREATE TABLE late (id int)")
    assert covered(admin).pop("changes") is None
    assert set(covered(admin).values()) == {"f", None}
    run(Bemi.migration_down())
    assert (
        admin.execute("SELECT proname FROM pg_proc WHERE proname ~ '^_bemi'").fetchall()
        + admin.execute("SELECT evtname FROM pg_event_trigger").fetchall()
        == []
    )


@pytest.mark.usefixtures("empty_site")
def test_a_site_of_bemi_django_switches_by_migrating(admin: Admin) -> None:
    migrate("auth")
    migrate("--fake", "bemi", "0002")
    assert set(covered(admin).values()) == {"f"}  # Already by the signal after the migration.
    run(Bemi.migration_down())
    migrate("bemi")
    assert set(covered(admin).values()) == {"f"}
    migrate("bemi", "0002")
    assert set(covered(admin).values()) == {"f"}


@pytest.mark.usefixtures("empty_site")
def test_migrating_to_zero_leaves_nothing_and_gives_the_replica_identities_back(
    admin: Admin,
) -> None:
    admin.execute(
        """
        CREATE TABLE by_default (id int PRIMARY KEY);
        CREATE TABLE by_nothing (id int PRIMARY KEY);
        CREATE TABLE by_index (id int NOT NULL);
        CREATE UNIQUE INDEX "odd index" ON by_index (id);
        CREATE TABLE by_choice (id int PRIMARY KEY);
        ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
        ALTER TABLE by_index REPLICA IDENTITY USING INDEX "odd index";
        ALTER TABLE by_choice REPLICA IDENTITY FULL;
        """
    )
    migrate()
    run(Bemi.migration_up())  # Once more, which must not forget what was before.
    migrate("todo", "zero")
    assert set(covered(admin).values()) == {"f"}
    migrate("bemi", "zero")
    identities = {
        table: identity for table, identity, _ in admin.execute(COVERED) if "by_" in table
    }
    assert identities == {
        "by_default": "d",
        "by_nothing": "n",
        "by_index": "i",
        "by_choice": "f",
    }
    assert set(covered(admin).values()) == {None}
    assert admin.execute("SELECT proname FROM pg_proc WHERE proname ~ '^_bemi'").fetchall() == []
    assert admin.execute("SELECT evtname FROM pg_event_trigger").fetchall() == []
    migrate("bemi", "zero")
    migrate()
    assert set(covered(admin).values()) == {"f"}


def test_uninstalling_what_is_not_installed_does_no_harm(empty_site: Database) -> None:
    run(Bemi.migration_down())


@pytest.mark.usefixtures("empty_site")
def test_without_replica_identity_full_the_tables_keep_theirs(admin: Admin, settings: Any) -> None:
    settings.BEMI_REPLICA_IDENTITY_FULL = False
    migrate()
    admin.execute("CREATE TABLE late (id int PRIMARY KEY)")
    assert set(covered(admin).values()) == {"d"}
    settings.BEMI_REPLICA_IDENTITY_FULL = True
    migrate()
    admin.execute("CREATE TABLE later (id int PRIMARY KEY)")
    assert set(covered(admin).values()) == {"f"}
    run(Bemi.migration_down())
    assert {identity for _, identity, _ in admin.execute(COVERED)} == {"d"}


@pytest.mark.usefixtures("empty_site")
def test_replica_identity_full_can_be_asked_for_table_by_table(admin: Admin, settings: Any) -> None:
    settings.BEMI_REPLICA_IDENTITY_FULL = ["orders", "logs.audit_*", "parts"]
    run("""
        CREATE TABLE orders (id int PRIMARY KEY);
        CREATE TABLE items (id int PRIMARY KEY);
        CREATE SCHEMA logs;
        CREATE TABLE logs.audit_2026 (id int PRIMARY KEY);
        CREATE TABLE logs.orders_2026 (id int PRIMARY KEY);
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE part PARTITION OF parts DEFAULT;
    """)
    run(Bemi.migration_up())
    run("CREATE TABLE logs.audit_2027 (id int PRIMARY KEY); CREATE TABLE late (id int)")
    full = {"orders", "logs.audit_2026", "logs.audit_2027", "parts", "part"}
    assert {table for table, identity in covered(admin).items() if identity == "f"} == full
    assert triggers.uncovered_tables(connection) == []
    (warning,) = checks.check_tracked_databases(None, ["default"])
    assert warning.id == "bemi.W105"
    assert "3 tables (items, late, logs.orders_2026) without REPLICA IDENTITY FULL" in warning.msg
    run(Bemi.migration_down())
    assert {identity for _, identity, _ in admin.execute(COVERED)} == {"d"}


def test_a_role_without_privileges_tracks_its_own_tables(
    admin: Admin, owner: str, caplog: pytest.LogCaptureFixture
) -> None:
    admin.execute("CREATE TABLE not_mine (id int PRIMARY KEY)")
    caplog.set_level(logging.WARNING, "bemi")
    migrate()
    assert covered(admin)["todo_task"] == "f"
    assert covered(admin)["not_mine"] is None
    assert "changes of table not_mine come without their context" in caplog.text
    run("CREATE TABLE outside (id int PRIMARY KEY)")
    assert covered(admin)["outside"] is None
    migrate()
    assert covered(admin)["outside"] == "f"
    run("INSERT INTO outside VALUES (1)")
    migrate("bemi", "zero")
    assert set(covered(admin).values()) == {None}


def test_a_migration_does_not_fail_because_another_role_installed_the_triggers(
    admin: Admin, owner: str, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    migrate("bemi")
    admin.execute("ALTER FUNCTION _bemi_emit_context() OWNER TO CURRENT_USER")
    settings.BEMI_REPLICA_IDENTITY_FULL = False
    caplog.set_level(logging.WARNING, "bemi")
    migrate()
    assert "the triggers of bemi were left as they are" in caplog.text
    assert "todo_task" in covered(admin)


def test_a_role_that_may_only_write_sends_its_context(wal: Wal, admin: Admin) -> None:
    role = sql.Identifier(f"writer_{uuid.uuid4().hex[:12]}")
    admin.execute("CREATE SCHEMA app CREATE TABLE thing (id int)")
    admin.execute("REVOKE ALL ON SCHEMA public FROM public")
    admin.execute(
        sql.SQL(
            "CREATE ROLE {0}; GRANT USAGE ON SCHEMA app TO {0}; GRANT INSERT ON app.thing TO {0}"
        ).format(role)
    )
    try:
        admin.execute(sql.SQL("SET ROLE {}").format(role))
        admin.execute('INSERT INTO app.thing VALUES (1) /*Bemi {"user_id": 1} Bemi*/')
    finally:
        admin.execute(sql.SQL("RESET ROLE; DROP OWNED BY {0}; DROP ROLE {0}").format(role))
    assert wal.contexts() == [{"user_id": 1}]


def test_django_tables_are_covered_where_there_is_no_event_trigger(
    admin: Admin, empty_site: Database
) -> None:
    migrate("bemi")
    admin.execute("DROP EVENT TRIGGER _bemi_cover_new_tables")
    migrate()
    assert set(covered(admin).values()) == {"f"}


def test_the_documented_router_does_not_keep_the_triggers_out(
    empty_site: Database, admin: Admin, settings: Any
) -> None:
    settings.DATABASE_ROUTERS = ["bemi.BemiDatabaseRouter"]
    migrate()
    assert set(covered(admin).values()) == {"f"}


def test_a_router_may_keep_the_triggers_out(
    empty_site: Database, admin: Admin, settings: Any
) -> None:
    class NoTriggers:
        def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
            return False if app_label == "bemi" else None

    settings.DATABASE_ROUTERS = [NoTriggers()]
    migrate()
    migrate("bemi", "zero")
    assert set(covered(admin).values()) == {None}


def test_without_migrations_the_signal_installs(
    empty_site: Database, admin: Admin, settings: Any
) -> None:
    settings.MIGRATION_MODULES = {"bemi": None}
    call_command("migrate", run_syncdb=True, verbosity=0)
    assert set(covered(admin).values()) == {"f"}


def test_the_sql_can_be_read_before_it_is_run(empty_site: Database) -> None:
    text = io.StringIO()
    call_command("sqlmigrate", "bemi", "0001", stdout=text)
    assert "CREATE OR REPLACE FUNCTION" in text.getvalue()
    assert "CALL" in text.getvalue()


def test_the_models_and_the_migrations_agree(empty_site: Database) -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_an_open_connection_adds_the_context_once(wal: Wal) -> None:
    from bemi.middleware import watch_connections

    watch_connections()
    watch_connections()
    with context_in_force({"user_id": 7}):
        run("CREATE TABLE IF NOT EXISTS other (id int); DELETE FROM other")
    assert wal.contexts() == [
        {"user_id": 7, "SQL": "CREATE TABLE IF NOT EXISTS other (id int); DELETE FROM other"}
    ]


def test_uncovered_tables_are_named(site: Database, admin: Admin) -> None:
    admin.execute('DROP EVENT TRIGGER _bemi_cover_new_tables; CREATE TABLE "Bare" (id int)')
    assert triggers.uncovered_tables(connection) == ['"Bare"']


@pytest.mark.usefixtures("empty_site")
def test_ignored_tables_have_no_trigger_and_keep_their_identity(
    admin: Admin, settings: Any
) -> None:
    run("""
        CREATE SCHEMA logs;
        CREATE TABLE logs.kept (id int PRIMARY KEY);
        CREATE TABLE logs.clicks_2025 (id int PRIMARY KEY);
        CREATE TABLE session (id int PRIMARY KEY);
        CREATE TABLE "sessionX" (id int PRIMARY KEY);
        CREATE TABLE s_ssion (id int PRIMARY KEY);
        CREATE TABLE "it's %odd\\" (id int PRIMARY KEY);
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE part PARTITION OF parts DEFAULT;
    """)
    settings.BEMI_IGNORE_TABLES = ["s_ssion", "logs.clicks_*", "it's %odd\\", "parts", "no$bemi$"]
    run(Bemi.migration_up())
    assert covered(admin) == {
        "logs.kept": "f",
        "logs.clicks_2025": None,
        "session": "f",
        '"sessionX"': "f",
        "s_ssion": None,
        '"it\'s %odd\\"': None,
        "parts": None,
        "part": None,
    }
    run("CREATE TABLE logs.clicks_2026 (id int)")
    assert covered(admin)["logs.clicks_2026"] is None


@pytest.mark.usefixtures("empty_site")
def test_a_table_that_is_ignored_from_now_on_is_as_it_was_before(
    admin: Admin, settings: Any
) -> None:
    run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    migrate("bemi")
    assert (covered(admin)["a"], covered(admin)["b"]) == ("f", "f")
    settings.BEMI_IGNORE_TABLES = ["a"]
    migrate()
    assert (covered(admin)["a"], covered(admin)["b"]) == (None, "f")
    row = admin.execute("SELECT relreplident::text FROM pg_class WHERE relname = 'a'").fetchone()
    assert row == ("d",)
    settings.BEMI_IGNORE_TABLES = []
    migrate()
    assert (covered(admin)["a"], covered(admin)["b"]) == ("f", "f")
