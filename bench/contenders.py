"""Who takes turns: the producer and Debezium, each with a slot and a topic prefix of its own.

All read the publication `bench` and write the same topics in the same value modes, but for
`.wal`, which only ours has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from bench.debezium import TUNED_CONNECTOR, debezium
from bench.measure import Usage, usage_of
from bench.servers import Servers
from bench.stages import start_stage

SLOT_FREE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A contender's process."""

    started_at: float  # Of time.monotonic().
    pid: int
    is_running: Callable[[], bool]
    log_tail: Callable[[], str]

    def usage(self) -> Usage:
        """Return what it has used; raises RuntimeError when it has ended."""
        if not self.is_running():
            raise RuntimeError(f"the process measured has ended; its log ends:\n{self.log_tail()}")
        return usage_of(self.pid)


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One of those who take turns."""

    name: str
    title: str
    settings: dict[str, str]
    is_ours: bool
    writes_wal: bool = False

    @contextmanager
    def running(self, servers: Servers, slot: str) -> Iterator[Running]:
        """Run it on the slot, whose name is also the topic prefix; end both afterwards."""
        try:
            with (_ours if self.is_ours else _debezium)(servers, slot, self.settings) as process:
                yield process
        finally:
            _drop_when_free(servers, slot)


OURS = Contender("ours", "ours", {"BEMI_PRODUCER_PUBLISH_WAL": "false"}, is_ours=True)
OURS_WITH_WAL = Contender("ours_with_wal", "ours with .wal", {}, is_ours=True, writes_wal=True)
DEFAULTS = Contender("defaults", "Debezium, defaults", {}, is_ours=False)
TUNED = Contender("tuned", "Debezium, tuned", TUNED_CONNECTOR, is_ours=False)
CONTENDERS = (OURS, DEFAULTS, OURS_WITH_WAL, TUNED)


def make_slot(servers: Servers, slot: str) -> None:
    """Make a slot that begins here."""
    with servers.connect() as connection:
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


def _drop_when_free(servers: Servers, slot: str) -> None:
    """Drop the slot once the server has noticed that its reader has ended."""
    deadline = time.monotonic() + SLOT_FREE_SECONDS
    with servers.connect() as connection:
        while True:
            try:
                connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
            except psycopg.errors.ObjectInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


@contextmanager
def _ours(servers: Servers, slot: str, settings: dict[str, str]) -> Iterator[Running]:
    environ = {
        **servers.environ,
        "BEMI_TOPIC_PREFIX": slot,
        "BEMI_PRODUCER_SLOT_NAME": slot,
        "BEMI_PRODUCER_PUBLICATION_NAME": "bench",
        **settings,
    }
    started_at = time.monotonic()
    stage = start_stage(servers, "producer", ["bemi-producer"], environ)
    try:
        yield Running(started_at, stage.pid, lambda: stage.is_running, stage.tail)
    finally:
        stage.kill()


@contextmanager
def _debezium(servers: Servers, slot: str, settings: dict[str, str]) -> Iterator[Running]:
    worker = debezium(servers, slot, slot, settings)
    started_at = time.monotonic()
    try:
        worker.start()
        yield Running(started_at, worker.pid, lambda: worker.is_running, worker.log_tail)
    finally:
        worker.kill()
