"""Keep the table in shape while the sink runs: partitions, retention, indexes. Edge: a thread.

It has connections of its own, so a long step never holds the records. Nothing here stops
the sink: what cannot be done is said in the log with what to do, and tried again an hour later;
rows that have no partition go to the default one meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from threading import Event, Thread

import psycopg

from runtime.errors import Retry, StageError
from sink_pg.gin_indexes import build_gin_indexes
from sink_pg.partitions import AHEAD, MOST_ROWS_MOVED, make, make_upcoming
from sink_pg.periods import Period, upcoming
from sink_pg.pg_connection import Connection, connect
from sink_pg.retention import remove_expired
from sink_pg.settings import SinkSettings

ROUND_SECONDS = 3_600.0
RETRY_SECONDS = 30.0
LEAVE_SECONDS = 5.0
EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""Before this no partition is made by itself: that is a clock that was not set."""

log = logging.getLogger(__name__)


def cutoff_of(settings: SinkSettings, now: datetime) -> datetime | None:
    """Return the time before which changes may be removed, if they ever may."""
    return None if settings.retention_days is None else now - timedelta(settings.retention_days)


class Upkeep:
    """The rounds beside one sink's delivery."""

    def __init__(self, settings: SinkSettings, stopping: Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._connections: set[Connection] = set()
        self._thread: Thread | None = None
        self._covered: set[str] = set()

    def start(self) -> None:
        """Make the present partitions, so that they are there for the first row; then go on.

        Needs the tables to be there. Returns whether or not it could be done.
        """
        is_made = self._attempt(self._make_partitions)
        self._thread = Thread(target=self._run, args=(is_made,), name="upkeep", daemon=True)
        self._thread.start()

    def cover(self, days: Iterable[str]) -> None:
        """Make the partitions of these days, as 2026-01-31, before their rows are stored.

        That is of a pipeline that catches up: the days of the present have theirs. What is older
        than may be kept, or later than the partitions made ahead, is left to the default one.
        """
        if new := set(days) - self._covered:
            self._covered |= new
            self._attempt(partial(self._make_partitions_of, new))

    def close(self) -> None:
        """End a statement that still runs, and the thread with it, within a few seconds."""
        self._stopping.set()
        if self._thread is not None:
            for connection in tuple(self._connections):
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=LEAVE_SECONDS)
            self._thread.join(LEAVE_SECONDS)

    def _run(self, is_made: bool) -> None:
        while not self._stopping.is_set():
            # Each by itself: a role that may not do one may do another.
            is_made = is_made or self._attempt(self._make_partitions)
            is_done = self._attempt(self._remove_expired) and is_made
            is_done = self._attempt(self._build_indexes) and is_done
            is_made = False
            self._stopping.wait(ROUND_SECONDS if is_done else RETRY_SECONDS)

    def _attempt(self, step: Callable[[Connection], None]) -> bool:
        """Return False where the step is worth trying again soon."""
        try:
            with closing(connect(self._settings)) as connection:
                self._connections.add(connection)
                try:
                    step(connection)
                finally:
                    self._connections.discard(connection)
        except Retry as error:
            if not self._stopping.is_set():
                log.info("upkeep is put off: %s", error)
            return False
        except StageError as error:
            log.warning("upkeep: %s", error)
        except Exception:
            # A defect here must not take the delivery with it.
            log.exception("upkeep failed by a defect")
        return True

    def _make_partitions(self, connection: Connection) -> None:
        period = Period(self._settings.partition_by)
        make_upcoming(connection, period, datetime.now(timezone.utc))

    def _make_partitions_of(self, days: set[str], connection: Connection) -> None:
        now = datetime.now(timezone.utc)
        period = Period(self._settings.partition_by)
        first = cutoff_of(self._settings, now) or EARLIEST
        *_, last = upcoming(period, now, AHEAD)
        times = [time for time in map(_day, days) if time is not None and first <= time < last]
        make(connection, period, times, MOST_ROWS_MOVED)

    def _remove_expired(self, connection: Connection) -> None:
        cutoff = cutoff_of(self._settings, datetime.now(timezone.utc))
        if cutoff is not None:
            remove_expired(connection, cutoff, self._stopping.is_set)

    def _build_indexes(self, connection: Connection) -> None:
        which = self._settings.gin_indexes
        if which != "none":
            with closing(connect(self._settings)) as guard:
                now = datetime.now(timezone.utc)
                build_gin_indexes(connection, guard, which, now, self._stopping.is_set)


def _day(day: str) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{day}T00:00:00+00:00")
    except ValueError:  # Digits that are no date; PostgreSQL will refuse the row.
        return None
