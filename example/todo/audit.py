"""What the pages about the trail show: changes of tasks in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import ProgrammingError

from bemi.field_values import FieldChange
from bemi.models import BemiChange
from bemi.querysets import BemiChangeQuerySet
from example.todo.models import Task

ENTRIES_SHOWN = 50
UNDEFINED_TABLE = "42P01"  # PostgreSQL's SQLSTATE
WORDS = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted", "TRUNCATE": "emptied"}


class NoTrail(Exception):
    """There is no table of changes yet: the sink makes it when it starts."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of one task."""

    id: UUID
    operation: str
    primary_key: str | None
    committed_at: datetime
    who: str
    how: str
    endpoint: str
    request_id: str
    sql: str
    is_reverting: bool
    fields: dict[str, FieldChange]

    @property
    def moment(self) -> str:
        """Return when it was done, in UTC, as a browser's field of date and time has it.

        That has milliseconds, so it is the first one in which the change has been made.
        """
        up = self.committed_at.astimezone(timezone.utc) + timedelta(microseconds=999)
        return up.replace(tzinfo=None).isoformat(timespec="milliseconds")


def latest_entries() -> list[AuditEntry]:
    """Return the newest changes of tasks; raises NoTrail."""
    return described(Task.bemi.changes())


def described(changes: BemiChangeQuerySet) -> list[AuditEntry]:
    """Return the newest of these changes in words, the newest first; raises NoTrail."""
    with trail_expected():
        found = list(changes.desc()[:ENTRIES_SHOWN])
    names = _user_names(found)
    return [_entry(change, names) for change in found]


@contextmanager
def trail_expected() -> Iterator[None]:
    """Raise NoTrail where the table of changes is not there."""
    try:
        yield
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) == UNDEFINED_TABLE:
            raise NoTrail from error
        raise


def _user_names(changes: list[BemiChange]) -> dict[Any, str]:
    # One query for the page: the trail may be in another database, where no join reaches.
    ids = {(change.context or {}).get("user_id") for change in changes}
    users = get_user_model().objects.filter(pk__in=[pk for pk in ids if isinstance(pk, int)])
    return {user.pk: user.get_username() for user in users}


def _entry(change: BemiChange, names: dict[Any, str]) -> AuditEntry:
    context = change.context or {}
    return AuditEntry(
        id=change.pk,
        operation=WORDS.get(change.operation, change.operation.lower()),
        primary_key=change.primary_key,
        committed_at=change.committed_at,
        who=_who(context, names),
        how=str(context.get("task") or context.get("method", "")),
        endpoint=str(context.get("endpoint", "")),
        request_id=str(context.get("request_id", "")),
        sql=str(context.get("SQL", "")),
        is_reverting="reverted" in context,
        fields=change.field_changes(),
    )


def _who(context: dict[str, Any], names: dict[Any, str]) -> str:
    user_id = context.get("user_id")
    if user_id is not None:
        return names.get(user_id, f"user {user_id}")
    if "command" in context:
        return f"the command {context['command']}"
    return "someone not logged in" if context else "someone outside the site"
