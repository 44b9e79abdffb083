"""What a column's default is in its schema, and what Debezium invents for values not sent."""

from __future__ import annotations

from typing import Any

import pytest

from producer.column_types.column_type import READABLE, ColumnType, TypeFacts
from producer.column_types.defaults import default_value, zero_value
from producer.column_types.registry import column_type
from producer.connect_schema import json_value
from tests.unit.producer.column_types.types import (
    DEBEZIUM,
    MODES,
    PRECISE,
    facts,
    known,
    numeric_modifier,
)

DECIMAL_10_2 = numeric_modifier(10, 2)


def in_json(column: ColumnType, value: Any) -> Any:
    return json_value(column.schema, value)


# type, modifier, what pg_get_expr says, the default in JSON in Debezium's default modes
DEFAULTS: list[tuple[str, int, str | None, Any]] = [
    ("int4", -1, None, None),
    ("bool", -1, "true", True),
    ("bool", -1, "NULL::boolean", None),
    ("int2", -1, "7", 7),
    ("int4", -1, "'-7'::integer", -7),
    ("int4", -1, "(1 + 1)", None),
    ("int4", -1, "nextval('some_sequence'::regclass)", 0),
    ("int8", -1, "'9223372036854775807'::bigint", 2**63 - 1),
    ("float8", -1, "'Infinity'::double precision", "Infinity"),
    ("float4", -1, "'-1.5'::numeric", -1.5),
    ("numeric", DECIMAL_10_2, "1.5", "AJY="),
    ("numeric", DECIMAL_10_2, "'-1.5'::numeric", "/2o="),
    ("numeric", DECIMAL_10_2, "1", "ZA=="),
    ("numeric", DECIMAL_10_2, "1.239", None),
    ("numeric", DECIMAL_10_2, "round(1.5)", "AA=="),
    ("numeric", -1, "1.5", None),
    ("text", -1, "'abc'::text", "abc"),
    ("text", -1, "''::text", ""),
    ("text", -1, "'x'::character varying(5)", "x"),
    ("text", -1, "upper('x'::text)", ""),
    ("bpchar", 8, "'ab'::bpchar", "ab"),
    ("date", -1, "'2016-11-04'::date", 17109),
    ("date", -1, "CURRENT_DATE", 0),
    ("date", -1, "(CURRENT_DATE + 1)", None),
    ("time", 0, "'04:05:11'::time without time zone", 14711000),
    ("timestamp", -1, "now()", 0),
    ("timestamp", -1, "CURRENT_TIMESTAMP(3)", 0),
    ("timestamptz", 3, "now()", "1970-01-01T00:00:00.000Z"),
    ("timestamptz", -1, "'2016-11-04 09:51:30.5+00'::timestamp with time zone",
     "2016-11-04T09:51:30.500000Z"),
    ("interval", -1, "'P1Y2M3DT4H5M6.78S'::interval", 37091106780000),
    ("jsonb", -1, "'{}'::jsonb", "{}"),
    ("uuid", -1, "gen_random_uuid()", "00000000-0000-0000-0000-000000000000"),
    ("bit", 3, "'101'::\"bit\"", "BQ=="),
    ("bit", 1, "'1'::\"bit\"", True),
    ("money", -1, "1.5", None),
    ("inet", -1, "'10.0.0.1'::inet", None),
    ("bytea", -1, "'\\x00'::bytea", None),
    ("int4[]", -1, "'{}'::integer[]", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "modifier", "expression", "value"), DEFAULTS)
def test_a_literal_is_announced_and_a_function_as_zero(
    name: str, modifier: int, expression: str | None, value: Any
) -> None:
    for modes in (PRECISE, DEBEZIUM):
        column = known(name, modes, modifier)
        default = default_value(column, expression, debezium_values=modes.debezium_values)
        assert in_json(column, default) == value


@pytest.mark.parametrize(
    ("name", "expression", "ours", "debeziums"),
    [
        ("text", "'it''s'::text", "it's", "it"),
        ("text", "'a\nb'::text", "a\nb", None),
        ("text", "E'a\\\\b'::text", "a\\b", "a\\\\b"),
        ("text", "('a'::text || 'b'::text)", None, "a"),
        ("text", "CURRENT_USER", "", "CURRENT_USER"),
        ("bool", "(1 = 1)", None, False),
        ("date", "'infinity'::date", 2147483647, 169560311),
        ("timestamptz", "'infinity'::timestamp with time zone", "infinity", None),
    ],
)
def test_a_default_is_never_a_part_of_an_expression_unless_debeziums_is_asked_for(
    name: str, expression: str, ours: Any, debeziums: Any
) -> None:
    assert default_value(known(name), expression) == ours
    column = known(name, DEBEZIUM)
    assert default_value(column, expression, debezium_values=True) == debeziums


def test_an_enums_default_is_a_label_and_a_domain_has_none() -> None:
    mood = TypeFacts(1, "public", "mood", "e", labels=("sad", "ok"))
    column = column_type(mood, -1, PRECISE)
    assert column is not None
    assert default_value(column, "'sad'::mood") == "sad"
    assert default_value(column, "('sad'::text)::mood") is None
    positive = column_type(TypeFacts(3, "public", "n", "d", base=facts("int4")), -1, PRECISE)
    assert positive is not None
    assert default_value(positive, "7") is None


def test_a_decimals_default_in_mode_string_shows_the_digits_of_its_column() -> None:
    column = known("numeric", MODES["isostring of debezium"], DECIMAL_10_2)
    assert default_value(column, "1", debezium_values=True) == "1.00"


@pytest.mark.parametrize(
    ("name", "modifier", "mode", "zero"),
    [
        ("bool", -1, "debezium", False),
        ("int8", -1, "debezium", 0),
        ("float4", -1, "debezium", 0.0),
        ("text", -1, "debezium", ""),
        ("uuid", -1, "debezium", ""),
        ("numeric", -1, "debezium", {"scale": 0, "value": "AA=="}),
        ("numeric", DECIMAL_10_2, "debezium", "AA=="),
        ("numeric", DECIMAL_10_2, "isostring of debezium", "0.00"),
        ("numeric", -1, "isostring of debezium", "0"),
        ("money", -1, "isostring of debezium", "0.00"),
        ("bytea", -1, "debezium", ""),
        ("bit", 3, "debezium", ""),
        ("date", -1, "debezium", 0),
        ("date", -1, "isostring of debezium", "1970-01-01Z"),
        ("time", -1, "isostring of debezium", "00:00:00Z"),
        ("timestamp", -1, "isostring of debezium", "1970-01-01T00:00:00Z"),
        ("timestamptz", 3, "debezium", "1970-01-01T00:00:00Z"),
        ("timetz", -1, "debezium", "00:00:00Z"),
        ("interval", -1, "double", "P0Y0M0DT0H0M0S"),
        ("hstore", -1, "debezium", "{}"),
        ("hstore", -1, "double", {}),
        ("int4[]", -1, "debezium", []),
        ("geometry", -1, "debezium", {"wkb": "AQcAAAAAAAAA", "srid": None}),
        (
            "point",
            -1,
            "debezium",
            {"x": 0.0, "y": 0.0, "wkb": "AQEAAAAAAAAAAAAAAAAAAAAAAAAA", "srid": None},
        ),
    ],
)
def test_a_zero_is_the_one_that_debezium_invents(
    name: str, modifier: int, mode: str, zero: Any
) -> None:
    column = known(name, MODES[mode], modifier)
    assert in_json(column, zero_value(column, facts(name))) == zero


@pytest.mark.parametrize("modes", [READABLE, *MODES.values()])
def test_every_zero_is_a_value_of_its_schema(modes: Any) -> None:
    for name in ("sparsevec", "vector", "geography", "varbit", "oid", "json", "tsrange"):
        column = known(name, modes)
        assert in_json(column, zero_value(column, facts(name))) is not None


def test_a_domain_over_numeric_has_the_zero_of_a_numeric() -> None:
    amount = TypeFacts(0, "public", "amount", kind="d", base=facts("numeric"))
    column = column_type(amount, -1, MODES["isostring of debezium"])
    assert column is not None
    assert zero_value(column, amount) == "0"
