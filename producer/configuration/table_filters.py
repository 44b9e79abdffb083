"""Choose what is captured and what a row is keyed by, as Debezium does. Pure.

Tables are named `schema.table`, columns `schema.table.column`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from producer.configuration.expressions import (
    Expression,
    compile_expressions,
    matches_any,
    split_list,
)
from runtime.settings import InvalidSettings

if TYPE_CHECKING:
    # The settings are checked by what is here.
    from producer.configuration.tables import TableSettings

OPERATIONS = frozenset("crudtm")

_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})
_SYSTEM_TABLES = frozenset({"spatial_ref_sys"})
_TEMPORARY_SCHEMA = "pg_temp"
_KEY_COLUMNS = re.compile(r"\s*([^:]+):([^:,]+(?:,[^:,]+)*)\s*")
_REPLICA_IDENTITY = re.compile(
    r"\s*([^\s:]+):(?:(DEFAULT|FULL|NOTHING)|(INDEX) (\S+))\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The names that one list includes, or that the other does not exclude."""

    included: tuple[Expression, ...] = ()
    excluded: tuple[Expression, ...] = ()

    def takes(self, name: str) -> bool:
        """Tell whether the name is chosen; with neither list every name is."""
        if self.included:
            return matches_any(self.included, name)
        return not matches_any(self.excluded, name)


@dataclass(frozen=True, slots=True)
class TableFilters:
    """What of a database becomes events."""

    schemas: Choice = Choice()
    tables: Choice = Choice()
    columns: Choice = Choice()
    message_prefixes: Choice = Choice()
    keys: tuple[Expression, ...] = ()
    ignore_builtin: bool = True

    @classmethod
    def of(cls, settings: TableSettings) -> TableFilters:
        """Return the filters that the settings ask for."""
        return cls(
            _choice(settings.schema_include_list, settings.schema_exclude_list),
            _choice(settings.table_include_list, settings.table_exclude_list),
            _choice(settings.column_include_list, settings.column_exclude_list),
            _choice(settings.message_prefix_include_list, settings.message_prefix_exclude_list),
            parse_key_columns(settings.message_key_columns),
            settings.table_ignore_builtin,
        )

    def captures_table(self, pg_schema: str, table: str) -> bool:
        """Tell whether a table's changes become events."""
        if self.ignore_builtin and (
            pg_schema in _SYSTEM_SCHEMAS
            or table in _SYSTEM_TABLES
            or pg_schema.startswith(_TEMPORARY_SCHEMA)
        ):
            return False
        return self.schemas.takes(pg_schema) and self.tables.takes(f"{pg_schema}.{table}")

    def captures_column(self, pg_schema: str, table: str, column: str) -> bool:
        """Tell whether a column is in events; the primary key's are in the key whatever this is."""
        return self.columns.takes(f"{pg_schema}.{table}.{column}")

    def captures_message(self, prefix: str) -> bool:
        """Tell whether a logical message of this prefix becomes an event."""
        return self.message_prefixes.takes(prefix)

    def key_columns(self, pg_schema: str, table: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of message.key.columns, none where it does not name the table.

        They are in the order of the setting, and of the table within one expression.
        """
        found = (
            column
            for expression in self.keys
            for column in columns
            if expression.fullmatch(f"{pg_schema}.{table}.{column}")
        )
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class ReplicaIdentity:
    """The replica identity that tables of these names are to have."""

    tables: tuple[Expression, ...]
    identity: str
    """DEFAULT, FULL, NOTHING or INDEX."""
    index: str | None = None


def parse_replica_identities(text: str) -> tuple[ReplicaIdentity, ...]:
    """Return what replica.identity.autoset.values says.

    Raises ValueError for an entry that is not `tables:identity`.
    """
    identities = []
    for entry in filter(str.strip, text.split(",")):
        match = _REPLICA_IDENTITY.fullmatch(entry)
        if match is None:
            raise ValueError(f"{entry.strip()} is not tables:FULL, DEFAULT, NOTHING or INDEX name")
        tables, identity, index, name = match.groups()
        identities.append(
            ReplicaIdentity(
                compile_expressions(split_list(tables)), (identity or index).upper(), name
            )
        )
    return tuple(identities)


def replica_identity_of(
    identities: Iterable[ReplicaIdentity], pg_schema: str, table: str
) -> ReplicaIdentity | None:
    """Return the identity that a table is to have, None where none is asked for.

    Raises InvalidSettings when more than one entry names the table.
    """
    found = [entry for entry in identities if matches_any(entry.tables, f"{pg_schema}.{table}")]
    if len(found) > 1:
        raise InvalidSettings(
            f"replica.identity.autoset.values names the table {pg_schema}.{table} more than once"
        )
    return found[0] if found else None


def parse_key_columns(text: str) -> tuple[Expression, ...]:
    """Return an expression of whole column names for each key column.

    Raises ValueError for an entry that is not `table:column,column`.
    """
    expressions: list[Expression] = []
    for entry in filter(str.strip, text.split(";")):
        match = _KEY_COLUMNS.fullmatch(entry)
        if match is None:
            raise ValueError(f"{entry.strip()} is not table:column,column")
        tables, columns = match.groups()
        for column in columns.split(","):
            expressions += compile_expressions(split_list(f"{tables.strip()}.{column.strip()}"))
    return tuple(expressions)


def parse_operations(items: Iterable[str]) -> tuple[str, ...]:
    """Return the letters of skipped.operations; `none` is none of them.

    Raises ValueError for what is no operation.
    """
    letters = [item.strip().lower() for item in items]
    if "none" in letters:
        if len(letters) > 1:
            raise ValueError("none stands alone")
        return ()
    unknown = [letter for letter in letters if letter not in OPERATIONS]
    if unknown:
        raise ValueError(f"{unknown[0]} is none of c, u, d, t and none")
    return tuple(letters)


def _choice(included: Iterable[str], excluded: Iterable[str]) -> Choice:
    return Choice(compile_expressions(included), compile_expressions(excluded))
