"""Random SQL: tables, changes, transactions, schema changes. Pure, given the seed.

The same seed gives the same statements, so a difference can be shown again. What it does not
make: a NULL or a value that is none for Debezium in a required column, which ends its
connector, and new labels of an enum, which 3.6 does not see.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.differential.column_kinds import ALL_KINDS, ColumnKind
from tests.differential.random_values import big_text, random_value
from tests.differential.script import Step, identifier, quoted

TABLES = 6
TRANSACTIONS_PER_ROUND = 25
SAVEPOINT_SHARE = 0.3
SHORT_CHARACTERS = 100

_ODD_TABLES = (
    *("Mixed Case", "tab.with.dots", "ünïcode", "select", "a-b", 'qu"ote', "$1", "x" * 63),
    *("UPPER", "with  spaces", "semi;colon", "percent%s", "trailing_", "9lives"),
)
_ODD_COLUMNS = (
    *("Mixed Case", "with space", "select", "ü", "dot.ted", 'quo"te', "1st", "a-b", "$x"),
    *("percent%", "back\\slash", "before", "op", "source", "y" * 63),
)
_KEY_KINDS = ("integer", "bigint", "smallint", "text", "varchar_unbounded", "uuid")
_SECOND_KEY_KINDS = (
    *("integer", "text", "boolean", "date", "timestamp", "timestamptz", "numeric_7_2", "enum"),
    *("character_5", "bytea", "inet", "time", "real", "numeric", "citext", "bit_7", "interval"),
)
_WIDER_TYPES = {
    "smallint": "integer",
    "integer": "bigint",
    "varchar_10": "text",
    "real": "double precision",
}


@dataclass(slots=True)
class Column:
    """A column of a random table."""

    name: str
    kind: ColumnKind
    required: bool = False
    default: str | None = None

    def definition(self) -> str:
        """Return the column as CREATE TABLE has it."""
        rest = " NOT NULL" if self.required else ""
        if self.default is not None:
            rest += f" DEFAULT {self.default}"
        return f"{identifier(self.name)} {self.kind.sql_type}{rest}"


@dataclass(slots=True)
class Table:
    """A random table, and how many rows it was given."""

    pg_schema: str
    name: str
    columns: list[Column]
    key: list[Column]
    has_identity: bool = True
    """Whether UPDATE and DELETE are allowed while it is published."""
    rows: int = 0

    @property
    def sql(self) -> str:
        """Return the table's name in SQL."""
        return f"{identifier(self.pg_schema)}.{identifier(self.name)}"


class Generator:
    """An endless script of random statements."""

    def __init__(self, seed: int, kinds: Sequence[ColumnKind] = ALL_KINDS) -> None:
        self._rng = random.Random(seed)
        self._kinds = [kind for kind in kinds if not kind.extension]
        self._by_name = {kind.name: kind for kind in kinds}
        self._tables: list[Table] = []
        self._number = 0

    def steps(self) -> Iterator[Step]:
        """Yield steps for ever; rounds end with schema changes, which come together.

        The first steps must have been run before.
        """
        while True:
            for _ in range(TRANSACTIONS_PER_ROUND):
                yield from self._transaction()
            for table in self._rng.sample(self._tables, self._rng.randint(1, 3)):
                yield from self._schema_change(table)
            if self._rng.random() < 0.3:
                yield from self._new_table()

    def first_steps(self) -> Iterator[Step]:
        """Yield the first tables with some rows, which a snapshot reads."""
        yield Step('CREATE SCHEMA "Odd Schema"', changes_schema=True)
        for _ in range(TABLES):
            yield from self._new_table()
        for table in self._tables:
            for _ in range(2):
                yield Step(self._insert(table))

    def _new_table(self) -> Iterator[Step]:
        rng = self._rng
        self._number += 1
        odd = rng.random() < 0.4
        name = f"{rng.choice(_ODD_TABLES)[:58]}{self._number}" if odd else f"random_{self._number}"
        pg_schema = (
            "Odd Schema" if odd and rng.random() < 0.3 and self._number > TABLES else "public"
        )
        key = [Column("id", self._by_name[rng.choice(_KEY_KINDS)], required=True)]
        if rng.random() < 0.3:
            key.append(Column("k2", self._by_name[rng.choice(_SECOND_KEY_KINDS)], required=True))
        columns = [*key, *(self._column(number) for number in range(rng.randint(1, 8)))]
        columns.append(Column("big", self._by_name["text"]))
        # The key need not come first, and has an order of its own.
        rng.shuffle(columns)
        table = Table(pg_schema, name, columns, rng.sample(key, len(key)))
        definitions = [column.definition() for column in columns]
        names = ", ".join(identifier(column.name) for column in table.key)
        form = rng.choice(("primary", "primary", "primary", "unique", "none", "serial"))
        if form == "serial":
            serial = rng.choice(("serial", "bigserial", "smallserial"))
            definitions.append(f"s {serial}")
        if form in ("primary", "serial"):
            definitions.append(f"PRIMARY KEY ({names})")
        yield Step(f"CREATE TABLE {table.sql} ({', '.join(definitions)})", changes_schema=True)
        if form == "unique":
            index = identifier(f"unique_{self._number}")
            yield Step(f"CREATE UNIQUE INDEX {index} ON {table.sql} ({names})", changes_schema=True)
        if form == "none" and rng.random() < 0.3:
            table.key = []
        self._tables.append(table)
        yield from self._identity(table, form)

    def _identity(self, table: Table, form: str) -> Iterator[Step]:
        """Choose the replica identity; without one the table takes inserts only."""
        choices = ["FULL", "FULL", "NOTHING"]
        if form in ("primary", "serial"):
            choices += ["DEFAULT"] * 4
        elif form == "unique":
            choices += [f"USING INDEX {identifier(f'unique_{self._number}')}"] * 3
        identity = self._rng.choice(choices)
        table.has_identity = identity != "NOTHING"
        yield Step(f"ALTER TABLE {table.sql} REPLICA IDENTITY {identity}", changes_schema=True)

    def _column(self, number: int) -> Column:
        rng = self._rng
        kind = rng.choice(self._kinds)
        odd = rng.random() < 0.25
        name = f"{rng.choice(_ODD_COLUMNS)[:60]}{number}" if odd else f"c{number}"
        required = rng.random() < 0.25 and kind.can_be_required
        default = rng.choice(kind.defaults) if kind.defaults and rng.random() < 0.3 else None
        if required and default == "'NaN'":
            default = None
        return Column(name, kind, required, default)

    def _transaction(self) -> Iterator[Step]:
        """Yield one statement on its own, or several with what belongs to a transaction."""
        rng = self._rng
        if rng.random() < 0.4:
            yield Step(self._statement())
            return
        yield Step("BEGIN")
        for number in range(rng.randint(1, 6)):
            if rng.random() < SAVEPOINT_SHARE:
                yield Step(f"SAVEPOINT s{number}")
                yield Step(self._statement())
                if rng.random() < 0.5:
                    yield Step(f"ROLLBACK TO SAVEPOINT s{number}")
            else:
                yield Step(self._statement())
        yield Step("ROLLBACK" if rng.random() < 0.15 else "COMMIT")

    def _statement(self) -> str:
        rng = self._rng
        table = rng.choice(self._tables)
        weighted: list[tuple[Callable[[Table], str], int]] = [(self._insert, 6)]
        if table.has_identity:
            weighted += [(self._update, 6), (self._delete, 2), (self._change_key, 2)]
        weighted += [(self._truncate, 1), (self._message, 2)]
        makers, weights = zip(*weighted, strict=True)
        statement: str = rng.choices(makers, weights)[0](table)
        return statement

    def _insert(self, table: Table) -> str:
        rng = self._rng
        # A column left out has its default.
        columns = [
            column
            for column in table.columns
            if column.required or column in table.key or rng.random() < 0.85
        ]
        rows = []
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            table.rows += 1
            values = [self._value(table, column) for column in columns]
            rows.append(f"({', '.join(values)})")
        names = ", ".join(identifier(column.name) for column in columns)
        return f"INSERT INTO {table.sql} ({names}) VALUES {', '.join(rows)}"

    def _value(self, table: Table, column: Column) -> str:
        if column.name == "id":
            return self._key_value(column, table.rows)
        if column.name == "big":
            return self._rng.choice(("NULL", quoted(big_text(self._rng))))
        if not column.required and self._rng.random() < 0.2:
            return "NULL"
        value = random_value(self._rng, column.kind, required=column.required)
        # An index takes no large value.
        return quoted(value[:SHORT_CHARACTERS] if column.name == "k2" else value)

    def _key_value(self, column: Column, number: int) -> str:
        if column.kind.name == "uuid":
            return f"'00000000-0000-0000-0000-{number:012x}'"
        return str(number) if column.kind.family.startswith("int") else f"'key {number}'"

    def _update(self, table: Table) -> str:
        rng = self._rng
        changing = [column for column in table.columns if column.name not in ("id", "k2")]
        chosen = rng.sample(changing, rng.randint(1, min(3, len(changing))))
        assignments = []
        for column in chosen:
            name = identifier(column.name)
            value = name if rng.random() < 0.2 else self._value(table, column)
            assignments.append(f"{name} = {value}")
        return f"UPDATE {table.sql} SET {', '.join(assignments)} WHERE {self._some(table)}"

    def _change_key(self, table: Table) -> str:
        table.rows += 1
        column = next(column for column in table.columns if column.name == "id")
        value = self._key_value(column, table.rows)
        one = f"ctid = (SELECT min(ctid) FROM {table.sql})"
        return f"UPDATE {table.sql} SET id = {value} WHERE {one}"

    def _delete(self, table: Table) -> str:
        return f"DELETE FROM {table.sql} WHERE {self._some(table)}"

    def _some(self, table: Table) -> str:
        """Return a condition that holds for a few rows; which ones is the same in every run."""
        divisor = self._rng.randint(2, 9)
        return f"hashtext(id::text) % {divisor} = {self._rng.randint(0, divisor - 1)}"

    def _truncate(self, table: Table) -> str:
        other = self._rng.choice(self._tables)
        names = {table.sql, other.sql} if self._rng.random() < 0.3 else {table.sql}
        return f"TRUNCATE {', '.join(sorted(names))}"

    def _message(self, _table: Table) -> str:
        rng = self._rng
        transactional = rng.choice(("true", "true", "false"))
        prefix = rng.choice(("app", "audit.log", "ü", ""))
        content = rng.choice(("{}", "", "text ä", '{"a": "b"}', "x" * 500))
        if rng.random() < 0.2:
            binary = f"'\\x{rng.randbytes(9).hex()}'::bytea"
            return f"SELECT pg_logical_emit_message({transactional}, '{prefix}', {binary})"
        return f"SELECT pg_logical_emit_message({transactional}, '{prefix}', {quoted(content)})"

    def _schema_change(self, table: Table) -> Iterator[Step]:
        rng = self._rng
        others = [c for c in table.columns if c.name not in ("id", "k2", "big")]
        change = rng.choice(
            ("add", "add", "drop", "rename", "type", "null", "recreate", "identity")
        )
        alter = f"ALTER TABLE {table.sql}"
        if change == "add" or not others:
            self._number += 1
            column = self._column(100 + self._number)
            column.required = False
            table.columns.append(column)
            yield Step(f"{alter} ADD COLUMN {column.definition()}", changes_schema=True)
        elif change == "drop":
            column = rng.choice(others)
            table.columns.remove(column)
            yield Step(f"{alter} DROP COLUMN {identifier(column.name)}", changes_schema=True)
        elif change == "rename":
            self._number += 1
            column = rng.choice(others)
            old, column.name = column.name, f"renamed{self._number}"
            yield Step(
                f"{alter} RENAME COLUMN {identifier(old)} TO {column.name}", changes_schema=True
            )
        elif change == "type":
            yield from self._wider(table, others)
        elif change == "null":
            column = rng.choice(others)
            column.required = False
            yield Step(
                f"{alter} ALTER COLUMN {identifier(column.name)} DROP NOT NULL", changes_schema=True
            )
        elif change == "recreate":
            self._tables.remove(table)
            yield Step(f"DROP TABLE {table.sql}", changes_schema=True)
            yield from self._new_table()
        else:
            table.has_identity = True
            yield Step(f"{alter} REPLICA IDENTITY FULL", changes_schema=True)

    def _wider(self, table: Table, columns: Sequence[Column]) -> Iterator[Step]:
        for column in columns:
            wider = _WIDER_TYPES.get(column.kind.name)
            if wider is None or column.default is not None:
                continue
            column.kind = next(kind for kind in self._kinds if kind.sql_type == wider)
            yield Step(
                f"ALTER TABLE {table.sql} ALTER COLUMN {identifier(column.name)} TYPE {wider}",
                changes_schema=True,
            )
            return
