"""`manage.py bemi_status`: whether changes are captured, and how far the trail is behind."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from bemi import triggers
from bemi.models import BemiChange
from bemi.source_state import SourceState, problems, source_state


class Command(BaseCommand):
    """Show each tracked database, its slots and the last change of the trail."""

    help = "Show triggers, slots and the last change; exits with 1 where something is wrong."

    def handle(self, *args: Any, **options: Any) -> None:
        """Show it."""
        is_wrong = False
        for connection in connections.all():
            if not triggers.may_be_tracked(connection):
                continue
            try:
                state = source_state(connection)
            except DatabaseError as error:
                is_wrong = True
                self._show_error(f"database {connection.alias}: cannot be asked", error)
                continue
            self._show(connection.alias, state)
            for problem in problems(state):
                is_wrong = True
                self.stdout.write(self.style.ERROR(f"  {problem.text}"))
                self.stdout.write(f"    {problem.advice}")
        is_wrong |= not self._show_trail()
        if is_wrong:
            sys.exit(1)

    def _show(self, alias: str, state: SourceState) -> None:
        if state.is_standby:
            self.stdout.write(f"database {alias}: a standby, tracked where its primary is")
        else:
            self.stdout.write(
                f"database {alias}: {state.covered} tables tracked with their context"
            )
        for slot in state.slots:
            behind = (
                "" if slot.behind_bytes is None else f", {filesizeformat(slot.behind_bytes)} behind"
            )
            reader = "is being read" if slot.is_active else "has no reader"
            self.stdout.write(f"  slot {slot.name} {reader}, WAL {slot.wal_status}{behind}")
        if not state.slots and not state.is_standby:
            self.stdout.write("  no replication slot: the producer has not been started yet")

    def _show_trail(self) -> bool:
        try:
            last = BemiChange.objects.order_by("-committed_at").first()
        except DatabaseError as error:
            self._show_error("trail: the table `changes` cannot be read", error)
            return False
        if last is None:
            self.stdout.write("trail: no change yet")
            return True
        ago = timedelta(seconds=round((timezone.now() - last.committed_at).total_seconds()))
        self.stdout.write(f"trail: last change {last} committed {ago} ago")
        return True

    def _show_error(self, problem: str, error: DatabaseError) -> None:
        self.stdout.write(self.style.ERROR(problem))
        self.stdout.write(f"    {str(error).splitlines()[0]}")
