"""Undo changes: one, a row's to a time, a request's or a transaction's.

The inverse of each change, the last first, in one transaction. A change is undone only where
the row still holds what the change left in the columns that it changed; what somebody changed
since is a conflict, and then nothing is undone at all. It is done by ordinary statements in the
context `{"reverted": [ids]}`, so the trail says who undid what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections, router, transaction
from django.db.models import Model

from bemi.context_api import context
from bemi.field_values import (
    ERASED,
    UNAVAILABLE,
    field_values,
    model_of,
    primary_key_filter,
)

if TYPE_CHECKING:
    from bemi.models import BemiChange

REVERTED_KEY = "reverted"
MAX_IDS_IN_CONTEXT = 100


@dataclass(frozen=True, slots=True)
class Conflict:
    """A change that cannot be undone, and why."""

    change: BemiChange
    reason: str


class RevertConflict(Exception):
    """Something was changed since, or is not known; nothing was undone."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = list(conflicts)
        first = self.conflicts[0]
        more = f" (and {len(self.conflicts) - 1} more)" if len(self.conflicts) > 1 else ""
        super().__init__(f"nothing was reverted: {first.change}: {first.reason}{more}")


@dataclass(frozen=True, slots=True)
class Undone:
    """What was done, or would be, to undo a change."""

    change: BemiChange
    operation: str
    """INSERT, UPDATE or DELETE: the inverse."""
    values: dict[str, Any]
    """What the fields got; {} where the row was deleted."""


class _Impossible(Exception):
    """This change cannot be undone; the text says why."""


class _DryRun(Exception):
    """Takes back what a dry run did."""


def revert(changes: Iterable[BemiChange], *, dry_run: bool = False) -> list[Undone]:
    """Undo the changes, the last of them first, and return what was done.

    All of them or none: raises RevertConflict with every change that is in the way. With
    `dry_run` it is done and taken back, so what it returns or raises is what would happen.
    The changes may be of several tables, but of one database.
    """
    ordered = sorted(changes, key=_place, reverse=True)
    if not ordered:
        return []
    ids = [str(change.pk) for change in ordered[:MAX_IDS_IN_CONTEXT]]
    undone: list[Undone] = []
    using = _database(ordered)
    try:
        with context({REVERTED_KEY: ids}), transaction.atomic(using=using):
            undone = _undo_all(ordered, using)
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    return undone


def _place(change: BemiChange) -> tuple[Any, ...]:
    return change.committed_at, change.commit_lsn or 0, change.ordinal or 0, change.position


def _database(changes: Iterable[BemiChange]) -> str:
    databases = {
        router.db_for_write(model)
        for change in changes
        if (model := model_of(change.schema, change.table)) is not None
    }
    if len(databases) > 1:
        raise ValueError(f"the changes are of several databases, {sorted(databases)}; revert each")
    return databases.pop() if databases else "default"


def _undo_all(changes: Iterable[BemiChange], using: str) -> list[Undone]:
    undone: list[Undone] = []
    conflicts: list[Conflict] = []
    dangling: Conflict | None = None
    for change in changes:
        try:
            undone.append(_undo(change))
        except _Impossible as problem:
            conflicts.append(Conflict(change, str(problem)))
        else:
            # What one of them leaves without its row, the next may put right; until then it is
            # the first one's doing.
            refusal = _deferred_refusal(change, using)
            dangling = refusal and (dangling or refusal)
    if dangling is not None:
        conflicts.append(dangling)
    if conflicts:
        raise RevertConflict(conflicts)
    return undone


def _deferred_refusal(change: BemiChange, using: str) -> Conflict | None:
    """Return the conflict of a change whose undoing could not be committed now, if it is one.

    Django's foreign keys are deferred: a row that others refer to can be deleted until COMMIT.
    """
    try:
        with transaction.atomic(using=using):
            connections[using].check_constraints()
    except DatabaseError as error:
        return Conflict(change, _refusal(error))
    return None


def _refusal(error: DatabaseError) -> str:
    return f"the database refuses it: {error}".strip()


def _undo(change: BemiChange) -> Undone:
    if ERASED in (*(change.before or {}).values(), *(change.after or {}).values()):
        raise _Impossible("values of it were erased (bemi-sink erase)")
    model = model_of(change.schema, change.table)
    if model is None:
        raise _Impossible(f"no model has the table {change.schema}.{change.table}")
    undo = {"CREATE": _delete, "UPDATE": _update, "DELETE": _insert}.get(change.operation)
    if undo is None:
        raise _Impossible(f"a {change.operation} cannot be reverted: it does not say which rows")
    try:
        # A savepoint each, so that a constraint that is violated ends as one conflict of many.
        with transaction.atomic(using=router.db_for_write(model)):
            return undo(model, change)
    except DatabaseError as error:
        raise _Impossible(_refusal(error)) from error


def _delete(model: type[Model], change: BemiChange) -> Undone:
    after = change.after or {}
    rows = _rows(model, after)
    _require_unchanged(rows.first(), field_values(model, after))
    rows._raw_delete(rows.db)
    return Undone(change, "DELETE", {})


def _update(model: type[Model], change: BemiChange) -> Undone:
    before, after = change.before or {}, change.after or {}
    changed = [name for name in before if before[name] != after.get(name)]
    if not before:
        raise _Impossible("the values before are not known: the table lacks REPLICA IDENTITY FULL")
    if any(before[name] == UNAVAILABLE for name in changed):
        raise _Impossible("a value before is not known: PostgreSQL did not send it")
    old = field_values(model, {name: before[name] for name in changed})
    rows = _rows(model, after)
    _require_unchanged(rows.first(), field_values(model, {n: after.get(n) for n in changed}))
    if old:
        rows.update(**old)
    return Undone(change, "UPDATE", old)


def _insert(model: type[Model], change: BemiChange) -> Undone:
    before = change.before or {}
    missing = [
        field.column
        # Those of a parent model are in the parent's table, a change of its own.
        for field in model._meta.local_concrete_fields
        if before.get(field.column, UNAVAILABLE) == UNAVAILABLE
        and not (field.null or field.has_default() or _has_database_value(field))
    ]
    if missing:
        raise _Impossible(f"the row is not known whole: {', '.join(missing)} is missing")
    if _rows(model, before).exists():
        raise _Impossible("a row with its key is there again")
    values = field_values(model, before)
    model(**values).save_base(raw=True, force_insert=True, using=router.db_for_write(model))
    return Undone(change, "INSERT", values)


def _has_database_value(field: Any) -> bool:
    return bool(getattr(field, "generated", False) or getattr(field, "has_db_default", bool)())


def _rows(model: type[Model], columns: Mapping[str, Any]) -> Any:
    try:
        key = primary_key_filter(model, columns)
    except KeyError as error:
        raise _Impossible(f"its key is not known: {error} is missing") from error
    # Locked, so that nobody changes the row between the look and the statement.
    return model._base_manager.using(router.db_for_write(model)).select_for_update().filter(**key)


def _require_unchanged(row: Model | None, expected: Mapping[str, Any]) -> None:
    if row is None:
        raise _Impossible("the row is not there any more")
    changed = [name for name, value in expected.items() if getattr(row, name) != value]
    if changed:
        raise _Impossible(f"changed since: {', '.join(changed)}")
