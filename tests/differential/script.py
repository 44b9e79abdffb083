"""What is run on the database: steps, each one SQL statement. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.differential.column_kinds import ColumnKind


@dataclass(frozen=True, slots=True)
class Step:
    """One statement.

    Both sides have read all that came before when a statement that `changes_schema` runs:
    what they ask the catalogue on the way is then the same, however fast they are.
    """

    sql: str
    changes_schema: bool = False


@dataclass(slots=True)
class StatementLog:
    """Which statement wrote which part of the WAL."""

    ends: list[int] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    def add(self, statement: str, end_lsn: int) -> None:
        """Note that the WAL ended here when the statement had run."""
        self.ends.append(end_lsn)
        self.statements.append(statement)

    def at(self, lsn: int | None) -> str:
        """Return the statement that wrote what begins at the LSN."""
        if lsn is None or not self.ends:
            return "unknown"
        # What begins where a statement ended is the next one's.
        position = bisect_left(self.ends, lsn + 1)
        return self.statements[min(position, len(self.statements) - 1)]


def quoted(text: str) -> str:
    """Return the text as an SQL literal."""
    literal = "'" + text.replace("'", "''") + "'"
    return "E" + literal.replace("\\", "\\\\") if "\\" in text else literal


def identifier(name: str) -> str:
    """Return the name as an SQL identifier, always in quotes."""
    return '"' + name.replace('"', '""') + '"'


def table_of_kind(kind: ColumnKind) -> str:
    """Return the name of the table that has the kind's values."""
    return f"type_{kind.name}"


def kind_steps(kind: ColumnKind) -> Iterator[Step]:
    """Yield what shows every value of the kind: inserted, changed, deleted, as a default."""
    table = identifier(table_of_kind(kind))
    defaults = "".join(
        f", d{number} {kind.sql_type} DEFAULT {default}"
        for number, default in enumerate(kind.defaults)
    )
    yield Step(
        f"CREATE TABLE {table} (id int PRIMARY KEY, v {kind.sql_type}{defaults},"
        f" n {kind.sql_type} NOT NULL)",
        changes_schema=True,
    )
    first = quoted(kind.values[0])
    yield Step(f"INSERT INTO {table} (id, v, n) VALUES (0, NULL, {first})")
    for number, value in enumerate(kind.values, start=1):
        literal = quoted(value)
        yield Step(f"INSERT INTO {table} (id, v, n) VALUES ({number}, {literal}, {literal})")
    nulls = "".join(f", d{number} = NULL" for number in range(len(kind.defaults)))
    yield Step(f"UPDATE {table} SET v = NULL{nulls} WHERE id = 1")
    yield Step(f"DELETE FROM {table} WHERE id = 1")
    yield Step(f"ALTER TABLE {table} REPLICA IDENTITY FULL", changes_schema=True)
    yield Step(f"UPDATE {table} SET id = id + 1000 WHERE id = 0")
    yield Step(f"UPDATE {table} SET v = {first} WHERE id = 2")
    yield Step(f"DELETE FROM {table} WHERE id = 2")


def in_rounds(scripts: Sequence[Iterator[Step]]) -> Iterator[Step]:
    """Yield the scripts' steps so that their schema changes come together.

    Each schema change waits for both sides, and several in a row wait only once.
    """
    ahead = [next(script, None) for script in scripts]
    while any(ahead):
        for changes_schema in (True, False):
            for number, script in enumerate(scripts):
                while (step := ahead[number]) is not None and step.changes_schema is changes_schema:
                    yield step
                    ahead[number] = next(script, None)
