"""Give a site's own models their trail."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Q

from bemi.row_identity import joined_primary_key, split_table_name

if TYPE_CHECKING:
    from django.db.models import Model
    from typing_extensions import Self

    from bemi.history import History
    from bemi.querysets import BemiChangeQuerySet, FieldHistory
    from bemi.revert import Undone

    ModelT = TypeVar("ModelT", bound=Model)

    ModelBase = Model
else:
    ModelBase = object


# What imports models is imported where it is used: `bemi` must be importable before models are.


class HistoryOfModel:
    """Gives a model class its `History`; an object has none, as it has no manager."""

    def __get__(self, instance: Model | None, owner: type[ModelT]) -> History[ModelT]:
        """Return the history of the class it is asked of."""
        if instance is not None:
            raise AttributeError(
                "the history is asked of the class; an object has bemi_changes and bemi_as_of"
            )
        from bemi.history import History

        return History(owner)


class BemiRecordMixin(ModelBase):
    """A model whose objects know their changes, and whose class knows its table's: `bemi`."""

    if TYPE_CHECKING:

        class Meta:
            abstract = True

    bemi = HistoryOfModel()

    def bemi_as_of(self, moment: datetime) -> Self | None:
        """Return the row as it was then, None where there was none."""
        return type(self).bemi.as_of_key(self.pk, moment)

    async def abemi_as_of(self, moment: datetime) -> Self | None:
        """Do as `bemi_as_of`, for async code."""
        return await type(self).bemi.aas_of_key(self.pk, moment)

    def bemi_field_history(self, attribute: str) -> FieldHistory:
        """Return `(change, before, after)` for each change of one field, the oldest first.

        The values are of the field's Python type. A foreign key's attribute ends in `_id`.
        """
        return self.bemi_changes().history_of_field(attribute)

    async def abemi_field_history(self, attribute: str) -> FieldHistory:
        """Do as `bemi_field_history`, for async code."""
        return await self.bemi_changes().ahistory_of_field(attribute)

    def bemi_revert_to(self, moment: datetime, *, dry_run: bool = False) -> list[Undone]:
        """Undo what was done to the row since then; raises RevertConflict."""
        return self.bemi_changes().filter(committed_at__gt=moment).revert(dry_run=dry_run)

    async def abemi_revert_to(self, moment: datetime, *, dry_run: bool = False) -> list[Undone]:
        """Do as `bemi_revert_to`, for async code."""
        return await self.bemi_changes().filter(committed_at__gt=moment).arevert(dry_run=dry_run)

    def bemi_changes(self, field_name: str | None = None) -> BemiChangeQuerySet:
        """Return the changes of this object's row, or those that changed one column.

        A model that inherits from others with tables has a row in each: of all of them.
        """
        from bemi.models import BemiChange

        changes = BemiChange.objects.filter(_rows_of(self))
        return changes if field_name is None else changes.column_changed(field_name)


def _rows_of(instance: Model) -> Q:
    """Return what finds the changes of the object's rows: in its table and in its parents'."""
    concrete: Any = instance._meta.concrete_model
    rows = Q()
    for model in (concrete, *concrete._meta.get_parent_list()):
        schema, table = split_table_name(model._meta.db_table)
        # A composite key is no attribute of its own name.
        pk = instance.pk if model is concrete else getattr(instance, model._meta.pk.attname)
        row = Q(table=table, primary_key=joined_primary_key(pk))
        rows |= row if schema is None else row & Q(schema=schema)
    return rows
