"""Sealed rows on a real server: whatever is done to them afterwards is named."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timezone
from threading import Event

import pytest

from sink_pg.batch import Batch, BatchLimits, RefusedRecord
from sink_pg.dead_letters import Outcome, find_ids, retry_letter
from sink_pg.errors import CannotCompare, SealedRows
from sink_pg.partitions import make
from sink_pg.periods import Period
from sink_pg.pg_connection import connect
from sink_pg.pg_writer import PgWriter, insert_dead_letters
from sink_pg.replay_writer import ReplayWriter
from sink_pg.retention import remove_expired
from sink_pg.settings import SinkSettings
from sink_pg.verify_seals import SealsVerified, verify_seals
from tests.fixtures.postgres import Database
from tests.integration.sink_pg.conftest import Trail
from tests.unit.sink_pg.example_changes import TOPIC, change, record

LIMITS = BatchLimits(rows=1_000, bytes=1_000_000, age_seconds=1.0)
ROWS = 5


@pytest.fixture
def settings(database: Database) -> SinkSettings:
    """Return the settings of a sink that seals."""
    return SinkSettings.from_environ({**database.environ, "BEMI_SINK_SEALS": "true"})


@pytest.fixture
def sealed(settings: SinkSettings, writer: PgWriter) -> SinkSettings:
    """Store four batches, the last of them with another time."""
    batch = Batch(LIMITS, {})
    for number in range(4):
        first = number * ROWS
        day = 1 + number // 3
        batch.add(
            [
                record(
                    change(
                        n, committed_at=f"2026-01-0{day}T00:00:00.00000{n % 10}Z",
                        before={"b": 1.50, "a": "ä\t"}, primary_key=None if n % 2 else "a,\\b",
                    ),
                    offset=n,
                )
                for n in range(first, first + ROWS)
            ],
            now=0.0,
        )  # fmt: skip
        writer.store(batch)
        batch = batch.next_batch()
    return settings


def check(settings: SinkSettings, expect: str | None = None) -> SealsVerified:
    return verify_seals(settings, expect, Event())


def test_rows_as_they_were_stored_are_unbroken_in_any_session(
    sealed: SinkSettings, trail: Trail, database: Database
) -> None:
    for setting in (
        "TimeZone = 'Asia/Kolkata'", "DateStyle = 'German'", "bytea_output = 'escape'",
        "extra_float_digits = 0",
    ):  # fmt: skip
        trail.connection.execute(f"ALTER DATABASE {database.name} SET {setting}")
    verified = check(sealed)
    assert (verified.seals, verified.rows, verified.breaks) == (4, 4 * ROWS, [])
    assert check(sealed, expect=verified.last_hash).breaks == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE changes SET context = '{}' WHERE commit_lsn = 7", "seal 2.*one of 5 was changed"),
        ("UPDATE changes SET created_at = now() WHERE commit_lsn = 7", "seal 2.*1 of 5 were"),
        ("DELETE FROM changes WHERE commit_lsn IN (11, 12)", "seal 3.*2 of 5 were removed"),
        ("UPDATE changes SET committed_at = '2020-01-01' WHERE commit_lsn = 7", "seal 2"),
        (
            "INSERT INTO changes SELECT (jsonb_populate_record(changes,"
            " jsonb_build_object('id', gen_random_uuid()))).* FROM changes WHERE commit_lsn = 7",
            "seal 2.*1 were added to the 5",
        ),
        (
            "INSERT INTO changes SELECT (jsonb_populate_record(changes, jsonb_build_object("
            "'id', gen_random_uuid(), 'created_at', now()))).* FROM changes WHERE commit_lsn = 7",
            "1 rows stored since .* have no seal",
        ),
        ("DELETE FROM bemi_seals WHERE number = 2", "^seal 2 was removed"),
        ("DELETE FROM bemi_seals WHERE number = 4", "5 rows stored since .* have no seal"),
        ("UPDATE bemi_seals SET row_count = 4 WHERE number = 3", "^seal 3 was changed"),
        ("UPDATE bemi_seals SET previous_hash = 'x' WHERE number = 3", "^seal 3 does not follow"),
    ],
)
def test_what_was_done_to_the_rows_is_named(
    sealed: SinkSettings, trail: Trail, statement: str, words: str
) -> None:
    trail.connection.execute(statement)
    breaks = check(sealed).breaks
    assert breaks
    assert re.search(words, breaks[0]), breaks


def test_chain_that_was_made_anew_does_not_have_the_noted_hash(
    sealed: SinkSettings, trail: Trail, writer: PgWriter
) -> None:
    noted = check(sealed).last_hash
    trail.connection.execute("TRUNCATE changes, bemi_seals, bemi_sink_progress")
    batch = Batch(LIMITS, {})
    batch.add([record(change(1), offset=0)], now=0.0)
    writer.store(batch)
    assert check(sealed).breaks == []
    assert check(sealed, expect=noted).breaks == [
        f"no seal has the hash {noted}: the chain was made anew or cut"
    ]


def test_what_retention_removed_is_no_break(sealed: SinkSettings, trail: Trail) -> None:
    cutoff = datetime(2026, 1, 2, tzinfo=timezone.utc)
    with connect(sealed) as connection:
        assert remove_expired(connection, cutoff, lambda: False).default_rows == 3 * ROWS
    verified = check(sealed)
    assert (verified.seals, verified.removed, verified.breaks) == (5, 3, [])
    trail.connection.execute("DELETE FROM changes")
    assert "seal 4" in check(sealed).breaks[0]


def test_partition_that_retention_dropped_is_no_break(
    settings: SinkSettings, writer: PgWriter, trail: Trail
) -> None:
    old = datetime(2025, 1, 15, tzinfo=timezone.utc)
    with connect(settings) as connection:
        make(connection, Period.MONTH, [old])
        batch = Batch(LIMITS, {})
        batch.add([record(change(1, committed_at="2025-01-15T00:00:00Z"), offset=0)], now=0.0)
        writer.store(batch)
        expired = remove_expired(connection, datetime(2025, 3, 1, tzinfo=timezone.utc), bool)
        assert [each.name for each in expired.partitions] == ["bemi_changes_y2025m01"]
    verified = check(settings)
    assert (verified.seals, verified.removed, verified.breaks) == (2, 1, [])


def test_dead_letter_that_is_stored_later_is_sealed(
    sealed: SinkSettings, trail: Trail, writer: PgWriter
) -> None:
    letter = record(change(900), offset=900)
    with connect(sealed) as connection:
        with connection.transaction():
            insert_dead_letters(connection, [RefusedRecord(letter, "for a test")], None)
        (identifier,) = find_ids(connection, None)
        assert retry_letter(connection, identifier) is Outcome.STORED
    assert check(sealed).breaks == []
    assert trail.count() == 4 * ROWS + 1


def test_rows_that_are_replayed_are_sealed_and_sealed_ones_not_replaced(
    sealed: SinkSettings, trail: Trail
) -> None:
    batch = Batch(LIMITS, {})
    batch.add([record(change(n), offset=n) for n in range(50, 55)], now=0.0)
    writer = ReplayWriter(sealed)
    assert writer.store(batch.rows, []).inserted == 5
    assert writer.store(batch.rows, []).inserted == 0
    writer.close()
    verified = check(sealed)
    assert (verified.seals, verified.rows, verified.breaks) == (5, 25, [])
    with pytest.raises(SealedRows):
        ReplayWriter(sealed, is_replacing=True).prepare()


def test_many_sinks_seal_in_one_chain(sealed: SinkSettings) -> None:
    def store(partition: int) -> None:
        writer, batch = PgWriter(sealed, TOPIC), Batch(LIMITS, {})
        for n in range(20):
            lsn = 10_000 * partition + n
            batch.add([record(change(lsn), offset=n, partition=partition)], now=0.0)
            writer.store(batch)
            batch = batch.next_batch()
        writer.close()

    sinks = [threading.Thread(target=store, args=[partition]) for partition in (1, 2, 3)]
    for sink in sinks:
        sink.start()
    for sink in sinks:
        sink.join()
    verified = check(sealed)
    assert (verified.seals, verified.rows, verified.breaks) == (4 + 60, 20 + 60, [])


def test_nothing_sealed_is_nothing_to_check(writer: PgWriter, settings: SinkSettings) -> None:
    with pytest.raises(CannotCompare, match="BEMI_SINK_SEALS"):
        check(settings)
