"""The trail as a model: the table `changes`, which the sink makes and writes.

No migration touches the table, and nothing should be written through this model: a trail
that the site can change proves nothing.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.db import models

from bemi.field_values import FieldChange, field_values, model_of
from bemi.managers import BemiChangeManager
from bemi.querysets import IN_ORDER, BemiChangeQuerySet
from bemi.revert import Undone, revert


class BemiChange(models.Model):
    """One change of one row, or the TRUNCATE of a table, with the context it was made in.

    `before` is {} for a created row, `after` for a deleted one; `context` is {} where the
    change was made without any. `primary_key` holds the key's columns joined by commas, and
    is None for a table without a key.
    """

    id = models.UUIDField(primary_key=True)
    database = models.TextField()
    schema = models.TextField()
    table = models.CharField(max_length=255)
    primary_key = models.CharField(max_length=255, null=True)
    operation = models.CharField(max_length=10)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    context = models.JSONField(null=True)
    committed_at = models.DateTimeField()
    queued_at = models.DateTimeField()
    created_at = models.DateTimeField()
    transaction_id = models.BigIntegerField()
    position = models.BigIntegerField()
    commit_lsn = models.BigIntegerField(null=True)
    ordinal = models.BigIntegerField(null=True)
    epoch = models.TextField(null=True)
    context_error = models.TextField(null=True)

    objects = BemiChangeManager()

    class Meta:
        db_table = "changes"
        managed = False
        ordering = IN_ORDER

    def __str__(self) -> str:
        """Name the row and what happened to it, without any of its values."""
        return f"{self.operation} {self.table} {self.primary_key}"

    @property
    def model(self) -> type[models.Model] | None:
        """The site's model of the table, None where it has none (any more)."""
        return model_of(self.schema, self.table)

    def field_changes(self) -> dict[str, FieldChange]:
        """Return what changed by field, as the fields' Python types.

        For the fields that the model has now. {} where the site has no model of the table.
        """
        model = self.model
        if model is None:
            return {}
        before = field_values(model, self.before or {})
        after = field_values(model, self.after or {})
        return {
            name: FieldChange(before.get(name), after.get(name))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        }

    def transaction_changes(self) -> BemiChangeQuerySet:
        """Return all changes of the transaction that made this one, in their order."""
        return type(self).objects.same_transaction(self).asc()

    def revert(self, *, dry_run: bool = False) -> list[Undone]:
        """Undo this change alone; raises RevertConflict, see `bemi.revert.revert`."""
        return revert([self], dry_run=dry_run)

    async def arevert(self, *, dry_run: bool = False) -> list[Undone]:
        """Do as `revert`, for async code."""
        return await sync_to_async(self.revert)(dry_run=dry_run)

    def diff(self) -> dict[str, list[Any]]:
        """Return what changed, as {column: [before, after]}; None where a side has none."""
        before = self.before or {}
        after = self.after or {}
        return {
            name: [before.get(name), after.get(name)]
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        }
