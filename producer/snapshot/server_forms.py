"""Let the server write a column's values as JSON has them, where that is as simple as SQL. Pure.

PostgreSQL formats a time in 0.3 to 0.5 us that takes Python 1.5. A form equals the column type's
own encoder; `tests/integration/producer/test_snapshot_forms.py` holds them together. Values
outside of what a form is made for (infinity, years before 1 or after 9999) come as their text
behind a `?`, and go through that encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from producer.column_types.column_type import ColumnType
from producer.column_types.strings import encode_string
from producer.connect_schema import BOOLEAN, INT16, INT32, INT64, STRING
from producer.pgoutput import Column

ESCAPE: Final = "?"

BOOL, INT8, INT2, INT4, OID, NUMERIC = 16, 20, 21, 23, 26, 1700
DATE, TIME, TIMESTAMP, TIMESTAMPTZ = 1082, 1083, 1114, 1184


@dataclass(frozen=True, slots=True)
class ServerForm:
    """How a COPY selects a column so that its field is the cell."""

    expression: str
    """SQL in which `{0}` is the column."""
    is_quoted: bool
    """COPY puts the field in quotes."""
    is_other: str | None = None
    """A Python expression over `value`, the field: that it is not the cell, or NULL."""
    is_text: bool = True
    """The field is the value's text; otherwise it is that only behind a `?`."""


_PLAIN: Final = ServerForm("{0}", is_quoted=False)
_QUOTED: Final = ServerForm("{0}", is_quoted=True)
# PostgreSQL's NaN and infinities have other names in Debezium.
_NUMBER_IN_QUOTES: Final = ServerForm("{0}", is_quoted=True, is_other="value[-2] > '9'")
_TRUTH: Final = ServerForm("{0}::text", is_quoted=False, is_text=False)


def _usual(expression: str, first: str, end: str, *, is_quoted: bool) -> ServerForm:
    """Return the form of a time from `first` on and before `end`, as SQL literals."""
    return ServerForm(
        f"CASE WHEN {{0}} >= {first} AND {{0}} < {end} THEN {expression}"
        f" ELSE '{ESCAPE}' || {{0}}::text END",
        is_quoted=is_quoted,
        is_other=f"value[{int(is_quoted)}] == '{ESCAPE}'",
        is_text=False,
    )


def _date(expression: str, *, is_quoted: bool) -> ServerForm:
    return _usual(expression, "'0001-01-01'::date", "'10000-01-01'::date", is_quoted=is_quoted)


def _timestamp(expression: str, *, is_quoted: bool) -> ServerForm:
    return _usual(
        expression, "'0001-01-01'::timestamp", "'10000-01-01'::timestamp", is_quoted=is_quoted
    )


def _time(expression: str, *, is_quoted: bool) -> ServerForm:
    return _usual(expression, "'00:00'::time", "'24:00'::time", is_quoted=is_quoted)


_MICROS = "(extract(epoch FROM {0}) * 1000000)::bigint::text"
_MILLIS = "floor(extract(epoch FROM {0}) * 1000)::bigint::text"

_TIME_FORMS: Final = {
    (DATE, "io.debezium.time.IsoDate"): _date("{0}::text || 'Z'", is_quoted=True),
    (DATE, "io.debezium.time.Date"): _date("({0} - '1970-01-01'::date)::text", is_quoted=False),
    (DATE, "org.apache.kafka.connect.data.Date"): _date(
        "({0} - '1970-01-01'::date)::text", is_quoted=False
    ),
    (TIME, "io.debezium.time.IsoTime"): _time("{0}::text || 'Z'", is_quoted=True),
    (TIME, "io.debezium.time.MicroTime"): _time(_MICROS, is_quoted=False),
    (TIME, "io.debezium.time.Time"): _time(_MILLIS, is_quoted=False),
    (TIMESTAMP, "io.debezium.time.IsoTimestamp"): _timestamp(
        "replace({0}::text, ' ', 'T') || 'Z'", is_quoted=True
    ),
    (TIMESTAMP, "io.debezium.time.MicroTimestamp"): _timestamp(_MICROS, is_quoted=False),
    (TIMESTAMP, "io.debezium.time.Timestamp"): _timestamp(_MILLIS, is_quoted=False),
    (TIMESTAMP, "org.apache.kafka.connect.data.Timestamp"): _timestamp(_MILLIS, is_quoted=False),
}

_SECONDS = 'YYYY-MM-DD"T"HH24:MI:SS'
_FRACTIONS = ("", ".FF1", ".FF2", ".FF3", ".FF4", ".FF5", ".US")
_ALL_DIGITS = 6


def server_form(column: Column, column_type: ColumnType) -> ServerForm | None:
    """Return how the server writes the column's values itself, None where it cannot.

    Of domains only those over texts have a form: the others' modifiers are not the column's.
    """
    schema, oid = column_type.schema, column.type_oid
    if column_type.encode_json is encode_string:
        return _QUOTED
    if oid in (INT2, INT4, INT8, OID):
        return _PLAIN if schema.type in (INT16, INT32, INT64) and schema.name is None else None
    if oid == BOOL:
        return _TRUTH if schema.type == BOOLEAN else None
    if oid == NUMERIC:
        return _NUMBER_IN_QUOTES if schema.type == STRING else None
    if oid == TIMESTAMPTZ and schema.name == "io.debezium.time.ZonedTimestamp":
        digits = column.type_modifier
        fraction = _FRACTIONS[digits if 0 <= digits <= _ALL_DIGITS else _ALL_DIGITS]
        return _usual(
            f"to_char({{0}}, '{_SECONDS}{fraction}\"Z\"')",
            "'0001-01-01 00:00:00+00'::timestamptz",
            "'10000-01-01 00:00:00+00'::timestamptz",
            is_quoted=True,
        )
    return _TIME_FORMS.get((oid, schema.name or ""))
