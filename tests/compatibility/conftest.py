"""The package as a site gets it: its wheel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sink_pg.statements import migrations
from tests.compatibility.venvs import REPOSITORY
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.wal import Wal


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of `django_bemi/`."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, folder, REPOSITORY / "django_bemi"], check=True)
    (built,) = folder.glob("django_bemi-*.whl")
    return built


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """Give a plain connection of a superuser."""
    with database.connect() as connection:
        yield connection


@pytest.fixture
def trail(admin: psycopg.Connection[Any]) -> None:
    """Make the table `changes` as the sink makes it."""
    for migration in migrations():
        admin.execute(migration.statements)


@pytest.fixture
def wal(admin: psycopg.Connection[Any], database: Database) -> Wal:
    """Give what is committed in the test's database from now on."""
    return Wal(admin, f"wal_{database.name}")
