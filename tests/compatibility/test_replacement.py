"""django-bemi in place of bemi-django: one suite on both, and a live database that switches."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.compatibility.venvs import REPOSITORY, made_venv, pip, run_program
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.wal import Context, RowChange, Wal

SAME = Path(__file__).with_name("same")
SITE = SAME / "small_site.py"
BEFORE = "bemi-django==0.1.3"
REQUIREMENTS = ["Django~=5.2.0", "psycopg[binary]>=3.1.18"]


def environ(database: Database, **more: str) -> dict[str, str]:
    return {**database.environ, "PYTHONPATH": str(REPOSITORY), **more}


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("package", [BEFORE, "django-bemi"])
def test_both_packages_pass_the_same_suite(package: str, wheel: Path, database: Database) -> None:
    requirements = [*REQUIREMENTS, "pytest>=8.3"]
    if package == BEFORE:
        python = made_venv(sys.executable, [*requirements, BEFORE])
    else:
        python = made_venv(sys.executable, requirements)
        pip(python, "install", "--no-deps", "--force-reinstall", str(wheel))
    options = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--noconftest"]
    done = run_program(
        python,
        ["-m", "pytest", *options, str(SAME / "suite_of_both.py")],
        environ(database),
        folder=SAME,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def site(python: Path, database: Database, *arguments: str, status: int = 0) -> str:
    done = run_program(python, [str(SITE), *arguments], environ(database), folder=SAME)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def entries(wal: Wal) -> list[Any]:
    """Return the users of contexts and the operations on groups, in their order."""
    found: list[Any] = []
    for entry in wal.read():
        if isinstance(entry, Context):
            found.append(entry.values["user_id"])
        elif isinstance(entry, RowChange) and entry.table == "public.auth_group":
            found.append(entry.operation)
    return found


@pytest.mark.usefixtures("trail")
def test_a_live_site_switches_by_replacing_the_package(
    wheel: Path, database: Database, wal: Wal, admin: psycopg.Connection[Any], tmp_path: Path
) -> None:
    before = made_venv(sys.executable, [*REQUIREMENTS, BEFORE])
    shutil.copytree(before.parents[1], tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site(python, database, "migrate")
    site(python, database, "request", "1", "bulk_create", "a")
    assert entries(wal) == [1, "INSERT"] * 3, "bemi-django sends its context with every row"

    # The wrong way: both at once.
    pip(python, "install", "--no-deps", str(wheel))
    assert "bemi.E003" in site(python, database, "check", status=1)
    pip(python, "uninstall", "--yes", "bemi-django", "django-bemi")
    pip(python, "install", "--no-deps", str(wheel))
    site(python, database, "migrate")
    site(python, database, "check")
    site(python, database, "request", "2", "bulk_create", "b")
    # A process of the old package that has not been restarted yet.
    site(before, database, "request", "3", "bulk_create", "c")
    assert entries(wal) == [2, *["INSERT"] * 3, 3, *["INSERT"] * 3]
    triggers = admin.execute("SELECT DISTINCT tgname FROM pg_trigger WHERE NOT tgisinternal")
    assert triggers.fetchall() == [("_bemi_statement_trigger",)]
    applied = admin.execute("SELECT name FROM django_migrations WHERE app = 'bemi' ORDER BY id")
    assert [name for (name,) in applied][:2] == ["0001_initial", "0002_bemichange"]
    site(python, database, "migrate", "bemi", "zero")
    assert admin.execute("SELECT proname FROM pg_proc WHERE proname ~ '^_bemi'").fetchall() == []
