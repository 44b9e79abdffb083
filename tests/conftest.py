"""The fixtures that every test may use, one plugin for each concern."""

from __future__ import annotations

import signal

import pytest

from tests import compiled

compiled.choose()

pytest_plugins = [
    "tests.fixtures.servers",
    "tests.fixtures.postgres",
    "tests.fixtures.kafka",
    "tests.fixtures.schema_registry",
    "tests.fixtures.debezium",
    "tests.fixtures.stages",
    "tests.fixtures.capture",
    "tests.fixtures.postgres_majors",
    "tests.fixtures.pipeline",
]


def pytest_sessionstart() -> None:
    """Let SIGTERM end the session in order, so that its servers and folders go too."""

    def end(_signal_number: int, _frame: object) -> None:
        pytest.exit("ended by SIGTERM", returncode=128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
