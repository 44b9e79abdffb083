"""The way in: from what the catalogue says of a type to how its columns are written. Pure.

A domain is written as its base type, through domains of domains. Types of extensions are
known by their name, as Debezium knows them. A type without a form of its own arrives as
PostgreSQL's text; with `debezium_values` as Debezium's bytes of that text.
"""

from __future__ import annotations

from dataclasses import replace

from producer.column_types.arrays import array_type, integer_vector_type
from producer.column_types.binary import bit_type, bytea_type, opaque_type
from producer.column_types.column_type import ColumnType, TypeFacts, ValueModes
from producer.column_types.debezium_arrays import debezium_array_type, no_value, without_values
from producer.column_types.decimals import money_type, numeric_type
from producer.column_types.geometry import GEOMETRIC_TYPES, POINT_TYPE, POSTGIS_TYPES, java_text
from producer.column_types.hstore import hstore_type
from producer.column_types.intervals import interval_type
from producer.column_types.numbers import NUMBER_TYPES
from producer.column_types.strings import STRING_TYPES, enum_type, string_type, text_type
from producer.column_types.temporal import date_type, time_type, timestamp_type, timestamptz_type
from producer.column_types.timetz import timetz_type
from producer.column_types.vectors import VECTOR_TYPES, vector_type
from producer.connect_schema import STRING

PG_CATALOG = "pg_catalog"
_EXTENSION_STRINGS = frozenset(("citext", "ltree", "isbn"))


def column_type(
    facts: TypeFacts, type_modifier: int, modes: ValueModes, *, not_null: bool = False
) -> ColumnType | None:
    """Return how a column of this type is written; None where the modes leave it out."""
    found = _known(facts, type_modifier, modes) or _unknown(facts, modes)
    if found is None:
        return None
    if not_null and found.parse is no_value and found.schema.type == STRING:
        # What Debezium writes for a name where it may not write null.
        found = replace(found, parse=lambda text: "", encode_json=lambda text: b'""')
    if modes.schemaless:
        # No other value stands for one that was not sent: JSON without a schema has room.
        return replace(found, name=facts.name, unavailable=modes.unavailable_text)
    return replace(found, name=facts.name)


def _known(facts: TypeFacts, modifier: int, modes: ValueModes) -> ColumnType | None:
    if facts.kind == "d" and facts.base is not None:
        return _domain(facts.base, facts.base_modifier, modes)
    if facts.kind == "e":
        return enum_type(facts.labels, modes)
    if facts.element is not None:
        return _array(facts, facts.element, modifier, modes)
    if facts.pg_schema == PG_CATALOG:
        return _built_in(facts.name, modifier, modes)
    return _of_extension(facts, modes) if facts.kind == "b" else None


def _domain(base: TypeFacts, modifier: int, modes: ValueModes) -> ColumnType | None:
    found = _known(base, modifier, modes)
    if found is None or base.element is None or not modes.debezium_values:
        return found
    return replace(found, unavailable=None)


def _array(
    facts: TypeFacts, element: TypeFacts, modifier: int, modes: ValueModes
) -> ColumnType | None:
    if facts.name in ("int2vector", "oidvector"):
        return integer_vector_type(facts.name, modes)
    # To Debezium the array of a domain is one of a type it does not know.
    is_domain = element.kind == "d" and modes.debezium_values
    known = None if is_domain else _known(element, modifier, modes)
    element_type = known or _unknown(element, modes)
    if element_type is None:
        return None
    if modes.debezium_values:
        is_known = known is not None and element.kind != "e"
        return debezium_array_type(element, element_type, modes, is_known=is_known)
    return array_type(element, element_type, modes)


def _built_in(name: str, modifier: int, modes: ValueModes) -> ColumnType | None:
    if name in NUMBER_TYPES:
        return NUMBER_TYPES[name]
    if name in STRING_TYPES:
        has_no_value = name == "name" and modes.debezium_values
        if has_no_value and not modes.include_unknown_datatypes:
            return without_values(string_type(name, modes))
        return string_type(name, modes)
    match name:
        case "numeric":
            return numeric_type(modifier, modes)
        case "money":
            return money_type(modes)
        case "date":
            return date_type(modes)
        case "time":
            return time_type(modifier, modes)
        case "timetz":
            return timetz_type(modes)
        case "timestamp":
            return timestamp_type(modifier, modes)
        case "timestamptz":
            return timestamptz_type(modifier, modes)
        case "interval":
            return interval_type(modes)
        case "bytea":
            return bytea_type(modes)
        case "bit" | "varbit":
            return bit_type(name, modifier, modes)
        case "point":
            return POINT_TYPE
    return None


def _of_extension(facts: TypeFacts, modes: ValueModes) -> ColumnType | None:
    name = facts.name
    if name in _EXTENSION_STRINGS:
        return string_type(name, modes)
    if name in POSTGIS_TYPES:
        return POSTGIS_TYPES[name]
    if name in VECTOR_TYPES:
        return vector_type(name, modes)
    return hstore_type(modes) if name == "hstore" else None


def _unknown(facts: TypeFacts, modes: ValueModes) -> ColumnType | None:
    if _is_dropped_array(facts, modes) or not modes.include_unknown_datatypes:
        return None
    if not modes.debezium_values:
        return text_type(modes)
    is_geometric = facts.pg_schema == PG_CATALOG and facts.name in GEOMETRIC_TYPES
    return opaque_type(modes, java_text if is_geometric else bytes)


def _is_dropped_array(facts: TypeFacts, modes: ValueModes) -> bool:
    # Debezium leaves these arrays out also where it includes what it does not know.
    return modes.debezium_values and facts.element is not None
