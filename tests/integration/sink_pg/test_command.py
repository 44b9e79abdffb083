"""The command `bemi-sink` beside its main work."""

from __future__ import annotations

import sys

from tests.fixtures.postgres import Database
from tests.fixtures.stages import StartStage
from tests.integration.sink_pg.conftest import Trail

MIGRATE = [sys.executable, "-m", "sink_pg", "migrate"]


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
