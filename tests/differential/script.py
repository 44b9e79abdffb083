"""What is run on the database: steps, each one SQL statement. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.differential.column_kinds import ColumnKind

KINDS_PER_TABLE = 30


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


def tables_of_kinds(kinds: Sequence[ColumnKind]) -> Iterator[tuple[str, Sequence[ColumnKind]]]:
    """Yield tables that have the kinds.

    Topics are slow to make, so the tables are few; kinds with as many values are together, so
    that few columns stay empty.
    """
    ordered = sorted(kinds, key=lambda kind: len(kind.values))
    for number, first in enumerate(range(0, len(ordered), KINDS_PER_TABLE)):
        yield f"types_{number:02d}", ordered[first : first + KINDS_PER_TABLE]


def kind_steps(table: str, kinds: Sequence[ColumnKind]) -> Iterator[Step]:
    """Yield what shows every value of the kinds: inserted, changed, deleted, as a default.

    A kind's values are in the column of its name, `n_...` is required, `d0_...` has a default.
    """
    columns = []
    for kind in kinds:
        columns.append(f"{identifier(kind.name)} {kind.sql_type}")
        if kind.can_be_required:
            columns.append(f"{identifier(f'n_{kind.name}')} {kind.sql_type} NOT NULL")
        for number, default in enumerate(kind.defaults):
            name = identifier(f"d{number}_{kind.name}")
            columns.append(f"{name} {kind.sql_type} DEFAULT {default}")
    yield Step(
        f"CREATE TABLE {table} (id int PRIMARY KEY, {', '.join(columns)})", changes_schema=True
    )
    rows = max(len(kind.values) for kind in kinds)
    yield Step(_insert(table, kinds, 0, None))
    for number in range(rows):
        yield Step(_insert(table, kinds, number + 1, number))
    nulls = [f"{identifier(kind.name)} = NULL" for kind in kinds]
    nulls += [
        f"{identifier(f'd{number}_{kind.name}')} = NULL"
        for kind in kinds
        for number in range(len(kind.defaults))
    ]
    yield Step(f"UPDATE {table} SET {', '.join(nulls)} WHERE id = 1")
    yield Step(f"DELETE FROM {table} WHERE id = 1")
    yield Step(f"ALTER TABLE {table} REPLICA IDENTITY FULL", changes_schema=True)
    yield Step(f"UPDATE {table} SET id = id + 1000 WHERE id = 0")
    yield Step(f"UPDATE {table} SET {', '.join(nulls)} WHERE id = 2")
    yield Step(f"DELETE FROM {table} WHERE id IN (2, 3)")


def _insert(table: str, kinds: Sequence[ColumnKind], row: int, number: int | None) -> str:
    """Return the statement that adds each kind's n-th value, NULL where it has no more."""
    names, values = ["id"], [str(row)]
    for kind in kinds:
        has_value = number is not None and number < len(kind.values)
        names.append(identifier(kind.name))
        values.append(quoted(kind.values[number or 0]) if has_value else "NULL")
        if kind.can_be_required:
            # The usual value only: another may be none for Debezium.
            names.append(identifier(f"n_{kind.name}"))
            values.append(quoted(kind.values[0]))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"


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
