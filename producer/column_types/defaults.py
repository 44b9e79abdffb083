"""Values that are in no row: a column's default, and what Debezium invents. Pure.

A default stands in the schema, for readers of rows that lack the column. Which types have
one, and that a function's result is announced as the type's zero, is as in Debezium. Where
Debezium announces a part of an expression ('a' of 'a' || 'b') there is none here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from producer.column_types.column_type import ColumnType, TypeFacts
from producer.column_types.geometry import EMPTY_WKB, point
from producer.connect_schema import (
    ARRAY,
    BOOLEAN,
    BYTES,
    FLOAT32,
    FLOAT64,
    MAP,
    STRING,
    STRUCT,
)

_GENERATED: Final = {
    "bool": b"f",
    "bit": b"0",
    "varbit": b"0",
    "int2": b"0",
    "int4": b"0",
    "int8": b"0",
    "float4": b"0",
    "float8": b"0",
    "numeric": b"0.0",
    "bpchar": b"",
    "varchar": b"",
    "text": b"",
    "json": b"{}",
    "jsonb": b"{}",
    "xml": b"",
    "uuid": b"00000000-0000-0000-0000-000000000000",
    "date": b"1970-01-01",
    "time": b"00:00:00",
    "timestamp": b"1970-01-01 00:00:00",
    "timestamptz": b"1970-01-01 00:00:00+00",
    "interval": b"PT0S",
}
"""What stands for a function's result, by the types whose defaults are announced."""

_ENUM: Final = "io.debezium.data.Enum"
_TEMPORAL_WORDS: Final = re.compile(r"(?:CURRENT_(?:DATE|TIME|TIMESTAMP)|LOCALTIME)\b").match
_TEMPORAL: Final = ("date", "time", "timestamp", "timestamptz")
_USER_WORDS: Final = frozenset(("CURRENT_USER", "SESSION_USER", "USER", "CURRENT_CATALOG"))
_is_function = re.compile(r"\(?[A-Za-z0-9_]+\(.*\)", re.DOTALL).match
_first_literal = re.compile(r"'(.*?)'").search
_CASTS = r"(?:::[\w \"]+(?:\([\d, ]+\))?)*"
_whole_literal = re.compile(rf"(?P<escaped>E)?'(?P<text>(?:[^']|'')*)'{_CASTS}").fullmatch
_whole_word = re.compile(rf"(?P<text>true|false|-?[\d.]+(?:e[+-]?\d+)?){_CASTS}").fullmatch
_words_as_text: Final = {"true": "t", "false": "f"}


def default_value(
    column_type: ColumnType, expression: str | None, *, debezium_values: bool = False
) -> Any:
    """Return the value of a default's text, as pg_get_expr writes it; None where there is none.

    `debezium_values` takes the first literal of whatever the expression is, as Debezium does.
    """
    if expression is None or expression.startswith("NULL::"):
        return None
    name, schema = column_type.name, column_type.schema
    is_enum = schema.name == _ENUM
    generated = _GENERATED.get(name)
    if schema.type == STRUCT or (generated is None and not is_enum):
        return None
    if _is_generated(name, expression):
        text = generated
    else:
        text = _debezium_literal(name, expression) if debezium_values else _literal(expression)
    if text is None:
        return None
    if debezium_values and name in _NEVER_INFINITE and text.lstrip(b"-") in _NO_NUMBER:
        return _DEBEZIUM_INFINITY.get(str(schema.name), {}).get(text)
    try:
        return _decimal(text, column_type) if name == "numeric" else column_type.parse(text)
    except ValueError:
        return None


def _is_generated(name: str, expression: str) -> bool:
    if _is_function(expression):
        return True
    return name in _TEMPORAL and _TEMPORAL_WORDS(expression) is not None


def _literal(expression: str) -> bytes | None:
    """Return the text of an expression that is one constant; None of any other."""
    if expression in _USER_WORDS:
        return b""
    match = _whole_literal(expression)
    if match is not None:
        text = match["text"].replace("''", "'")
        return (text.replace("\\\\", "\\") if match["escaped"] else text).encode()
    match = _whole_word(expression)
    if match is None:
        return None
    return _words_as_text.get(match["text"], match["text"]).encode()


def _debezium_literal(name: str, expression: str) -> bytes | None:
    """Return the text of the first literal of an expression, or the expression."""
    if name not in _GENERATED:
        return _literal(expression)
    if "'" in expression:
        match = _first_literal(expression)
        return None if match is None else match[1].encode()
    if name == "bool":
        return b"t" if expression == "true" else b"f"
    return expression.encode()


def _decimal(text: bytes, column_type: ColumnType) -> Any:
    """Return the number at its column's scale; ValueError where the column would round it."""
    if column_type.scale is None or not text[-1:].isdigit():
        return column_type.parse(text)
    whole, _, fraction = text.partition(b".")
    if fraction[column_type.scale :].strip(b"0"):
        raise ValueError("more digits than the column keeps")
    digits = fraction[: column_type.scale].ljust(column_type.scale, b"0")
    return column_type.parse(whole + b"." + digits if digits else whole)


_NEVER_INFINITE: Final = ("numeric", *_TEMPORAL)
_NO_NUMBER: Final = (b"infinity", b"Infinity", b"NaN")
_DEBEZIUM_INFINITY: Final[dict[str, dict[bytes, Any]]] = {
    "io.debezium.time.Date": {b"infinity": 169560311, b"-infinity": -170999002},
    "org.apache.kafka.connect.data.Date": {b"infinity": 169560311, b"-infinity": -170999002},
    "io.debezium.time.IsoDate": {
        b"infinity": "+999999999-12-31Z",
        b"-infinity": "-999999999-01-01Z",
    },
    "io.debezium.time.MicroTimestamp": {
        b"infinity": -9223372036853775810,
        b"-infinity": -9223372036854775808,
    },
    "io.debezium.time.IsoTimestamp": {
        b"infinity": "+999999999-12-31T23:59:59.999999999Z",
        b"-infinity": "-999999999-01-01T00:00:00Z",
    },
}
"""What Debezium announces for an infinite default; of the other types there is none."""

_ZEROS: Final[dict[str, Any]] = {
    BOOLEAN: False,
    FLOAT32: 0.0,
    FLOAT64: 0.0,
    BYTES: b"",
    ARRAY: [],
    MAP: {},
}
_ZERO_STRINGS: Final = {
    "io.debezium.time.ZonedTimestamp": "1970-01-01T00:00:00Z",
    "io.debezium.time.ZonedTime": "00:00:00Z",
    "io.debezium.time.IsoTimestamp": "1970-01-01T00:00:00Z",
    "io.debezium.time.IsoDate": "1970-01-01Z",
    "io.debezium.time.IsoTime": "00:00:00Z",
    "io.debezium.time.Interval": "P0Y0M0DT0H0M0S",
}


def zero_value(column_type: ColumnType, facts: TypeFacts) -> Any:
    """Return what Debezium invents for a NOT NULL column whose value was not sent.

    Such a value was never in the row; only `debezium_values` asks for it.
    """
    schema = column_type.schema
    if schema.type == STRING:
        return _zero_string(column_type, facts)
    if schema.type == STRUCT:
        return _zero_struct(str(schema.name))
    if schema.type == BYTES and schema.name == "org.apache.kafka.connect.data.Decimal":
        return b"\0"
    return _ZEROS.get(schema.type, 0)


def _zero_string(column_type: ColumnType, facts: TypeFacts) -> str:
    name = column_type.schema.name
    if column_type.name == "hstore":
        return "{}"
    while facts.base is not None:
        facts = facts.base
    if column_type.scale is not None or facts.name == "numeric":
        return f"0.{'0' * column_type.scale}" if column_type.scale else "0"
    return _ZERO_STRINGS.get(name or "", "")


def _zero_struct(name: str) -> dict[str, Any]:
    if name.endswith("Point"):
        return point(0.0, 0.0)
    if name.endswith("Decimal"):
        return {"scale": 0, "value": b"\0"}
    if name.endswith("Vector"):
        return {"dimensions": 0, "vector": {}}
    return {"wkb": EMPTY_WKB, "srid": None}
