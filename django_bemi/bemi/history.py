"""Look at rows as they were: `Model.bemi.as_of(time)`, `instance.bemi_as_of(time)`.

A row at a time is what its last change up to then left; where there is none, what its first
change after it found; where there is none either, the row as it is, because nothing has
changed it. The trail has to reach back that far: what is older than the trail is seen as the
trail's beginning has it.

A model that inherits from another one with a table has a row in each of them: each is looked up
as it was then.

Works where the trail is in another database: it is asked first, then the tracked one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import router
from django.db.models import Model, Q

from bemi.field_values import instance_of, parents_of, take_over
from bemi.row_identity import joined_primary_key, split_table_name

if TYPE_CHECKING:
    from bemi.querysets import BemiChangeQuerySet

ModelT = TypeVar("ModelT", bound=Model)

TRUNCATE = "TRUNCATE"
CHUNK = 2000


class History(Generic[ModelT]):
    """The history of a model's table. `Model.bemi` of a model with BemiRecordMixin."""

    def __init__(self, model: type[ModelT]) -> None:
        self._model = model

    def changes(self) -> BemiChangeQuerySet:
        """Return every change of the table, the oldest first."""
        # The model is imported here because `bemi` must be importable before models are.
        from bemi.models import BemiChange

        schema, table = split_table_name(self._model._meta.db_table)
        changes = BemiChange.objects.filter(table=table)
        return changes if schema is None else changes.filter(schema=schema)

    def as_of(self, moment: datetime) -> list[ModelT]:
        """Return the table's rows as they were then, in no particular order.

        All of them, in memory: meant for tables that fit there. For one row there is
        `as_of_key`. Objects with a field that the trail does not know have it deferred.
        """
        rows: dict[str, dict[str, Any] | None] = {}
        earlier = self._since_truncate(moment)
        for change in earlier.last_of_each_row().iterator(chunk_size=CHUNK):
            rows[cast(str, change.primary_key)] = change.after or None
        later = self.changes().filter(committed_at__gt=moment)
        for change in later.first_of_each_row().iterator(chunk_size=CHUNK):
            rows.setdefault(cast(str, change.primary_key), change.before or None)
        was = [self._instance(values) for values in rows.values() if values is not None]
        found = [*was, *self._never_changed(rows.keys(), moment)]
        for parent, link in parents_of(self._model):
            parents = {row.pk: row for row in History(parent).as_of(moment)}
            for instance in found:
                take_over(instance, parent, parents.get(getattr(instance, link)))
        return found

    def as_of_key(self, primary_key: Any, moment: datetime) -> ModelT | None:
        """Return one row as it was then, None where there was none."""
        instance = self._row(primary_key, moment)
        if instance is not None:
            for parent, link in parents_of(self._model):
                row = History(parent).as_of_key(getattr(instance, link), moment)
                take_over(instance, parent, row)
        return instance

    def _row(self, primary_key: Any, moment: datetime) -> ModelT | None:
        key = joined_primary_key(primary_key)
        change = self._since_truncate(moment).filter(primary_key=key).last_change()
        if change is not None:
            return self._instance(change.after) if change.after else None
        later = self.changes().filter(primary_key=key, committed_at__gt=moment)
        change = later.first_change()
        if change is not None:
            return self._instance(change.before) if change.before else None
        if self._was_truncated_after(moment):
            return None
        return cast("ModelT | None", self._live().filter(pk=primary_key).first())

    async def aas_of(self, moment: datetime) -> list[ModelT]:
        """Do as `as_of`, for async code."""
        return await sync_to_async(self.as_of)(moment)

    async def aas_of_key(self, primary_key: Any, moment: datetime) -> ModelT | None:
        """Do as `as_of_key`, for async code."""
        return await sync_to_async(self.as_of_key)(primary_key, moment)

    def _since_truncate(self, moment: datetime) -> BemiChangeQuerySet:
        """Return the changes up to then, from the last TRUNCATE on: what it took is gone."""
        changes = self.changes().filter(committed_at__lte=moment)
        truncate = changes.filter(operation=TRUNCATE).last_change()
        changes = changes.exclude(operation=TRUNCATE)
        if truncate is None:
            return changes
        same_transaction = Q(
            committed_at=truncate.committed_at,
            commit_lsn=truncate.commit_lsn,
            ordinal__gt=truncate.ordinal,
        )
        return changes.filter(Q(committed_at__gt=truncate.committed_at) | same_transaction)

    def _was_truncated_after(self, moment: datetime) -> bool:
        later = self.changes().filter(operation=TRUNCATE, committed_at__gt=moment)
        return later.exists()

    def _never_changed(self, known: Iterable[str], moment: datetime) -> Iterator[ModelT]:
        # What is there now and was there before a TRUNCATE is not the same row.
        if self._was_truncated_after(moment):
            return
        seen = set(known)
        for row in self._live().iterator(chunk_size=CHUNK):
            if joined_primary_key(row.pk) not in seen:
                yield row

    def _live(self) -> Any:
        return self._model._base_manager.using(router.db_for_read(self._model))

    def _instance(self, columns: dict[str, Any]) -> ModelT:
        using = router.db_for_read(self._model)
        return cast(ModelT, instance_of(self._model, columns, using=using))
