"""Questions to the trail, as `BemiChange.objects` answers them.

Each that asks the database has an async twin, its name with an `a` before it, as Django's own
`acount`, `aget`, `afirst` and `async for` are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db.models import BooleanField, Func, JSONField, QuerySet, TextField, Value
from django.db.models.functions import Cast

if TYPE_CHECKING:
    from typing_extensions import Self

    from bemi.models import BemiChange
    from bemi.revert import Undone

IN_ORDER = ("committed_at", "position", "ordinal")
"""What orders changes: rows of one COPY share everything but the ordinal."""

_ROW = ("schema", "table", "primary_key")


FieldHistory = list[tuple["BemiChange", Any, Any]]
"""`(change, before, after)` for each change of a field, the oldest first."""


def _transaction(change: BemiChange) -> tuple[object, ...]:
    return change.database, change.epoch, change.commit_lsn, change.transaction_id


class BemiChangeQuerySet(QuerySet["BemiChange"]):
    """Changes, narrowed down by what they did and in which context.

    Values are compared as `jsonb @>` does: a dict is found in every dict that holds it.
    """

    def before(self, values: Any) -> Self:
        """Keep changes of rows that held these values before."""
        return self.filter(before__contains=values)

    def before_not(self, values: Any) -> Self:
        """Keep changes of rows that did not hold these values before."""
        return self.exclude(before__contains=values)

    def after(self, values: Any) -> Self:
        """Keep changes of rows that hold these values afterwards."""
        return self.filter(after__contains=values)

    def after_not(self, values: Any) -> Self:
        """Keep changes of rows that do not hold these values afterwards."""
        return self.exclude(after__contains=values)

    def context(self, values: Any) -> Self:
        """Keep changes made in a context that holds these values."""
        return self.filter(context__contains=values)

    def context_not(self, values: Any) -> Self:
        """Keep changes made in a context that does not hold these values."""
        return self.exclude(context__contains=values)

    def created(self) -> Self:
        """Keep inserted rows."""
        return self.filter(operation="CREATE")

    def updated(self) -> Self:
        """Keep updated rows."""
        return self.filter(operation="UPDATE")

    def deleted(self) -> Self:
        """Keep deleted rows."""
        return self.filter(operation="DELETE")

    def asc(self) -> Self:
        """Put the oldest first."""
        return self.order_by(*IN_ORDER)

    def desc(self) -> Self:
        """Put the newest first."""
        return self.order_by(*(f"-{name}" for name in IN_ORDER))

    def first_change(self) -> BemiChange | None:
        """Return the oldest of them, None where there is none."""
        return self.asc().first()

    def last_change(self) -> BemiChange | None:
        """Return the newest of them, None where there is none."""
        return self.desc().first()

    async def afirst_change(self) -> BemiChange | None:
        """Do as `first_change`."""
        return await self.asc().afirst()

    async def alast_change(self) -> BemiChange | None:
        """Do as `last_change`."""
        return await self.desc().afirst()

    def history_of_field(self, attribute: str) -> FieldHistory:
        """Return `(change, before, after)` for each of them that changed the field.

        The oldest first; the values are of the field's Python type. A foreign key's attribute
        ends in `_id`.
        """
        return [
            (change, *values)
            for change in self.asc()
            if (values := change.field_changes().get(attribute)) is not None
        ]

    async def ahistory_of_field(self, attribute: str) -> FieldHistory:
        """Do as `history_of_field`."""
        return [
            (change, *values)
            async for change in self.asc()
            if (values := change.field_changes().get(attribute)) is not None
        ]

    def first_of_each_row(self) -> Self:
        """Keep the oldest change of each row; changes of no row (TRUNCATE) are left out."""
        rows = self.filter(primary_key__isnull=False)
        return rows.order_by(*_ROW, *IN_ORDER).distinct(*_ROW)

    def last_of_each_row(self) -> Self:
        """Keep the newest change of each row; changes of no row (TRUNCATE) are left out."""
        rows = self.filter(primary_key__isnull=False)
        return rows.order_by(*_ROW, *(f"-{name}" for name in IN_ORDER)).distinct(*_ROW)

    def same_transaction(self, change: BemiChange) -> Self:
        """Keep those of the transaction that made the change.

        Known by its commit: transaction ids come again after some billions.
        """
        return self.filter(
            transaction_id=change.transaction_id,
            committed_at=change.committed_at,
            commit_lsn=change.commit_lsn,
            epoch=change.epoch,
            database=change.database,
        )

    def by_transaction(self) -> Iterator[list[BemiChange]]:
        """Yield the changes of one transaction after the other, the oldest first."""
        for _, changes in groupby(self._by_commit().iterator(), _transaction):
            yield list(changes)

    async def aby_transaction(self) -> AsyncIterator[list[BemiChange]]:
        """Do as `by_transaction`, for `async for`."""
        changes: list[BemiChange] = []
        async for change in self._by_commit().aiterator():
            if changes and _transaction(changes[0]) != _transaction(change):
                yield changes
                changes = []
            changes.append(change)
        if changes:
            yield changes

    def _by_commit(self) -> Self:
        return self.order_by("committed_at", "commit_lsn", "transaction_id", "ordinal")

    def by_context(self, key: str) -> Iterator[tuple[Any, list[BemiChange]]]:
        """Yield `(value, changes)` for each value that the context has under the key.

        In the order in which they came first: with a request's id as the key that groups by
        request. Changes without the key are left out.
        """
        yield from _grouped(self._with_key(key), key)

    async def aby_context(self, key: str) -> AsyncIterator[tuple[Any, list[BemiChange]]]:
        """Do as `by_context`, for `async for`."""
        for group in _grouped([change async for change in self._with_key(key)], key):
            yield group

    def _with_key(self, key: str) -> Self:
        return self.filter(context__has_key=key).asc()

    def revert(self, *, dry_run: bool = False) -> list[Undone]:
        """Undo all of them, the last first, or none; see `bemi.revert.revert`."""
        from bemi.revert import revert

        return revert(self, dry_run=dry_run)

    async def arevert(self, *, dry_run: bool = False) -> list[Undone]:
        """Do as `revert`, in a thread: Django has no transactions in async code."""
        return await sync_to_async(self.revert)(dry_run=dry_run)

    def field_changed(self, table: str, primary_key: Any, field_name: str) -> Self:
        """Keep changes of one row that changed one column; its first value counts as one."""
        row = self.filter(table=table, primary_key=str(primary_key))
        return row.column_changed(field_name)

    def column_changed(self, name: str) -> Self:
        """Keep changes that changed the column; its first value counts as one."""
        # -> with a text on its right is a key; Django's own transform would take a name of
        # digits for an index.
        key = Cast(Value(name), TextField())
        side = {"template": "(%(expressions)s)", "arg_joiner": " -> "}
        changed = Func(
            Func("before", key, output_field=JSONField(), **side),
            Func("after", key, output_field=JSONField(), **side),
            template="(%(expressions)s)",
            arg_joiner=" IS DISTINCT FROM ",
            output_field=BooleanField(),
        )
        return self.annotate(field_changed=changed).filter(field_changed=True)


def _grouped(changes: Iterable[BemiChange], key: str) -> Iterator[tuple[Any, list[BemiChange]]]:
    groups: dict[str, tuple[Any, list[BemiChange]]] = {}
    for change in changes:
        value = (change.context or {})[key]
        groups.setdefault(repr(value), (value, []))[1].append(change)
    yield from groups.values()
