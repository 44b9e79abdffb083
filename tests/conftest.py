"""The fixtures that every test may use, one plugin for each concern."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from tests import compiled

compiled.choose()
# A busy machine is no fault of what is tested.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

pytest_plugins = [
    "tests.fixtures.servers",
    "tests.fixtures.postgres",
    "tests.fixtures.kafka",
    "tests.fixtures.schema_registry",
    "tests.fixtures.debezium",
    "tests.fixtures.stages",
    "tests.fixtures.capture",
    "tests.fixtures.postgres_majors",
    "tests.fixtures.standbys",
    "tests.fixtures.pipeline",
    "tests.fixtures.secured",
    "tests.fixtures.acls",
    "tests.fixtures.distribution",
]


def pytest_sessionstart() -> None:
    """Let SIGTERM end the session in order, so that its servers and folders go too."""

    def end(_signal_number: int, _frame: object) -> None:
        pytest.exit("ended by SIGTERM", returncode=128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
