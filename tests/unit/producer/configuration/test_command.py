"""The command's side of a configuration."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from producer.__main__ import main
from runtime.service import EXIT_PERSON_MUST_ACT


def test_a_configuration_that_cannot_be_used_ends_the_command_with_the_reasons(
    tmp_path: Path,
) -> None:
    path = tmp_path / "connector.properties"
    path.write_text("transforms=unwrap\nsnapshot.modus=initial\n")
    result = CliRunner().invoke(main, ["--config", str(path)], env={"DB_HOST": "db"})
    assert result.exit_code == EXIT_PERSON_MUST_ACT
    assert "transforms is refused" in result.output
    assert "did you mean snapshot.mode?" in result.output
    assert "database.hostname is missing" not in result.output


def test_a_file_that_is_not_there_ends_the_command_with_its_name(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "missing")])
    assert result.exit_code == EXIT_PERSON_MUST_ACT
    assert "missing" in result.output
