"""What column.propagate.source.type puts into a schema: the column's type in PostgreSQL. Pure.

Length and scale are those that PostgreSQL's JDBC driver tells of a type, because consumers
who make tables from them were written against those.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from producer.column_types.calendar import FRACTION_DIGITS
from producer.column_types.column_type import TypeFacts
from producer.column_types.numbers import MAX_INT32
from producer.connect_schema import ConnectSchema

_FIXED: Final = {
    "bool": (1, 0),
    "int2": (5, 0),
    "int4": (10, 0),
    "int8": (19, 0),
    "oid": (10, 0),
    "float4": (8, 8),
    "float8": (17, 17),
    "date": (13, 0),
    "char": (1, 0),
}
_VECTORS: Final = ("int2vector", "oidvector")
_UNLIMITED_NUMERIC: Final = 131089
# What they show with whole seconds.
_SHOWN_SECONDS: Final = {"time": 8, "timetz": 14, "timestamp": 22, "timestamptz": 28}
# Of the point and the digits behind it: the driver takes a single digit for two.
_FRACTION_LENGTHS: Final = {0: 0, 1: 3}
_INTERVAL_LENGTH: Final = 49
_HEADER: Final = 4


def with_source_type(
    schema: ConnectSchema, facts: TypeFacts, type_modifier: int, column: str
) -> ConnectSchema:
    """Return the schema with the parameters that describe the column in PostgreSQL."""
    length, scale = length_and_scale(facts, type_modifier)
    parameters = (
        ("__debezium.source.column.type", facts.name.upper()),
        ("__debezium.source.column.length", str(length)),
        ("__debezium.source.column.scale", str(scale)),
        ("__debezium.source.column.name", column),
    )
    return replace(schema, parameters=schema.parameters + parameters)


def length_and_scale(facts: TypeFacts, modifier: int) -> tuple[int, int]:
    """Return a column's length and scale as PostgreSQL's JDBC driver tells them."""
    if facts.base is not None:
        return length_and_scale(facts.base, facts.base_modifier)
    if facts.element is not None and facts.element.kind != "d" and facts.name not in _VECTORS:
        return length_and_scale(facts.element, modifier)
    name = facts.name
    if name in _FIXED:
        return _FIXED[name]
    if name == "numeric":
        if modifier < _HEADER:
            return _UNLIMITED_NUMERIC, 0
        return (modifier - _HEADER) >> 16 & 0xFFFF, (modifier - _HEADER) & 0x7FF
    if name in _SHOWN_SECONDS:
        digits = modifier if modifier >= 0 else FRACTION_DIGITS
        return _SHOWN_SECONDS[name] + _FRACTION_LENGTHS.get(digits, digits + 1), digits
    if name == "interval":
        return _INTERVAL_LENGTH, modifier & 0xFFFF if modifier >= 0 else FRACTION_DIGITS
    if name in ("varchar", "bpchar") and modifier >= _HEADER:
        return modifier - _HEADER, 0
    if name in ("bit", "varbit") and modifier > 0:
        return modifier, 0
    return MAX_INT32, 0
