"""The built wheel in a fresh environment, with each version of Django and either driver.

BEMI_TEST_DJANGO_MATRIX=all takes every version of Python that this machine has as well.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.compatibility.venvs import (
    REPOSITORY,
    installed_names,
    installed_requirements,
    interpreters,
    made_venv,
    pip,
    run_program,
)
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.wal import Context, RowChange, Wal

SITE = Path(__file__).with_name("one_file_site.py")
DRIVERS = {"psycopg": "psycopg[binary]>=3.1.18", "psycopg2": "psycopg2-binary>=2.9.9"}
# What these may bring along by themselves; nothing else may be there, no Kafka client above all.
EXPECTED = {
    "asgiref",
    "django",
    "django-bemi",
    "psycopg",
    "psycopg-binary",
    "psycopg2-binary",
    "sqlparse",
    "typing_extensions",
    "typing-extensions",
    "tzdata",
}
# The versions of Python that each runs on, by its release notes.
PYTHONS = {
    "4.2": range(8, 13),
    "5.0": range(10, 13),
    "5.1": range(10, 14),
    "5.2": range(10, 15),
    "6.0": range(12, 15),
}


class Version(NamedTuple):
    """What one run is with."""

    django: str
    driver: str
    minor: int
    """Of Python 3."""

    def __str__(self) -> str:
        return f"django{self.django}-{self.driver}-python3.{self.minor}"


def versions() -> list[Version]:
    here = sys.version_info.minor
    if os.environ.get("BEMI_TEST_DJANGO_MATRIX") == "all":
        return [
            Version(django, driver, minor)
            for django, minors in PYTHONS.items()
            for minor in range(10, 15)
            if minor in minors
            for driver in DRIVERS
        ]
    return [
        Version("4.2", "psycopg2", min(here, 12)),
        Version("5.2", "psycopg", here),
        Version("6.0", "psycopg", max(here, 12)),
    ]


def interpreter(minor: int) -> str:
    """Return an interpreter of that version, or skip: no registry has them to install."""
    found = interpreters()
    if (3, minor) not in found:
        pytest.skip(f"Python 3.{minor} is not on this machine")
    return found[3, minor]


def said(database: Database, python: Path, *arguments: str) -> dict[str, Any]:
    done = run_program(python, [str(SITE), *arguments], {**database.environ}, folder=SITE.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def steps(wal: Wal) -> dict[str, list[str]]:
    """Return what each step did, each row under the nearest context before it."""
    found: dict[str, list[str]] = {}
    step = "none"
    for entry in wal.read():
        if isinstance(entry, Context):
            step = entry.values["step"]
            found.setdefault(step, []).append("context")
        elif isinstance(entry, RowChange) and entry.table == "public.item":
            found.setdefault(step, []).append(entry.operation)
    return found


def expected_steps(driver: str) -> dict[str, list[str]]:
    own = {"execute_values": ["context", "INSERT", "INSERT"]} if driver == "psycopg2" else {}
    copies = 2 if driver == "psycopg2" else 1
    return {
        "sync": ["context", "INSERT"],
        "async": ["context", "INSERT"],
        "orm": [
            *["context", "INSERT", "INSERT", "INSERT"],
            *["context", "UPDATE"],
            *["context", "UPDATE", "UPDATE"],
            *["context", "UPDATE"],
            *["context", "DELETE"],
        ],
        "raw": [
            *["context", "INSERT"],
            *["context", "UPDATE"] * 3,
            *["context", "DELETE"] * 2,
        ],
        "copy": ["context", "INSERT", "INSERT"] * copies,
        **own,
        "callproc": ["context", "INSERT"] * (3 if driver == "psycopg2" else 2),
        "read_in_chunks": ["context", "UPDATE"] * 2,
        "captured": ["context", "UPDATE"],
    }


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("version", versions(), ids=str)
def test_the_wheel_does_everything_with_this_version(
    version: Version, wheel: Path, database: Database, wal: Wal, admin: psycopg.Connection[Any]
) -> None:
    python = made_venv(
        interpreter(version.minor), [f"Django~={version.django}.0", DRIVERS[version.driver]]
    )
    pip(python, "install", "--no-deps", "--force-reinstall", str(wheel))
    assert installed_requirements(python) == ["django>=4.2"]
    assert installed_names(python) <= EXPECTED
    found = said(database, python, "zero")
    assert found["django"].startswith(version.django)
    assert found["driver"].startswith(f"{version.driver} ")
    assert steps(wal) == expected_steps(version.driver)
    left = "SELECT proname FROM pg_proc WHERE proname ~ '^_bemi'"
    assert admin.execute(left).fetchall() == []
    assert admin.execute("SELECT tgname FROM pg_trigger WHERE tgname ~ 'bemi'").fetchall() == []


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packed = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    own = REPOSITORY / "django_bemi" / "bemi"
    assert packed == {
        f"bemi/{file.relative_to(own).as_posix()}"
        for file in own.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert {"bemi/py.typed", "bemi/sql/install.sql"} <= packed
    assert {"LICENSE", "COPYING"} <= {Path(name).name for name in names - packed}


@pytest.mark.usefixtures("trail")
def test_psycopg2_does_everything_here_too(database: Database, wal: Wal) -> None:
    python = Path(sys.executable)
    found = said(database, python, "psycopg2")
    assert found["driver"].startswith("psycopg2 ")
    assert steps(wal) == expected_steps("psycopg2")
