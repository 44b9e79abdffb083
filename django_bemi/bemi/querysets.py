"""Questions to the trail, as `BemiChange.objects` answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import BooleanField, Func, JSONField, QuerySet, TextField, Value
from django.db.models.functions import Cast

if TYPE_CHECKING:
    from typing_extensions import Self

    from bemi.models import BemiChange  # noqa: F401  (named by the string below)

IN_ORDER = ("committed_at", "position", "ordinal")
"""What orders changes: rows of one COPY share everything but the ordinal."""


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

    def field_changed(self, table: str, primary_key: Any, field_name: str) -> Self:
        """Keep changes of one row that changed one column; its first value counts as one."""
        # -> with a text on its right is a key; Django's own transform would take a name of
        # digits for an index.
        key = Cast(Value(field_name), TextField())
        side = {"template": "(%(expressions)s)", "arg_joiner": " -> "}
        changed = Func(
            Func("before", key, output_field=JSONField(), **side),
            Func("after", key, output_field=JSONField(), **side),
            template="(%(expressions)s)",
            arg_joiner=" IS DISTINCT FROM ",
            output_field=BooleanField(),
        )
        return self.annotate(field_changed=changed).filter(
            field_changed=True, table=table, primary_key=str(primary_key)
        )
