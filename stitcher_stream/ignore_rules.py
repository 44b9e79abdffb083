"""Leave out the changes and columns nobody wants kept. Pure.

A rule names tables as `schema.table` or columns as `schema.table.column`; `*` in a part stands
for any characters of that part, so `app.tmp_*` are the tables of `app` that begin with `tmp_`.
Names are PostgreSQL's, capitals and all.

What holds:

- A change of an ignored table is left out, whatever it is.
- An UPDATE is left out only where it is certain that it changed some of the named columns and
  no other: both rows must be there and have the same columns. Without REPLICA IDENTITY FULL
  the old row is not there, and the change is kept. (Where the replica identity is an index and
  one of its columns changes, the rest of the old row is told as null; such a column should not
  be named.)
- Ignored columns are taken out of `before` and `after` only afterwards. The row's key stays in
  `primary_key` whatever the rules say, since without it a change is of no row.

Which rules a table has is worked out when it is first seen, and a table without any costs a
look into a dictionary for each change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from schemas.change import Change, Operation
from schemas.envelope import UNAVAILABLE_VALUE
from stitcher_stream.name_patterns import name_pattern

TABLE_PARTS = 2
COLUMN_PARTS = 3
MAX_TABLES = 10_000
"""How many tables are remembered; temporary ones would fill the memory in years."""

NamePattern = tuple[re.Pattern[str], ...]
_NOT_THERE = object()


def parse_patterns(text: str, parts: int) -> tuple[NamePattern, ...]:
    """Return the patterns of a list with commas between them.

    Raises ValueError, which says what is wrong, for one that has not so many parts.
    """
    form = ".".join(("schema", "table", "column")[:parts])
    patterns = []
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        names = entry.split(".")
        if len(names) != parts or not all(names):
            raise ValueError(f"{entry} is not {form}; `*` stands for any name or part of one")
        patterns.append(tuple(name_pattern(name) for name in names))
    return tuple(patterns)


class IgnoreRules:
    """What is left out of the changes of every table."""

    def __init__(
        self,
        tables: Iterable[NamePattern] = (),
        columns: Iterable[NamePattern] = (),
        updates_of: Iterable[NamePattern] = (),
    ) -> None:
        self._tables = tuple(tables)
        self._columns = tuple(columns)
        self._updates_of = tuple(updates_of)
        self._known: dict[tuple[str, str], TableRules | None] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any rule."""
        return bool(self._tables or self._columns or self._updates_of)

    def reshape(self, change: Change) -> Change | None:
        """Return the change without what is ignored, None where all of it is."""
        name = (change["schema"], change["table"])
        try:
            rules = self._known[name]
        except KeyError:
            rules = self._remember(name)
        return change if rules is None else rules.reshape(change)

    def _remember(self, name: tuple[str, str]) -> TableRules | None:
        if len(self._known) >= MAX_TABLES:
            self._known.clear()
        rules = self._known[name] = self._rules_of(*name)
        return rules

    def _rules_of(self, pg_schema: str, table: str) -> TableRules | None:
        is_ignored = any(_names(pattern, pg_schema, table) for pattern in self._tables)
        columns = [p[-1] for p in self._columns if _names(p, pg_schema, table)]
        updates_of = [p[-1] for p in self._updates_of if _names(p, pg_schema, table)]
        if not (is_ignored or columns or updates_of):
            return None
        return TableRules(is_ignored, Columns(columns), Columns(updates_of))


def _names(pattern: NamePattern, pg_schema: str, table: str) -> bool:
    return bool(pattern[0].fullmatch(pg_schema) and pattern[1].fullmatch(table))


class Columns(dict[str, bool]):
    """Whether each column of a table is among those that the patterns name."""

    def __init__(self, patterns: Iterable[re.Pattern[str]]) -> None:
        super().__init__()
        self._patterns = tuple(patterns)

    @property
    def is_empty(self) -> bool:
        """Tell whether no column can be among them."""
        return not self._patterns

    def __missing__(self, column: str) -> bool:
        found = any(pattern.fullmatch(column) for pattern in self._patterns)
        self[column] = found
        return found


class TableRules:
    """What is left out of the changes of one table."""

    __slots__ = ("_columns", "_is_ignored", "_updates_of")

    def __init__(self, is_ignored: bool, columns: Columns, updates_of: Columns) -> None:
        self._is_ignored = is_ignored
        self._columns = columns
        self._updates_of = updates_of

    def reshape(self, change: Change) -> Change | None:
        """Return the change without what is ignored, None where all of it is."""
        if self._is_ignored:
            return None
        before, after = change["before"], change["after"]
        if (
            not self._updates_of.is_empty
            and change["operation"] == Operation.UPDATE
            and touches_only(before, after, self._updates_of)
        ):
            return None
        columns = self._columns
        if columns.is_empty:
            return change
        left_before = {name: value for name, value in before.items() if not columns[name]}
        left_after = {name: value for name, value in after.items() if not columns[name]}
        return cast("Change", {**change, "before": left_before, "after": left_after})


def touches_only(before: dict[str, Any], after: dict[str, Any], columns: Columns) -> bool:
    """Tell whether the two rows surely differ, and in no other columns than these.

    A value that PostgreSQL did not send again has not changed.
    """
    if before.keys() != after.keys():
        return False
    is_touched = False
    for name, value in after.items():
        old = before.get(name, _NOT_THERE)
        if _same(old, value) or value == UNAVAILABLE_VALUE:
            continue
        if not columns[name]:
            return False
        is_touched = True
    return is_touched


def _same(old: object, new: object) -> bool:
    # Python calls 1, 1.0 and True equal, also inside a list; in JSON they are three values.
    if old.__class__ is not new.__class__:
        return False
    return repr(old) == repr(new) if isinstance(old, (dict, list)) else old == new
