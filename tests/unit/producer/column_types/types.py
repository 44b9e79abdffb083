"""Types as the catalogue tells of them, for tests without a server."""

from __future__ import annotations

from dataclasses import replace

from producer.column_types.column_type import READABLE, ColumnType, TypeFacts, ValueModes
from producer.column_types.registry import PG_CATALOG, column_type

PRECISE = ValueModes()
"""Debezium's default modes, its values true."""
DEBEZIUM = ValueModes(debezium_values=True)
MODES = {
    "readable": READABLE,
    "precise": PRECISE,
    "debezium": DEBEZIUM,
    "double": ValueModes(
        decimal_handling_mode="double",
        time_precision_mode="adaptive_time_microseconds",
        interval_handling_mode="string",
        hstore_handling_mode="map",
        binary_handling_mode="base64",
    ),
    "isostring": replace(READABLE, lossless=False, binary_handling_mode="hex"),
    "isostring of debezium": replace(READABLE, lossless=False, debezium_values=True),
    "connect": ValueModes(time_precision_mode="connect", binary_handling_mode="base64-url-safe"),
    "microseconds": ValueModes(time_precision_mode="microseconds"),
    "nanoseconds": ValueModes(time_precision_mode="nanoseconds"),
}
EXTENSIONS = frozenset(
    (
        *("citext", "ltree", "isbn", "hstore", "geometry", "geography"),
        *("vector", "halfvec", "sparsevec"),
    )
)


def facts(name: str) -> TypeFacts:
    """Return the facts of a base type or, with [] behind it, of its array."""
    if name.endswith("[]"):
        element = facts(name[:-2])
        return TypeFacts(0, element.pg_schema, f"_{element.name}", element=element)
    delimiter = {"box": ";", "geometry": ":", "geography": ":"}.get(name, ",")
    pg_schema = "public" if name in EXTENSIONS else PG_CATALOG
    return TypeFacts(0, pg_schema, name, delimiter=delimiter)


def known(name: str, modes: ValueModes = PRECISE, modifier: int = -1) -> ColumnType:
    """Return the column type of a type that is not left out."""
    found = column_type(facts(name), modifier, modes)
    assert found is not None
    return found


def numeric_modifier(precision: int, scale: int) -> int:
    """Return pg_attribute.atttypmod of numeric(precision, scale)."""
    return (precision << 16 | scale & 0x7FF) + 4
