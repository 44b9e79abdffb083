"""The SQL files hold what the code asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sink_pg
from schemas.topics import OWN_TABLES, is_own_table
from sink_pg.statements import migrations, statement

FOLDER = Path(sink_pg.__file__).parent


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [migration.version for migration in migrations()] == list(
        range(1, len(migrations()) + 1)
    )
    assert len(migrations()) == len(list((FOLDER / "migrations").iterdir()))


def test_every_named_statement_is_used_and_every_used_one_is_there() -> None:
    statements = "".join(file.read_text() for file in FOLDER.glob("*.sql"))
    named = set(re.findall(r"^-- (\w+) --$", statements, re.MULTILINE))
    sources = "".join(file.read_text() for file in FOLDER.glob("*.py"))
    assert named == {name for name in named if f'"{name}"' in sources}
    assert set(re.findall(r'statement\("(\w+)"\)', sources)) <= named


def test_unknown_statement_is_an_error() -> None:
    with pytest.raises(KeyError):
        statement("drop_everything")


def test_every_table_of_the_sink_is_known_to_the_producer() -> None:
    sql = "".join(file.read_text() for file in FOLDER.rglob("*.sql"))
    made = set(re.findall(r"CREATE TABLE public\.(\w+)", sql))
    assert made >= OWN_TABLES
    assert all(map(is_own_table, made))
