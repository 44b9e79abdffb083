"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.settings import ProducerSettings
from runtime.settings import InvalidSettings


def test_defaults_need_no_environment() -> None:
    assert ProducerSettings.from_environ({}).slot_name == "bemi"


def test_values_come_from_their_variables() -> None:
    settings = ProducerSettings.from_environ(
        {"DB_HOST": "db", "DB_PORT": "5433", "BEMI_TOPIC_PREFIX": "x"}
    )
    assert (settings.db_host, settings.db_port, settings.topic_prefix) == ("db", 5433, "x")


def test_a_misspelt_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidSettings, match="did you mean BEMI_PRODUCER_SLOT_NAME"):
        ProducerSettings.from_environ({"BEMI_PRODUCER_SLOTNAME": "x"})


def test_settings_of_other_stages_are_left_alone() -> None:
    ProducerSettings.from_environ({"BEMI_SINK_BATCH_ROWS": "1", "PATH": "/bin"})


def test_a_malformed_value_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(InvalidSettings, match="DB_PORT"):
        ProducerSettings.from_environ({"DB_PORT": "many"})


def test_an_error_does_not_repeat_a_password() -> None:
    with pytest.raises(InvalidSettings) as caught:
        ProducerSettings.from_environ({"DB_PASSWORD": "hunter2", "DB_PORT": "hunter2x"})
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    settings = ProducerSettings.from_environ({"DB_PASSWORD_FILE": str(secret)})
    assert settings.db_password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_a_secret_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="DB_PASSWORD_FILE"):
        ProducerSettings.from_environ({"DB_PASSWORD_FILE": "missing"})
