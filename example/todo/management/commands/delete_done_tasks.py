"""`manage.py delete_done_tasks`: clean up; the trail says that it was this command."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

import bemi
from example.todo.models import Task


class Command(BaseCommand):
    """Delete tasks that are done and were made some days ago.

    `manage.py` puts the command's name into the context by itself; how it was called is added.
    """

    help = "Delete done tasks that are older than some days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say how old a task must be."""
        parser.add_argument("--days", type=int, default=30, help="How old, 30 by default.")

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        """Delete them."""
        made_before = timezone.now() - timedelta(days=days)
        with bemi.context(command="delete_done_tasks", days=days):
            count, _ = Task.objects.filter(is_completed=True, created_at__lt=made_before).delete()
        self.stdout.write(f"{count} tasks deleted")
