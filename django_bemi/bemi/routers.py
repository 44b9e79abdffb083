"""Read the trail from another database: the one with the alias `bemi`."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

SOURCE_HINT = "bemi_source"
"""The hint of operations that prepare a tracked database, not the one with the trail."""

DESTINATION_ALIAS = "bemi"


class BemiDatabaseRouter:
    """Send what belongs to the app `bemi` to the database `bemi`, and nothing else.

    Triggers are allowed in every other database, because it is these that are tracked; the
    table `changes` is made by the sink and by no migration.
    """

    route_app_labels = frozenset({"bemi"})

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Name the database to read a model of this app from."""
        return DESTINATION_ALIAS if model._meta.app_label in self.route_app_labels else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """Name the database to write a model of this app to."""
        return DESTINATION_ALIAS if model._meta.app_label in self.route_app_labels else None

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool | None:
        """Allow relations that have a model of this app at either side."""
        labels = {obj1._meta.app_label, obj2._meta.app_label}
        return True if labels & self.route_app_labels else None

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        """Allow triggers in tracked databases; say nothing about other apps."""
        if app_label not in self.route_app_labels:
            return None
        return bool(hints.get(SOURCE_HINT)) and db != DESTINATION_ALIAS
