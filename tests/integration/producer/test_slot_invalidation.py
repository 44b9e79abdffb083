"""A slot that the server gives up: said by name, never papered over."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from tests.fixtures.capture import Capture
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import FAST_SETTINGS
from tests.fixtures.postgres_majors import SYSTEM, capture_of, programs_of
from tests.fixtures.stages import StartStage
from tests.fixtures.waiting import eventually

# A segment of a megabyte, so that a few suffice.
INITDB = ("--wal-segsize=1",)
LITTLE_WAL = FAST_SETTINGS | {
    "max_wal_size": "2MB",
    "min_wal_size": "2MB",
    "max_slot_wal_keep_size": "1MB",
}


@pytest.fixture
def little_wal(
    request: pytest.FixtureRequest,
    server_folder: Path,
    kafka_broker: KafkaBroker,
    topic_prefix: str,
    start_stage: StartStage,
) -> Iterator[Capture]:
    """Return a capture of a table on a server that keeps hardly any WAL for a slot."""
    server = LocalPostgres(
        server_folder / f"little-{uuid.uuid4().hex[:8]}",
        free_port(),
        settings=LITTLE_WAL | {"idle_replication_slot_timeout": "1s"}
        if request.param == 18
        else LITTLE_WAL,
        initdb_options=INITDB,
        programs=programs_of(request.param),
    )
    server.start()
    try:
        with capture_of(server, kafka_broker, topic_prefix, start_stage) as capture:
            capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
            yield capture
    finally:
        server.kill()


def _write_more_wal_than_is_kept(capture: Capture) -> None:
    for _ in range(5):
        capture.execute("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))")
        capture.execute("SELECT pg_switch_wal()")
    capture.execute("CHECKPOINT")


def _is_lost(capture: Capture) -> bool:
    slot = capture.slot()
    return slot is not None and slot["wal_status"] == "lost"


@pytest.mark.parametrize("little_wal", [SYSTEM, 16], indirect=True)
def test_a_slot_lost_while_it_was_down_is_refused_or_the_gap_is_recorded(
    little_wal: Capture,
) -> None:
    stage = little_wal.start()
    little_wal.execute("INSERT INTO todo VALUES (1)")
    little_wal.wait_for_ids([1])
    stage.terminate()
    assert stage.wait(30) == 0
    little_wal.wait_until_slot_is_free()
    little_wal.execute("INSERT INTO todo VALUES (2)")
    _write_more_wal_than_is_kept(little_wal)
    eventually(lambda: _is_lost(little_wal))
    line = little_wal.refused()
    assert "was invalidated by the server (wal_removed)" in line
    assert "max_slot_wal_keep_size" in line
    assert "BEMI_PRODUCER_ACCEPT_GAP=true" in line
    little_wal.start(BEMI_PRODUCER_ACCEPT_GAP="true")
    little_wal.execute("INSERT INTO todo VALUES (3)")
    little_wal.wait_for_ids([1, 3])
    assert [gap["reason"] for gap in little_wal.gaps()] == ["slot_lost"]


@pytest.mark.parametrize("little_wal", [SYSTEM, 16], indirect=True)
def test_a_slot_lost_while_it_runs_stops_it(little_wal: Capture) -> None:
    stage = little_wal.start()
    little_wal.execute("INSERT INTO todo VALUES (1)")
    little_wal.wait_for_ids([1])
    stage.suspend()
    little_wal.execute("INSERT INTO todo VALUES (2)")

    def lose() -> bool:
        _write_more_wal_than_is_kept(little_wal)
        return _is_lost(little_wal)

    eventually(lose)
    stage.resume()
    assert stage.wait(60) == 2
    assert "BEMI_PRODUCER_ACCEPT_GAP=true" in stage.output()


@pytest.mark.parametrize("little_wal", [18], indirect=True)
def test_a_slot_that_was_idle_for_too_long_is_refused_by_that_name(little_wal: Capture) -> None:
    stage = little_wal.start()
    little_wal.execute("INSERT INTO todo VALUES (1)")
    little_wal.wait_for_ids([1])
    stage.terminate()
    assert stage.wait(30) == 0
    little_wal.wait_until_slot_is_free()

    def times_out() -> bool:
        little_wal.execute("CHECKPOINT")
        return _is_lost(little_wal)

    eventually(times_out)
    assert "was invalidated by the server (idle_timeout)" in little_wal.refused()
