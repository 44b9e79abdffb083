"""The command `bemi-sink` beside its main work."""

from __future__ import annotations

import sys
from datetime import datetime, timezone

from sink_pg.pg_writer import PgWriter
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StartStage
from tests.integration.sink_pg.conftest import Trail
from tests.integration.sink_pg.test_pg_writer import batch_of
from tests.unit.sink_pg.example_changes import change, record

SINK = [sys.executable, "-m", "sink_pg"]
MIGRATE = [*SINK, "migrate"]


def test_migrate_makes_the_tables_and_ends(
    start_stage: StartStage, database: Database, trail: Trail
) -> None:
    for _ in range(2):
        command = start_stage("migrate", MIGRATE, database.environ)
        assert command.wait(30.0) == 0
    assert trail.rows() == []
    assert trail.progress() == {}


def test_misspelt_setting_ends_the_command_with_a_hint(
    start_stage: StartStage, database: Database
) -> None:
    environ = {**database.environ, "BEMI_SINK_BATCH_ROW": "1"}
    command = start_stage("migrate", MIGRATE, environ)
    assert command.wait(30.0) == 2
    assert "did you mean BEMI_SINK_BATCH_ROWS" in command.output()


def test_partitions_are_made_and_shown(
    start_stage: StartStage, database: Database, writer: PgWriter, trail: Trail
) -> None:
    writer.store(batch_of([record(change())]))
    shown = start_stage("list", [*SINK, "partitions", "--list"], database.environ)
    assert shown.wait(30.0) == 0
    assert "bemi_changes_default" in shown.output()
    assert "bemi_changes_y" not in shown.output()
    made = start_stage("partitions", [*SINK, "partitions"], database.environ)
    assert made.wait(30.0) == 0
    assert f"bemi_changes_y{datetime.now(timezone.utc):%Ym%m}" in made.output()
    assert trail.rows("tableoid::regclass::text") == [("bemi_changes_y2026m01",)]


def test_retention_removes_what_it_shows_first(
    start_stage: StartStage, database: Database, writer: PgWriter, trail: Trail
) -> None:
    writer.store(batch_of([record(change(committed_at="2020-01-01T00:00:00Z"))]))
    environ = {**database.environ, "BEMI_RETENTION_DAYS": "1000"}
    shown = start_stage("dry", [*SINK, "retention", "--dry-run"], environ)
    assert shown.wait(30.0) == 0
    assert "would be removed: 1" in shown.output()
    assert trail.count() == 1
    assert start_stage("retention", [*SINK, "retention"], environ).wait(30.0) == 0
    assert trail.count() == 0


def test_retention_without_an_age_is_refused(start_stage: StartStage, database: Database) -> None:
    command = start_stage("retention", [*SINK, "retention"], database.environ)
    assert command.wait(30.0) == 2
    assert "set BEMI_RETENTION_DAYS" in command.output()
