"""How the trail names a table and a row. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def split_table_name(db_table: str) -> tuple[str | None, str]:
    """Return schema and table of a db_table that names both, written `schema"."table`.

    The quotes that Django puts around a db_table make that a qualified name.
    """
    schema, separator, table = db_table.strip('"').partition('"."')
    return (schema, table) if separator else (None, db_table)


def joined_primary_key(primary_key: Any) -> str:
    """Return a primary key as the column `primary_key` has it.

    A composite one is its values joined by commas, with a backslash before each comma and
    backslash in a value.
    """
    if isinstance(primary_key, (tuple, list)):
        return _joined(primary_key)
    return str(primary_key)


def _joined(values: Iterable[Any]) -> str:
    return ",".join(str(value).replace("\\", "\\\\").replace(",", "\\,") for value in values)
