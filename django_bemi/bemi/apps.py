"""The app `bemi`: what starts with the site."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BemiConfig(AppConfig):
    """Connects the wrapper, the triggers and the system checks. Touches no database."""

    name = "bemi"
    verbose_name = "Bemi"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what listens; importing it here keeps the app importable without it."""
        from bemi import checks, commands, middleware, triggers

        checks.register_checks()
        middleware.watch_connections()
        commands.tell_of_command(sys.argv)
        if find_spec("celery") is not None:
            from bemi import celery

            celery.connect()
        post_migrate.connect(
            triggers.cover_after_migrate, sender=self, dispatch_uid="bemi.cover_after_migrate"
        )
