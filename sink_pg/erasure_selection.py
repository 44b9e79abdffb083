"""Which changes an erasure is about, and how they are found. Edge: psycopg.sql.

All that is given has to be true of a change. A value is compared as JSON: `7` finds the number 7
and the text "7", because people cannot tell from outside which of the two a column is in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import sql

from sink_pg.errors import UnusableSelection

if TYPE_CHECKING:
    from typing_extensions import LiteralString

_JSON_WORD = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a JSON object, by its path, and the value it has to have."""

    path: tuple[str, ...]
    value: str

    def documents(self) -> Iterator[str]:
        """Yield the objects, as JSON, one of which has to be contained."""
        values = [json.dumps(self.value)]
        if _JSON_WORD.fullmatch(self.value):
            values.append(self.value)
        for value in values:
            for name in reversed(self.path):
                value = f"{{{json.dumps(name)}: {value}}}"
            yield value


@dataclass(frozen=True, slots=True)
class Selection:
    """What has to be true of a change; what is not given is true of any."""

    table: str | None = None
    """`schema.table`; `*` stands for any text."""
    primary_key: str | None = None
    columns: tuple[Member, ...] = ()
    """Of `before` or of `after`."""
    contexts: tuple[Member, ...] = ()
    ids: tuple[UUID, ...] = ()
    from_time: datetime | None = None
    to_time: datetime | None = None
    """When it was committed; the end is exclusive."""

    def __post_init__(self) -> None:
        """Raise UnusableSelection where whole tables or times would be erased."""
        if self.primary_key is not None and (self.table is None or "*" in self.table):
            raise UnusableSelection("--primary-key says which row of one table: name it by --table")
        if self.primary_key is None and not (self.columns or self.contexts or self.ids):
            raise UnusableSelection(
                "say whose changes: by --primary-key with --table, --column, --context or --id"
            )

    @property
    def is_about_rows(self) -> bool:
        """Whether it names rows, and not only who changed some."""
        return self.primary_key is not None or bool(self.columns or self.ids)

    def conditions(self) -> tuple[sql.Composed, dict[str, Any]]:
        """Return what follows WHERE, and its parameters; a change is named `stored`."""
        tests: list[sql.Composable] = []
        parameters: dict[str, Any] = {}

        def value(of: object) -> sql.Placeholder:
            name = f"value_{len(parameters)}"
            parameters[name] = of
            return sql.Placeholder(name)

        def test(text: LiteralString, of: object) -> None:
            tests.append(sql.SQL(text).format(value(of)))

        if self.table is not None:
            pattern = re.sub(r"([\\%_])", r"\\\1", self.table).replace("*", "%")
            test("stored.schema || '.' || stored.\"table\" LIKE {}", pattern)
        if self.primary_key is not None:
            test("stored.primary_key = {}", self.primary_key)
        for columns, members in (
            (("before", "after"), self.columns),
            (("context",), self.contexts),
        ):
            for member in members:
                # By containment, because GIN indexes answer it.
                contains = [
                    sql.SQL("stored.{} @> {}::jsonb").format(
                        sql.Identifier(column), value(document)
                    )
                    for column in columns
                    for document in member.documents()
                ]
                tests.append(sql.SQL("({})").format(sql.SQL(" OR ").join(contains)))
        if self.ids:
            test("stored.id = ANY({})", list(self.ids))
        if self.from_time is not None:
            test("stored.committed_at >= {}", self.from_time)
        if self.to_time is not None:
            test("stored.committed_at < {}", self.to_time)
        return sql.SQL(" AND ").join(tests), parameters


def parse_member(text: str, *, is_path: bool) -> Member:
    """Return the member written as `name=value`; dots divide a path.

    Raises UnusableSelection.
    """
    name, equals, value = text.partition("=")
    path = tuple(name.split(".")) if is_path else (name,)
    if not equals or not all(path):
        raise UnusableSelection(f"{name!r} names no value: write name=value, as in user_id=7")
    return Member(path, value)
