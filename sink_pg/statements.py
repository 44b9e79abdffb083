"""The SQL of the sink: its statements by name and the migrations. Edge: psycopg.sql."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from psycopg import sql

from sink_pg.change_rows import COPY_COLUMNS

_STATEMENT_FILES = (
    "queries.sql",
    "fencing.sql",
    "replay.sql",
    "verify.sql",
    "seals.sql",
    "erasures.sql",
)
_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_MIGRATION_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One step from an empty schema to the sink's tables."""

    version: int
    name: str
    statements: sql.SQL


@cache
def statement(name: str) -> sql.SQL:
    """Return the statement of the files of statements that has the name."""
    return sql.SQL(_statements()[name])


@cache
def _statements() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in _STATEMENT_FILES:
        parts = _NAME.split(files("sink_pg").joinpath(file).read_text())
        found.update(zip(parts[1::2], parts[2::2], strict=True))
    return found


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations in the order of their numbers."""
    found = []
    for file in files("sink_pg").joinpath("migrations").iterdir():
        if match := _MIGRATION_FILE.fullmatch(file.name):
            statements = sql.SQL(file.read_text())
            found.append(Migration(int(match[1]), match[2], statements))
    return tuple(sorted(found))


def copy_into(*table: str) -> sql.Composed:
    """Return the COPY that takes the lines of change_rows into the table."""
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(*table), _columns())


def insert_staged() -> sql.Composed:
    """Return the INSERT of what is staged, without what is stored already."""
    return sql.SQL(
        "INSERT INTO public.changes ({columns}) SELECT {columns} FROM pg_temp.bemi_staging"
        " ON CONFLICT DO NOTHING"
    ).format(columns=_columns())


def _columns() -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, COPY_COLUMNS))
