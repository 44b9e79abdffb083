"""Keep the table in shape while the sink runs: partitions, retention, indexes. Edge: a thread.

It has a connection of its own, so a long step never holds the records. Nothing here stops
the sink: what cannot be done is said in the log with what to do, and tried again an hour later;
rows that have no partition go to the default one meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from threading import Event, Thread

import psycopg

from runtime.errors import Retry, StageError
from sink_pg.gin_indexes import build_gin_indexes
from sink_pg.partitions import make_upcoming
from sink_pg.periods import Period
from sink_pg.pg_connection import Connection, connect
from sink_pg.retention import remove_expired
from sink_pg.settings import SinkSettings

ROUND_SECONDS = 3_600.0
RETRY_SECONDS = 30.0
LEAVE_SECONDS = 5.0

log = logging.getLogger(__name__)


def cutoff_of(settings: SinkSettings, now: datetime) -> datetime | None:
    """Return the time before which changes may be removed, if they ever may."""
    return None if settings.retention_days is None else now - timedelta(settings.retention_days)


class Upkeep:
    """The rounds beside one sink's delivery."""

    def __init__(self, settings: SinkSettings, stopping: Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._connection: Connection | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Make the present partitions, so that they are there for the first row; then go on.

        Needs the tables to be there. Returns whether or not it could be done.
        """
        is_made = self._attempt(self._make_partitions)
        self._thread = Thread(target=self._run, args=(is_made,), name="upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End a statement that still runs, and the thread with it, within a few seconds."""
        self._stopping.set()
        if self._thread is not None:
            with suppress(psycopg.Error):
                if self._connection is not None:
                    self._connection.cancel_safe(timeout=LEAVE_SECONDS)
            self._thread.join(LEAVE_SECONDS)

    def _run(self, is_made: bool) -> None:
        while not self._stopping.is_set():
            # Each by itself: a role that may not do one may do another.
            is_made = is_made or self._attempt(self._make_partitions)
            is_done = self._attempt(self._remove_expired) and is_made
            is_done = self._attempt(self._build_indexes) and is_done
            is_made = False
            self._disconnect()
            self._stopping.wait(ROUND_SECONDS if is_done else RETRY_SECONDS)

    def _attempt(self, step: Callable[[], None]) -> bool:
        """Return False where the step is worth trying again soon."""
        try:
            step()
        except Retry as error:
            if not self._stopping.is_set():
                log.info("upkeep is put off: %s", error)
            self._disconnect()
            return False
        except StageError as error:
            log.warning("upkeep: %s", error)
        except Exception:
            # A defect here must not take the delivery with it.
            log.exception("upkeep failed by a defect")
            self._disconnect()
        return True

    def _make_partitions(self) -> None:
        period = Period(self._settings.partition_by)
        make_upcoming(self._open(), period, datetime.now(timezone.utc))

    def _remove_expired(self) -> None:
        cutoff = cutoff_of(self._settings, datetime.now(timezone.utc))
        if cutoff is not None:
            remove_expired(self._open(), cutoff, self._stopping.is_set)

    def _build_indexes(self) -> None:
        if self._settings.gin_indexes != "none":
            with closing(connect(self._settings)) as guard:
                build_gin_indexes(
                    self._open(),
                    guard,
                    self._settings.gin_indexes,
                    datetime.now(timezone.utc),
                    self._stopping.is_set,
                )

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._settings)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
