"""Give a site's own models their trail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.models import Model

    from bemi.querysets import BemiChangeQuerySet

    ModelBase = Model
else:
    ModelBase = object


class BemiRecordMixin(ModelBase):
    """A model whose objects know their changes."""

    if TYPE_CHECKING:

        class Meta:
            abstract = True

    def bemi_changes(self, field_name: str | None = None) -> BemiChangeQuerySet:
        """Return the changes of this object's row, or those that changed one column."""
        # The model is imported here because `bemi` must be importable before models are.
        from bemi.models import BemiChange

        schema, table = split_table_name(self._meta.db_table)
        primary_key = joined_primary_key(self.pk)
        changes = BemiChange.objects.filter(table=table, primary_key=primary_key)
        if schema is not None:
            changes = changes.filter(schema=schema)
        if field_name is not None:
            changes = changes.field_changed(table, primary_key, field_name)
        return changes


def split_table_name(db_table: str) -> tuple[str | None, str]:
    """Return schema and table of a db_table that names both, written `schema"."table`.

    The quotes that Django puts around a db_table make that a qualified name.
    """
    schema, separator, table = db_table.strip('"').partition('"."')
    return (schema, table) if separator else (None, db_table)


def joined_primary_key(primary_key: Any) -> str:
    """Return a primary key as the column `primary_key` has it.

    A composite one is its values joined by commas, with a backslash before each comma and
    backslash in a value.
    """
    if isinstance(primary_key, (tuple, list)):
        return _joined(primary_key)
    return str(primary_key)


def _joined(values: Iterable[Any]) -> str:
    return ",".join(str(value).replace("\\", "\\\\").replace(",", "\\,") for value in values)
