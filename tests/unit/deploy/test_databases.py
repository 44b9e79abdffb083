"""Which database is tracked and how the one with `changes` is opened."""

from __future__ import annotations

from deploy.local.databases import broker_folder, is_given, psql_line, without_databases

TRACKED = {"DB_HOST": "db.example", "DB_PORT": "5433", "DB_NAME": "shop", "DB_USER": "auditor"}


def test_a_database_is_given_by_its_host() -> None:
    assert is_given(TRACKED)
    assert not is_given({"DB_NAME": "shop"})
    assert not is_given({"DB_HOST": ""})


def test_changes_are_in_the_tracked_database_unless_a_destination_is_named() -> None:
    assert psql_line(TRACKED) == "psql postgresql://auditor@db.example:5433/shop"


def test_the_destination_is_shown_when_it_is_named() -> None:
    environ = TRACKED | {"DESTINATION_DB_HOST": "::1", "DESTINATION_DB_DATABASE": "my trail"}

    assert psql_line(environ) == "psql 'postgresql://auditor@[::1]:5433/my%20trail'"


def test_a_given_databases_password_is_not_shown() -> None:
    assert "s3cret" not in psql_line(TRACKED | {"DB_PASSWORD": "s3cret"})


def test_each_tracked_database_has_brokers_of_its_own() -> None:
    folders = {
        broker_folder(TRACKED, own=True),
        broker_folder(TRACKED, own=False),
        broker_folder(TRACKED | {"DB_NAME": "other"}, own=False),
    }

    assert len(folders) == 3
    assert broker_folder(TRACKED, own=False) == broker_folder(TRACKED | {"X": "1"}, own=False)


def test_settings_of_another_database_do_not_reach_the_stages() -> None:
    environ = {"DB_PASSWORD_FILE": "/run/secret", "DESTINATION_DB_HOST": "x", "PATH": "/bin"}

    assert without_databases(environ) == {"DESTINATION_DB_HOST": "x", "PATH": "/bin"}
