"""What the audit page shows: the trail of the tasks in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import ProgrammingError

from bemi.models import BemiChange
from example.todo.models import Task

ENTRIES_SHOWN = 50
UNDEFINED_TABLE = "42P01"  # PostgreSQL's SQLSTATE
WORDS = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted", "TRUNCATE": "emptied"}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One column's value on both sides; None where a side has none."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of one task."""

    operation: str
    primary_key: str | None
    committed_at: datetime
    who: str
    method: str
    endpoint: str
    sql: str
    fields: list[FieldChange]


def latest_entries() -> list[AuditEntry] | None:
    """Return the newest changes of tasks, or None while there is no table of changes yet."""
    try:
        changes = list(BemiChange.objects.filter(table=Task._meta.db_table).desc()[:ENTRIES_SHOWN])
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) == UNDEFINED_TABLE:
            return None
        raise
    names = _user_names(changes)
    return [_entry(change, names) for change in changes]


def _user_names(changes: list[BemiChange]) -> dict[Any, str]:
    # One query for the page: the trail may be in another database, where no join reaches.
    ids = {(change.context or {}).get("user_id") for change in changes}
    users = get_user_model().objects.filter(pk__in=[pk for pk in ids if isinstance(pk, int)])
    return {user.pk: user.get_username() for user in users}


def _entry(change: BemiChange, names: dict[Any, str]) -> AuditEntry:
    context = change.context or {}
    user_id = context.get("user_id")
    if user_id is None:
        who = "someone not logged in" if context else "someone outside the site"
    else:
        who = names.get(user_id, f"user {user_id}")
    return AuditEntry(
        operation=WORDS.get(change.operation, change.operation.lower()),
        primary_key=change.primary_key,
        committed_at=change.committed_at,
        who=who,
        method=str(context.get("method", "")),
        endpoint=str(context.get("endpoint", "")),
        sql=str(context.get("SQL", "")),
        fields=[FieldChange(name, *sides) for name, sides in change.diff().items()],
    )
