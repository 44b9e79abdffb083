"""The trail as sites read it, from a table made by the sink's own migrations."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg.types.json import Jsonb

from bemi.models import BemiChange
from example.todo.models import Task
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.conftest import make_changes_table

COMMITTED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


class Trail:
    """Writes changes into the table as the sink would."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._count = 0

    def add(self, operation: str = "UPDATE", **values: Any) -> uuid.UUID:
        """Store a change; the later ones come later in the same transaction."""
        self._count += 1
        row: dict[str, Any] = {
            "id": uuid.uuid4(),
            "database": "site",
            "schema": "public",
            "table": "todo_task",
            "primary_key": "1",
            "operation": operation,
            "before": {},
            "after": {},
            "context": {},
            "committed_at": COMMITTED_AT,
            "queued_at": COMMITTED_AT,
            "transaction_id": 1,
            "position": 100,
            "commit_lsn": 200,
            "ordinal": self._count,
            "epoch": "1.1.1.site",
            **values,
        }
        columns = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join(["%s"] * len(row))
        self._connection.execute(
            f"INSERT INTO changes ({columns}) VALUES ({marks})".encode(),
            [Jsonb(value) if isinstance(value, dict) else value for value in row.values()],
        )
        found = row["id"]
        assert isinstance(found, uuid.UUID)
        return found


@pytest.fixture
def trail(empty_site: Database, admin: psycopg.Connection[Any]) -> Trail:
    make_changes_table(admin)
    return Trail(admin)


def ids(changes: Any) -> list[uuid.UUID]:
    return [change.pk for change in changes]


def test_a_change_is_read_with_all_its_columns(trail: Trail) -> None:
    pk = trail.add(before={"a": 1}, after={"a": 2}, context={"user_id": 7}, primary_key="1,x")
    change = BemiChange.objects.get(pk=pk)
    assert change.database == "site"
    assert change.schema == "public"
    assert change.table == "todo_task"
    assert change.primary_key == "1,x"
    assert change.diff() == {"a": [1, 2]}
    assert change.context == {"user_id": 7}
    assert change.committed_at == COMMITTED_AT
    assert change.transaction_id == 1
    assert change.position == 100
    assert (change.commit_lsn, change.ordinal) == (200, 1)
    assert change.context_error is None
    assert str(change) == "UPDATE todo_task 1,x"


def test_rows_of_one_statement_keep_their_order(trail: Trail) -> None:
    stored = [trail.add() for _ in range(5)]
    later = trail.add(committed_at=COMMITTED_AT + timedelta(microseconds=1), position=1)
    assert ids(BemiChange.objects.all()) == [*stored, later]
    assert ids(BemiChange.objects.asc()) == [*stored, later]
    assert ids(BemiChange.objects.all().desc()) == [later, *reversed(stored)]


def test_changes_are_found_by_what_they_hold(trail: Trail) -> None:
    one = trail.add("CREATE", after={"a": 1, "b": {"c": 2}}, context={"user_id": 1})
    two = trail.add("UPDATE", before={"a": 1}, after={"a": 2}, context={"user_id": 2})
    three = trail.add("DELETE", before={"a": 2})
    changes = BemiChange.objects
    assert ids(changes.created()) == [one]
    assert ids(changes.updated()) == [two]
    assert ids(changes.deleted()) == [three]
    assert ids(changes.before({"a": 1})) == [two]
    assert ids(changes.before_not({"a": 1})) == [one, three]
    assert ids(changes.after({"b": {"c": 2}})) == [one]
    assert ids(changes.after_not({"a": 2})) == [one, three]
    assert ids(changes.context({"user_id": 2})) == [two]
    assert ids(changes.context_not({"user_id": 2}).created()) == [one]


@pytest.mark.parametrize("name", ["title", "1", 'it\'s "odd" %s'])
def test_the_changes_of_one_column_are_found_whatever_its_name_is(trail: Trail, name: str) -> None:
    made = trail.add("CREATE", after={name: "a", "other": 1})
    trail.add(before={name: "a", "other": 1}, after={name: "a", "other": 2})
    changed = trail.add(before={name: "a"}, after={name: None})
    trail.add(before={name: "a"}, after={name: "b"}, primary_key="2")
    trail.add(before={name: "a"}, after={name: "b"}, table="other")
    assert ids(BemiChange.objects.field_changed("todo_task", 1, name)) == [made, changed]


def test_an_object_knows_its_changes(trail: Trail) -> None:
    made = trail.add("CREATE", after={"title": "a"})
    done = trail.add(
        before={"title": "a", "is_completed": False}, after={"title": "a", "is_completed": True}
    )
    trail.add(primary_key="2")
    task = Task(pk=1)
    assert ids(task.bemi_changes()) == [made, done]
    assert ids(task.bemi_changes("is_completed")) == [done]
    assert ids(task.bemi_changes().after({"is_completed": True})) == [done]


def test_a_table_in_a_named_schema_has_only_its_own_changes(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail.add()
    own = trail.add(schema="app")
    monkeypatch.setattr(Task._meta, "db_table", 'app"."todo_task')
    assert ids(Task(pk=1).bemi_changes()) == [own]


def test_the_model_knows_only_columns_that_the_sink_makes(trail: Trail) -> None:
    with connection.cursor() as cursor:
        made = {
            column.name
            for column in connection.introspection.get_table_description(cursor, "changes")
        }
    assert {field.column for field in BemiChange._meta.concrete_fields} <= made
