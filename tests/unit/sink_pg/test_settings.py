"""The sink's settings fall back to the tracked database, name by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import InvalidSettings
from sink_pg.settings import SinkSettings

SOURCE = {
    "DB_HOST": "source",
    "DB_PORT": "5433",
    "DB_NAME": "app",
    "DB_USER": "tracker",
    "DB_PASSWORD": "secret",
}


def test_destination_is_the_tracked_database_when_nothing_else_is_said() -> None:
    settings = SinkSettings.from_environ(SOURCE)
    assert (settings.db_host, settings.db_port) == ("source", 5433)
    assert (settings.db_name, settings.db_user) == ("app", "tracker")
    assert settings.db_password.get_secret_value() == "secret"


def test_destination_names_win_one_by_one() -> None:
    settings = SinkSettings.from_environ(
        {**SOURCE, "DESTINATION_DB_HOST": "other", "DESTINATION_DB_PASSWORD": "else"}
    )
    assert (settings.db_host, settings.db_port) == ("other", 5433)
    assert settings.db_password.get_secret_value() == "else"


@pytest.mark.parametrize("name", ["DESTINATION_DB_NAME", "DESTINATION_DB_DATABASE"])
def test_database_has_two_names(name: str) -> None:
    assert SinkSettings.from_environ({**SOURCE, name: "trail"}).db_name == "trail"


@pytest.mark.parametrize("name", ["DESTINATION_DB_USER", "DESTINATION_DB_USERNAME"])
def test_role_has_two_names(name: str) -> None:
    assert SinkSettings.from_environ({**SOURCE, name: "writer"}).db_user == "writer"


def test_password_comes_from_a_file_before_the_source_databases(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from file\n")
    settings = SinkSettings.from_environ({**SOURCE, "DESTINATION_DB_PASSWORD_FILE": str(file)})
    assert settings.db_password.get_secret_value() == "from file"


def test_password_is_not_shown() -> None:
    assert "secret" not in repr(SinkSettings.from_environ(SOURCE))


@pytest.mark.parametrize("name", ["BEMI_SINK_BATCH_ROW", "DESTINATION_DB_HOSTNAME"])
def test_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        SinkSettings.from_environ({name: "1"})


def test_group_is_named_after_the_prefix() -> None:
    assert SinkSettings.from_environ({"BEMI_TOPIC_PREFIX": "p"}).changes_group == "p-sink"
