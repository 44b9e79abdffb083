"""The commands and the check that look into a database."""

from __future__ import annotations

from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

import bemi
from bemi.checks import check_tracked_databases
from bemi.source_state import Slot, SourceState, problems
from deploy.local.ports import free_port
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.conftest import make_changes_table
from tests.integration.django_bemi.wal import Wal

GOOD = SourceState("logical", True, 3, (), (), (Slot("bemi", True, "reserved", 10),))


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out, no_color=True)
    return out.getvalue()


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("change", "problem", "check_id"),
    [
        ({}, "", None),
        ({"slots": ()}, "", None),
        ({"wal_level": "replica"}, "wal_level is replica", "bemi.W101"),
        ({"is_installed": False}, "not installed", "bemi.W102"),
        ({"slots": (Slot("bemi", False, "lost", None),)}, "slot bemi is lost", "bemi.W103"),
        ({"uncovered": ("a",)}, "1 table (a) without the trigger", "bemi.W104"),
        (
            {"partial": tuple("abcdef")},
            "6 tables (a, b, c, d, e, ...) without REPLICA IDENTITY",
            "bemi.W105",
        ),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(
    change: dict[str, Any], problem: str, check_id: str | None
) -> None:
    values = {name: getattr(GOOD, name) for name in SourceState.__slots__} | change
    found = problems(SourceState(**values))
    assert [one.check_id for one in found] == ([check_id] if check_id else [])
    assert all(problem in one.text and one.advice for one in found)


@pytest.mark.usefixtures("site")
def test_the_triggers_command_covers_what_was_made_without_the_event_trigger() -> None:
    execute("ALTER EVENT TRIGGER _bemi_cover_new_tables DISABLE; CREATE TABLE later (id int)")
    with pytest.raises(CommandError, match="later"):
        run("bemi_triggers", "--check")
    (warning,) = check_tracked_databases(None, ["default"])
    assert warning.id == "bemi.W104"
    assert "later" in warning.msg
    assert run("bemi_triggers") == "every table is covered\n"
    assert run("bemi_triggers", "--check") == "every table is covered\n"
    assert check_tracked_databases(None, ["default"]) == []


@pytest.mark.parametrize("state", ["DISABLE TRIGGER USER", "ENABLE REPLICA TRIGGER {}"])
def test_a_trigger_that_does_not_fire_is_told_and_mended(wal: Wal, state: str) -> None:
    execute(f"ALTER TABLE item {state.format('_bemi_statement_trigger')}")
    (warning,) = check_tracked_databases(None, ["default"])
    assert warning.id == "bemi.W104"
    assert run("bemi_triggers") == "every table is covered\n"
    assert check_tracked_databases(None, ["default"]) == []
    with bemi.context(user_id=7):
        execute("INSERT INTO item (name) VALUES ('a')")
    assert [context["user_id"] for context in wal.contexts()] == [7]


@pytest.mark.usefixtures("empty_site")
def test_what_is_not_installed_is_told_and_the_command_installs_it() -> None:
    with pytest.raises(CommandError, match="migrate bemi"):
        run("bemi_triggers", "--check")
    (warning,) = check_tracked_databases(None, ["default"])
    assert "not installed" in warning.msg
    run("bemi_triggers")
    assert check_tracked_databases(None, ["default"]) == []


def test_the_status_shows_tables_slots_and_the_last_change(
    site: Database, admin: psycopg.Connection[Any]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("bemi_status")
    assert ended.value.code == 1, "there is no table `changes`"

    make_changes_table(admin)
    text = run("bemi_status")
    assert "database default: 1 tables tracked" in text
    assert "no replication slot" in text
    assert "no change yet" in text

    slot = f"status_{site.name}"
    admin.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
    admin.execute(
        """
        INSERT INTO changes (id, database, schema, "table", primary_key, operation, committed_at,
            queued_at, transaction_id, position)
        VALUES (gen_random_uuid(), 'd', 'public', 'item', '7', 'UPDATE', now(), now(), 1, 1)
        """
    )
    text = run("bemi_status")
    assert f"slot {slot} has no reader, WAL reserved, " in text
    assert "last change UPDATE item 7 committed 0:00:0" in text


@pytest.mark.usefixtures("site")
def test_the_status_of_a_database_that_does_not_answer_is_one_line_of_many(
    admin: psycopg.Connection[Any],
) -> None:
    make_changes_table(admin)
    settings = connection.settings_dict
    connections.databases["gone"] = {**settings, "PORT": str(free_port())}
    out = StringIO()
    try:
        with pytest.raises(SystemExit) as ended:
            call_command("bemi_status", stdout=out, no_color=True)
    finally:
        del connections.databases["gone"]
        del connections["gone"]
    assert ended.value.code == 1
    assert "database gone: cannot be asked\n" in out.getvalue()
    assert "Connection refused" in out.getvalue()
    assert "database default: 1 tables tracked" in out.getvalue()
    assert "trail: no change yet" in out.getvalue()
