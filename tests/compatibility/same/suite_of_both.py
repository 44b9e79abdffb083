"""What bemi-django does well, which django-bemi does too: the same tests, run on each.

Run by test_replacement.py in an environment with the one or the other; small_site configures
Django when it is imported.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.compatibility.same.small_site import ACTIONS, send  # isort: skip  (configures Django)

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import RequestFactory, override_settings

import bemi
from bemi import (
    Bemi,
    BemiDatabaseRouter,
    BemiMiddleware,
    BemiRecordMixin,
    get_bemi_context,
    middleware,
)
from bemi.middleware import BemiDBWrapper, bemi_context_var
from bemi.models import BemiChange
from tests.integration.django_bemi.wal import Context, RowChange, Wal

Admin = psycopg.Connection[Any]
COMMITTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def admin() -> Iterator[Admin]:
    names = {"HOST": "host", "PORT": "port", "NAME": "dbname", "USER": "user"}
    address: dict[str, Any] = {
        name: os.environ[f"DB_{variable}"] for variable, name in names.items()
    }
    address["password"] = os.environ["DB_PASSWORD"]
    with psycopg.connect(**address, autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def migrated(admin: Admin) -> None:
    call_command("migrate", verbosity=0)


@pytest.fixture(scope="module")
def log(admin: Admin, migrated: None) -> Wal:
    return Wal(admin, f"wal_{os.environ['DB_NAME']}")


@pytest.fixture
def wal(log: Wal, admin: Admin) -> Wal:
    admin.execute("TRUNCATE auth_group, auth_user CASCADE")
    log.read()
    return log


def rows_with_user(wal: Wal) -> list[tuple[str, str, Any]]:
    """Return (operation, table, user) of each row: of the nearest context before it."""
    rows, context = [], {}
    for entry in wal.read():
        if isinstance(entry, Context):
            context = entry.values
        elif isinstance(entry, RowChange):
            table = entry.table.removeprefix("public.")
            rows.append((entry.operation, table, context.get("user_id")))
    # What migrating itself writes is no request's.
    return [row for row in rows if not row[1].startswith("django_")]


@pytest.mark.parametrize(
    ("action", "rows"),
    [
        ("create", [("INSERT", "auth_group")]),
        ("save", [("UPDATE", "auth_group")]),
        ("delete", [("DELETE", "auth_group")]),
        ("update", [("UPDATE", "auth_group")]),
        ("bulk_create", [("INSERT", "auth_group")] * 3),
        ("raw", [("INSERT", "auth_group")]),
        ("executemany", [("INSERT", "auth_group")] * 2),
        (
            "add_to_group",
            [("INSERT", "auth_user"), ("INSERT", "auth_group"), ("INSERT", "auth_user_groups")],
        ),
        ("read", []),
    ],
)
def test_what_a_request_changes_has_its_context(
    wal: Wal, action: str, rows: list[tuple[str, str]]
) -> None:
    if action in ("save", "delete", "update"):
        Group.objects.create(name="a")
        wal.read()
    assert send(7, action) == 200
    assert rows_with_user(wal) == [(*row, 7) for row in rows]


def test_every_action_of_the_site_is_tried() -> None:
    assert set(ACTIONS) == {
        *("create", "save", "delete", "update", "bulk_create"),
        *("add_to_group", "raw", "executemany", "read"),
    }


def test_the_context_is_that_of_the_function_and_the_statement(wal: Wal) -> None:
    send(7, "raw", "x")
    (context,) = wal.contexts()
    sql = context.pop("SQL")
    assert context == {"user_id": 7, "endpoint": "/raw/x/", "nested": {"list": [1, None, "two"]}}
    assert sql.startswith("INSERT INTO auth_group (name) VALUES (")


def test_requests_one_after_the_other_have_each_its_own_context(wal: Wal) -> None:
    for user_id in (1, 2, 3):
        send(user_id, "create", f"of {user_id}")
    assert [user_id for _, _, user_id in rows_with_user(wal)] == [1, 2, 3]


@pytest.mark.parametrize("kind", ["raises", "none"])
def test_a_request_without_a_context_is_answered_all_the_same(wal: Wal, kind: str) -> None:
    assert send(7, "create", **{"X-Kind": kind}) == 200
    assert rows_with_user(wal) == [("INSERT", "auth_group", None)]


def sent_text(statement: str) -> str:
    """Return what reaches the driver for a statement with a context in force."""
    found: list[str] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        found.append(sql)
        return execute(sql, *rest)

    outer, inner = connection.execute_wrapper(BemiDBWrapper()), connection.execute_wrapper(look)
    with outer, inner, connection.cursor() as cursor:
        cursor.execute(statement)
    (text,) = found
    return text


@pytest.fixture
def context() -> Iterator[None]:
    token = bemi_context_var.set({"user_id": 7})
    yield
    bemi_context_var.reset(token)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("end", ["", ";"])
def test_the_comment_has_bemis_format(wal: Wal, end: str) -> None:
    statement = "DELETE FROM auth_group"
    text = sent_text(statement + end)
    match = re.fullmatch(r"DELETE FROM auth_group /\*Bemi (\{.*\}) Bemi\*/;?", text)
    assert match is not None, text
    context = json.loads(match[1])
    assert context["user_id"] == 7
    assert context["SQL"].startswith(statement)


@pytest.mark.usefixtures("context")
def test_reads_have_no_comment() -> None:
    assert sent_text("SELECT 1") == "SELECT 1"


@pytest.mark.usefixtures("context", "wal")
def test_the_limit_of_the_size_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "MAX_CONTEXT_SIZE", 10)
    assert sent_text("DELETE FROM auth_group") == "DELETE FROM auth_group"


@pytest.mark.parametrize("value", [None, "text", {}])
def test_what_is_no_context_is_not_sent(wal: Wal, value: Any) -> None:
    token = bemi_context_var.set(value)
    try:
        assert sent_text("DELETE FROM auth_group") == "DELETE FROM auth_group"
    finally:
        bemi_context_var.reset(token)


def test_the_context_function_is_a_setting() -> None:
    request = RequestFactory().get("/x/", headers={"X-User": "7"})
    assert get_bemi_context(request)["user_id"] == 7
    with override_settings(BEMI_CONTEXT_FUNCTION=None):
        assert get_bemi_context(request) == {}


def test_the_names_are_where_sites_import_them() -> None:
    assert bemi.BemiMiddleware is BemiMiddleware is middleware.BemiMiddleware
    assert middleware.logger.name == "bemi.middleware"
    assert apps.get_app_config("bemi").label == "bemi"
    assert BemiChange._meta.label == "bemi.BemiChange"
    assert BemiChange._meta.db_table == "changes"
    assert BemiChange._meta.managed is False


def test_the_migrations_are_recorded_under_their_names(admin: Admin) -> None:
    names = admin.execute("SELECT name FROM django_migrations WHERE app = 'bemi'").fetchall()
    assert {("0001_initial",), ("0002_bemichange",)} <= set(names)


def test_all_is_taken_away_and_comes_again(wal: Wal, admin: Admin) -> None:
    call_command("migrate", "bemi", "zero", verbosity=0)
    left = "SELECT tgname FROM pg_trigger WHERE tgname ~ '^_bemi'"
    assert admin.execute(left).fetchall() == []
    assert admin.execute("SELECT evtname FROM pg_event_trigger").fetchall() == []
    assert admin.execute("SELECT proname FROM pg_proc WHERE proname ~ '^_bemi'").fetchall() == []
    call_command("migrate", "bemi", verbosity=0)
    send(7, "create")
    assert rows_with_user(wal) == [("INSERT", "auth_group", 7)]


def test_the_sql_of_the_migration_can_be_run_by_a_site(wal: Wal) -> None:
    with connection.cursor() as cursor:
        cursor.execute(Bemi.migration_down())
        cursor.execute(Bemi.migration_up())
    send(7, "create")
    assert rows_with_user(wal) == [("INSERT", "auth_group", 7)]


def test_a_table_made_later_is_tracked(wal: Wal, admin: Admin) -> None:
    admin.execute("CREATE TABLE later (id int PRIMARY KEY)")
    token = bemi_context_var.set({"user_id": 7})
    try:
        sent_text("INSERT INTO later VALUES (1)")
    finally:
        bemi_context_var.reset(token)
        admin.execute("DROP TABLE later")
    assert rows_with_user(wal) == [("INSERT", "later", 7)]


def test_the_router_sends_the_trail_to_the_alias_bemi() -> None:
    router = BemiDatabaseRouter()
    assert router.db_for_read(BemiChange) == router.db_for_write(BemiChange) == "bemi"
    assert router.db_for_read(User) is router.db_for_write(User) is None
    assert router.allow_relation(BemiChange(), User()) is True
    assert router.allow_relation(User(), User()) is None
    assert router.allow_migrate("default", "bemi", "bemichange") is False
    assert router.allow_migrate("default", "auth") is None


class Trail:
    """The table of changes, filled by hand as the sink fills it."""

    def __init__(self, admin: Admin) -> None:
        admin.execute("DELETE FROM changes")
        self._admin = admin
        self._count = 0

    def add(self, operation: str, before: Any, after: Any, context: Any, key: str = "1") -> None:
        self._count += 1
        at = COMMITTED_AT + timedelta(seconds=self._count)
        self._admin.execute(
            """
            INSERT INTO changes (id, database, schema, "table", primary_key, operation, before,
                after, context, committed_at, queued_at, transaction_id, position)
            VALUES (%s, 'd', 'public', 'auth_group', %s, %s, %s, %s, %s, %s, %s, 1, %s)
            """,
            [
                uuid.uuid4(),
                key,
                operation,
                Jsonb(before),
                Jsonb(after),
                Jsonb(context),
                at,
                at,
                self._count,
            ],
        )


@pytest.fixture
def trail(admin: Admin) -> None:
    filled = Trail(admin)
    filled.add("CREATE", {}, {"name": "a", "n": 1}, {"user_id": 1})
    filled.add(
        "UPDATE", {"name": "a", "n": 1}, {"name": "b", "n": 1}, {"user_id": 2, "x": {"y": 1}}
    )
    filled.add("UPDATE", {"name": "b", "n": 1}, {"name": "b", "n": 2}, {"user_id": 1})
    filled.add("DELETE", {"name": "b", "n": 2}, {}, {})
    filled.add("CREATE", {}, {"name": "other"}, {"user_id": 1}, key="2")


@pytest.mark.usefixtures("trail")
def test_the_trail_answers_bemis_questions() -> None:
    def names(changes: Any) -> list[str]:
        return [f"{c.operation} {c.primary_key}" for c in changes]

    changes = BemiChange.objects
    assert names(changes.created()) == ["CREATE 1", "CREATE 2"]
    assert names(changes.updated()) == ["UPDATE 1", "UPDATE 1"]
    assert names(changes.deleted()) == ["DELETE 1"]
    assert names(changes.before({"name": "a"})) == ["UPDATE 1"]
    assert names(changes.before_not({"name": "b"}).filter(primary_key="1")) == [
        "CREATE 1",
        "UPDATE 1",
    ]
    assert names(changes.after({"n": 2})) == ["UPDATE 1"]
    assert names(changes.after_not({"name": "b"})) == ["CREATE 1", "DELETE 1", "CREATE 2"]
    assert names(changes.context({"x": {"y": 1}})) == ["UPDATE 1"]
    assert names(changes.context_not({"user_id": 1})) == ["UPDATE 1", "DELETE 1"]
    assert names(changes.asc())[0] == "CREATE 1"
    assert names(changes.all().desc())[0] == "CREATE 2"
    assert names(changes.field_changed("auth_group", 1, "n")) == [
        "CREATE 1",
        "UPDATE 1",
        "DELETE 1",
    ]
    assert names(changes.all()) == [
        *("CREATE 1", "UPDATE 1", "UPDATE 1"),
        *("DELETE 1", "CREATE 2"),
    ]
    change = changes.context({"user_id": 2}).get()
    assert change.diff() == {"name": ["a", "b"]}
    assert change.before == {"name": "a", "n": 1}
    assert change.committed_at == COMMITTED_AT + timedelta(seconds=2)


class RecordedGroup(BemiRecordMixin, Group):
    """Django's group, with its trail."""

    class Meta:
        app_label = "auth"
        proxy = True


@pytest.mark.usefixtures("trail")
def test_an_object_knows_its_changes() -> None:
    group = RecordedGroup(pk=1)
    assert group.bemi_changes().count() == 4
    assert group.bemi_changes().last().operation == "DELETE"  # type: ignore[union-attr]
    assert [change.after for change in group.bemi_changes("name").updated()] == [
        {"name": "b", "n": 1}
    ]
