"""Arrays as Debezium 3.6 has them, with what is false in them. Pure; for `debezium_values` only.

Debezium reads an array's elements through the types of java.sql. What those make of infinity
and of years before 1582 depends on the Java machine and is not copied, nor are the addresses
that stand for the parts of a text array of more than one dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from producer.column_types.arrays import Elements, array_type, splitter
from producer.column_types.column_type import ColumnType, Parse, TypeFacts, ValueModes
from producer.connect_schema import ConnectSchema, encode_json

_DROPPED: Final = frozenset(("money", "name", "interval", "varbit", "xml", "point", "refcursor"))
"""Elements whose arrays Debezium leaves out. Of bit it has a schema, but no value."""

_WITH_PLACEHOLDER: Final = frozenset(
    ("text", "varchar", "bpchar", "json", "jsonb", "int4", "int8", "uuid")
)
_WITH_PLACEHOLDER_IF: Final[dict[str, Callable[[ValueModes], bool]]] = {
    "bytea": lambda modes: modes.binary_handling_mode == "bytes",
    "date": lambda modes: modes.time_precision_mode != "isostring",
}
"""The elements whose arrays have a placeholder; the others' are null."""

_WITHOUT_NULLS: Final = frozenset(("tsvector", "isbn", "vector", "halfvec", "sparsevec"))
"""Elements that may not be null, as those Debezium does not know and enums. Nor may those of
ltree, though their schema says so."""


def debezium_array_type(
    facts: TypeFacts, element: ColumnType, modes: ValueModes, *, is_known: bool
) -> ColumnType | None:
    """Return Debezium's type of an array of these elements; None where it has none."""
    name = facts.name
    if name == "bit":
        return without_values(element)
    if name in _DROPPED:
        return None
    allows_null = is_known and name not in _WITHOUT_NULLS
    made = array_type(facts, element, modes)
    schema = made.schema if allows_null else replace(made.schema, items=element.schema)
    takes_null = allows_null and name != "ltree"
    parse = _parser(facts, _element_parser(name, element), allows_null=takes_null)
    has_placeholder = name in _WITH_PLACEHOLDER or (
        name in _WITH_PLACEHOLDER_IF and _WITH_PLACEHOLDER_IF[name](modes)
    )
    return ColumnType(
        schema, parse, _encoder(schema, parse), made.unavailable if has_placeholder else None
    )


def without_values(column_type: ColumnType) -> ColumnType:
    """Return the type of a column that Debezium has a schema for, but never a value."""
    return replace(column_type, parse=no_value, encode_json=no_value, unavailable=None)


def no_value(text: bytes) -> bytes:
    """Refuse the text."""
    raise ValueError("Debezium has no value for this type")


def _encoder(schema: ConnectSchema, parse: Parse) -> Callable[[bytes], bytes]:
    return lambda text: encode_json(schema, parse(text))


def _parser(facts: TypeFacts, parse_element: Parse, *, allows_null: bool) -> Parse:
    split = splitter(facts.delimiter)

    def parse(text: bytes) -> list[Any]:
        elements: Elements = split(text)
        values = [parse_element(e) if isinstance(e, bytes) else None for e in elements]
        if None in values and not allows_null:
            raise ValueError("Debezium has no value for an array of this type with a null")
        return values

    return parse


def _element_parser(name: str, element: ColumnType) -> Parse:
    if name == "timetz":
        return lambda text: _without_fraction(element.parse(text))
    if name == "time":
        return lambda text: element.parse(_with_millis(text))
    if name == "numeric":
        return lambda text: element.parse(_plain_number(text))
    return element.parse


def _without_fraction(time: str) -> str:
    return time.partition(".")[0].rstrip("Z") + "Z"


def _with_millis(text: bytes) -> bytes:
    return b"00:00:00" if text == b"24:00:00" else text[: len(b"00:00:00.000")]


def _plain_number(text: bytes) -> bytes:
    if text[-1:].isdigit():
        return text
    raise ValueError("Debezium has no value for an array with NaN or infinity")
