"""For a site's tests: which rows a view changed, and in which context, without a pipeline.

    with bemi.testing.captured_changes() as changes:
        client.post("/tasks/1/complete/")
    assert changes.of(Task).get(primary_key="1").after["is_completed"] is True
    assert changes[0].context["user_id"] == user.pk

Triggers that live for the block note every row that this connection changes, in a temporary
table; so it works inside TestCase's transaction, with raw SQL and bulk operations as with
`save()`, and whether the site's tables have bemi's own triggers or not. `before` and `after` are
what PostgreSQL's to_jsonb gives: all columns, whatever the replica identity is.

For pytest there is the fixture `bemi_changes`, for unittest the mixin `BemiTestMixin`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, overload

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from bemi.row_identity import split_table_name
from bemi.statements import read_comment


@dataclass(frozen=True, slots=True)
class CapturedChange:
    """One change of one row, or the TRUNCATE of a table."""

    schema: str
    table: str
    operation: str
    """CREATE, UPDATE, DELETE or TRUNCATE, as in the trail."""
    before: dict[str, Any]
    after: dict[str, Any]
    context: dict[str, Any]
    """What its statement carried; {} where it carried none."""


class CapturedChanges(Sequence[CapturedChange]):
    """What has been captured until now, in the order in which it was done."""

    def __init__(self, changes: Sequence[CapturedChange] = ()) -> None:
        self._changes = list(changes)

    @overload
    def __getitem__(self, index: int) -> CapturedChange: ...
    @overload
    def __getitem__(self, index: slice) -> CapturedChanges: ...
    def __getitem__(self, index: int | slice) -> CapturedChange | CapturedChanges:
        """Return one of them, or some."""
        if isinstance(index, slice):
            return CapturedChanges(self._all()[index])
        return self._all()[index]

    def __len__(self) -> int:
        """Return how many they are."""
        return len(self._all())

    def __repr__(self) -> str:
        """Show them, for a failing test to say what happened instead."""
        lines = [f"  {change}" for change in self._all()]
        return "\n".join(["CapturedChanges:", *lines]) if lines else "CapturedChanges: none"

    def of(self, model: type[models.Model]) -> CapturedChanges:
        """Return those of the model's table."""
        schema, table = split_table_name(model._meta.db_table)
        return CapturedChanges(
            [
                change
                for change in self._all()
                if change.table == table and schema in (change.schema, None)
            ]
        )

    def get(self, operation: str | None = None, **columns: Any) -> CapturedChange:
        """Return the only one of this operation whose row has these values, before or after.

        Raises AssertionError, with all that there are, where it is none or several.
        """
        found = [
            change
            for change in self._all()
            if operation in (change.operation, None)
            and any(_holds(row, columns) for row in (change.after, change.before))
        ]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} changes, not 1, of {operation} {columns}: {self!r}")
        return found[0]

    def _all(self) -> list[CapturedChange]:
        return self._changes


class _LiveChanges(CapturedChanges):
    """Reads what is there whenever it is asked, and once more when the block ends."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__()
        self._connection: BaseDatabaseWrapper | None = connection

    def _all(self) -> list[CapturedChange]:
        if self._connection is not None:
            self._changes = _read(self._connection)
        return self._changes

    def finish(self) -> None:
        try:
            self._all()
        finally:
            self._connection = None


@contextmanager
def captured_changes(using: str = DEFAULT_DB_ALIAS) -> Iterator[CapturedChanges]:
    """Capture what the connection changes inside the block; the result may be read after it too.

    One block at a time for a connection. What another connection changes, such as that of a
    live server's thread, is not captured. A change that a savepoint's rollback took back is
    not there.
    """
    connection = connections[using]
    _run(connection, "capture.sql")
    changes = _LiveChanges(connection)
    try:
        yield changes
    except BaseException:
        # In a transaction that is broken everything goes with its rollback.
        with suppress(DatabaseError):
            _end(connection, changes)
        raise
    if not connection.needs_rollback:
        _end(connection, changes)


def _end(connection: BaseDatabaseWrapper, changes: _LiveChanges) -> None:
    changes.finish()
    _run(connection, "end_capture.sql")


class BemiTestMixin:
    """For unittest and Django's test cases: `with self.capturedBemiChanges() as changes:`."""

    def capturedBemiChanges(self, using: str = DEFAULT_DB_ALIAS) -> Any:
        """Return the block of `captured_changes`, named as unittest names things."""
        return captured_changes(using)


def _run(connection: BaseDatabaseWrapper, name: str) -> None:
    sql = files("bemi").joinpath("sql").joinpath(name).read_text(encoding="utf-8")
    with connection.cursor() as cursor:
        cursor.execute(sql)


def _read(connection: BaseDatabaseWrapper) -> list[CapturedChange]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schema_name, table_name, operation, old_row, new_row, statement, setting "
            "FROM pg_temp.bemi_captured ORDER BY number"
        )
        rows = cursor.fetchall()
    return [
        CapturedChange(schema, table, operation, _row(old), _row(new), _context(statement, setting))
        for schema, table, operation, old, new, statement, setting in rows
    ]


def _row(text: str | None) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(text) if text else {}
    return row


def _context(statement: str, setting: str | None) -> dict[str, Any]:
    context = read_comment(statement)
    if context is None and setting:
        found = json.loads(setting)
        context = found if isinstance(found, dict) else None
    return context or {}


def _holds(row: dict[str, Any], columns: dict[str, Any]) -> bool:
    return bool(row) and all(name in row and row[name] == columns[name] for name in columns)
