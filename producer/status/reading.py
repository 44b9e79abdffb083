"""Look at the source, the brokers and the destination; changes nothing. Edge."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from importlib.resources import files
from typing import Any, TypeVar

import psycopg

from producer.assembly import topics_of
from producer.connections import connect_observer, kafka_client
from producer.settings import ProducerSettings
from producer.slot_metrics import read_slot_state
from producer.status.glance import Look
from runtime.destination import DestinationDatabase
from runtime.errors import StageError
from runtime.group_lag import GroupLag, PartitionLag
from runtime.postgres import connection_parameters

CONNECT_SECONDS = 3
_DESTINATION = files("producer").joinpath("sql/status_destination.sql").read_bytes()
_WRITTEN = b"""
SELECT (CASE WHEN pg_is_in_recovery()
    THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::bigint
"""

T = TypeVar("T")


class Reading:
    """Looks as often as wanted; what does not answer is told of and asked again next time."""

    def __init__(self, settings: ProducerSettings, destination: DestinationDatabase) -> None:
        self._settings, self._destination = settings, destination
        self._topics = topics = topics_of(settings)
        self._closing = ExitStack()
        client = kafka_client(settings)

        def lag(group: str, topic: str) -> GroupLag:
            return self._closing.enter_context(closing(GroupLag(client, group, topic)))

        self._stitcher = lag(topics.stitcher_group, topics.wal)
        self._sink = lag(topics.sink_group, topics.changes)
        self._aside = lag(topics.stitcher_group, topics.dead_letters)

    def look(self) -> Look:
        """Return where everything stands."""
        problems: list[str] = []
        unanswered: list[str] = []

        def ask(what: str, question: Callable[[], T], otherwise: T) -> T:
            try:
                return question()
            except (psycopg.Error, StageError) as error:
                unanswered.append(what)
                problems.append(f"{what}: {' '.join(str(error).split())}")
                return otherwise

        nothing: dict[str, Any] = {}
        no_lag: dict[int, PartitionLag] = {}
        source = ask("source", self._look_at_source, nothing)
        stitcher = ask("kafka", lambda: self._stitcher.ask(), no_lag)
        # Each question waits for brokers that do not answer; one is enough.
        is_away = "kafka" in unanswered
        sink = no_lag if is_away else ask("kafka", lambda: self._sink.ask(), no_lag)
        aside = no_lag if is_away else ask("kafka", lambda: self._aside.ask(), no_lag)
        stored = ask("destination", self._look_at_destination, nothing)
        return Look(
            at_seconds=time.monotonic(),
            stitcher_behind=_behind(stitcher),
            stitched=_done(stitcher),
            sink_behind=_behind(sink),
            put_aside=sum(each.end - each.first for each in aside.values()) if aside else None,
            unanswered=tuple(unanswered),
            problems=tuple(problems),
            **source,
            **stored,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._closing.close()

    def _look_at_source(self) -> dict[str, Any]:
        with closing(connect_observer(self._settings)) as connection:
            written = connection.execute(_WRITTEN).fetchone()
            slot = read_slot_state(connection, self._settings.slot_name)
        found: dict[str, Any] = {"written_bytes": written and written[0]}
        if slot is not None:
            found |= {
                "slot_is_active": slot.is_active,
                "wal_status": slot.wal_status,
                "retained_bytes": slot.retained_bytes,
                "behind_bytes": slot.behind_bytes,
            }
        return found

    def _look_at_destination(self) -> dict[str, Any]:
        wanted = self._destination
        with psycopg.connect(
            **connection_parameters(wanted),
            application_name="bemi-status",
            connect_timeout=CONNECT_SECONDS,
            options=f"-c statement_timeout={CONNECT_SECONDS}s",
        ) as connection:
            row = connection.execute(_DESTINATION, {"topic": self._topics.changes}).fetchone()
        names = ("stored_seconds_ago", "stored", "newest_change_seconds", "dead_letters")
        return dict(zip(names, row or (), strict=True))


def _behind(lags: dict[int, PartitionLag]) -> int | None:
    return sum(lag.records for lag in lags.values()) if lags else None


def _done(lags: dict[int, PartitionLag]) -> int | None:
    return sum(lag.committed or 0 for lag in lags.values()) if lags else None
