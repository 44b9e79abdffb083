"""Choose tables by patterns such as `public.order_*`. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

_ESCAPES = {b"\\\\": b"\\", rb"\n": b"\n", rb"\r": b"\r", rb"\t": b"\t"}


class Table(NamedTuple):
    """A table of the tracked database."""

    pg_schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.pg_schema}.{self.name}"


class TablePatterns:
    """Patterns over `schema.table`, with `*`, `?` and `[...]`; a table is asked about once."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        self._known: dict[Table, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, table: Table) -> bool:
        """Return whether any of the patterns is about the table; case counts."""
        known = self._known.get(table)
        if known is None:
            name = str(table)
            known = any(fnmatchcase(name, pattern) for pattern in self._patterns)
            self._known[table] = known
        return known


def table_of_line(line: bytes) -> Table:
    """Return the table of a row, from its line for COPY."""
    _, _, pg_schema, table, _ = line.split(b"\t", 4)
    return _table(pg_schema, table)


@cache
def _table(pg_schema: bytes, table: bytes) -> Table:
    return Table(_unescaped(pg_schema), _unescaped(table))


def _unescaped(field: bytes) -> str:
    if b"\\" not in field:
        return field.decode()
    parts, at = [], 0
    while (found := field.find(b"\\", at)) >= 0:
        parts += [field[at:found], _ESCAPES[field[found : found + 2]]]
        at = found + 2
    return b"".join([*parts, field[at:]]).decode()
