"""`manage.py bemi_triggers`: put the triggers where they are missing, or only say where."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections

from bemi import triggers


class Command(BaseCommand):
    """Cover every table that lacks something, as `migrate` does at its end.

    For where there is no event trigger and a table was made by other means than `migrate`.
    """

    help = "Give every table of a tracked database its trigger and replica identity."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say which database, and whether to change anything."""
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Alias in DATABASES.")
        parser.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; exit with 1 and the names where tables lack something.",
        )

    def handle(self, *args: Any, database: str, check: bool, **options: Any) -> None:
        """Cover, or look."""
        connection = connections[database]
        if not triggers.may_be_tracked(connection):
            raise CommandError(f"{database} is not tracked: not PostgreSQL, or a router says no")
        if triggers.is_standby(connection):
            raise CommandError(f"{database} is a standby: run this on its primary")
        if not check:
            triggers.install(connection)
        elif not triggers.is_installed(connection):
            raise CommandError("not installed: run `manage.py migrate bemi`")
        uncovered = triggers.uncovered_tables(connection)
        if uncovered:
            names = "\n".join(f"  {table}" for table in uncovered)
            raise CommandError(f"tables that lack something, for their owner to cover:\n{names}")
        self.stdout.write("every table is covered")
