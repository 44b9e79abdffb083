"""What a tracked database says about itself: for `bemi_status`, `bemi_triggers` and the checks.

Only reads, and needs no privilege beyond a connection's; what a role may not see is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from bemi import triggers


@dataclass(frozen=True, slots=True)
class Slot:
    """A logical replication slot of the database."""

    name: str
    is_active: bool
    wal_status: str | None
    """reserved, extended, unreserved or lost: the manual's pg_replication_slots."""
    behind_bytes: int | None
    """How much of the log its reader has not confirmed yet."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """A tracked database."""

    wal_level: str
    is_installed: bool
    """The functions of the triggers are there."""
    covered: int
    uncovered: tuple[str, ...]
    """Tables that lack the trigger or the replica identity, quoted as in SQL."""
    partial: tuple[str, ...]
    """Covered tables whose `before` is not complete: no REPLICA IDENTITY FULL."""
    slots: tuple[Slot, ...]
    is_standby: bool = False
    """It takes no writes: all that it has came from its primary, triggers too."""


class Problem(NamedTuple):
    """Something that is wrong with a tracked database."""

    text: str
    advice: str
    check_id: str


def source_state(connection: BaseDatabaseWrapper) -> SourceState:
    """Ask the database."""
    is_installed = triggers.is_installed(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery()"
        )
        wal_level, is_standby = cursor.fetchone()
        cursor.execute(_COVERED)
        covered = cursor.fetchall()
        cursor.execute(_SLOTS)
        slots = tuple(Slot(*row) for row in cursor.fetchall())
    return SourceState(
        wal_level=wal_level,
        is_installed=is_installed,
        covered=len(covered),
        uncovered=tuple(triggers.uncovered_tables(connection)) if is_installed else (),
        partial=tuple(table for table, is_full in covered if not is_full),
        slots=slots,
        is_standby=is_standby,
    )


def problems(state: SourceState) -> list[Problem]:
    """Return what is wrong, each with what to do about it; the worst first.

    Of a standby only that it lost a slot: the rest is its primary's affair.
    """
    found = []
    if state.is_standby:
        return _lost_slots(state)
    if state.wal_level != "logical":
        found.append(
            Problem(
                f"wal_level is {state.wal_level}, so no change can be captured.",
                "Run `ALTER SYSTEM SET wal_level = logical` and restart the server.",
                "bemi.W101",
            )
        )
    if not state.is_installed:
        found.append(
            Problem(
                "The triggers are not installed, so changes come without a context.",
                "Run `manage.py migrate bemi` as the role that owns the tables.",
                "bemi.W102",
            )
        )
    found += _lost_slots(state)
    if state.uncovered:
        found.append(
            Problem(
                f"{_some(state.uncovered)} without the trigger, with a disabled one, or without "
                "the replica identity that the settings ask for.",
                "Run `manage.py bemi_triggers` as their owner.",
                "bemi.W104",
            )
        )
    if state.partial:
        found.append(
            Problem(
                f"{_some(state.partial)} without REPLICA IDENTITY FULL: `before` has only the key.",
                "Run `ALTER TABLE ... REPLICA IDENTITY FULL`, or name them in "
                "BEMI_REPLICA_IDENTITY_FULL and run `manage.py bemi_triggers`; where that is "
                "meant, add bemi.W105 to SILENCED_SYSTEM_CHECKS.",
                "bemi.W105",
            )
        )
    return found


def _lost_slots(state: SourceState) -> list[Problem]:
    return [
        Problem(
            f"Replication slot {slot.name} is lost: changes are missing from the trail.",
            "The producer says how to go on; see its documentation on gaps.",
            "bemi.W103",
        )
        for slot in state.slots
        if slot.wal_status == "lost"
    ]


def _some(tables: tuple[str, ...]) -> str:
    names = ", ".join(tables[:5]) + (", ..." if len(tables) > 5 else "")
    return f"{len(tables)} table{'s' if len(tables) > 1 else ''} ({names})"


_COVERED = """
    SELECT c.oid::pg_catalog.regclass::text, c.relreplident = 'f'
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
    WHERE t.tgname = '_bemi_statement_trigger' AND t.tgenabled IN ('O', 'A')
    ORDER BY 1
"""
_SLOTS = """
    SELECT
        slot_name::text,
        active,
        wal_status,
        CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_wal_lsn_diff(
            pg_catalog.pg_current_wal_lsn(), confirmed_flush_lsn
        )::bigint END
    FROM pg_catalog.pg_replication_slots
    WHERE slot_type = 'logical' AND database = pg_catalog.current_database()
    ORDER BY 1
"""
