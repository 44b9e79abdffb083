"""Schemas and values in JSON, as Kafka Connect's JsonConverter writes them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.connect_schema import (
    ARRAY,
    BOOLEAN,
    BYTES,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    MAP,
    STRING,
    STRUCT,
    ConnectSchema,
    encode_json,
    schema_node,
)

DECIMAL = ConnectSchema(
    BYTES,
    "org.apache.kafka.connect.data.Decimal",
    1,
    optional=True,
    parameters=(("scale", "2"), ("connect.decimal.precision", "10")),
    default=b"\x00\x96",
)
POINT = ConnectSchema(
    STRUCT,
    "io.debezium.data.geometry.Point",
    1,
    doc="Geometry (POINT)",
    fields=(("x", ConnectSchema(FLOAT64)), ("srid", ConnectSchema(INT32, optional=True))),
)
STRINGS = ConnectSchema(MAP, keys=ConnectSchema(STRING), items=ConnectSchema(STRING, optional=True))
SPARSE = ConnectSchema(MAP, keys=ConnectSchema(INT16), items=ConnectSchema(FLOAT64))


@pytest.mark.parametrize(
    ("schema", "field", "expected"),
    [
        (ConnectSchema(INT32), None, '{"type":"int32","optional":false}'),
        (
            ConnectSchema(INT32, default=0),
            "pk",
            '{"type":"int32","optional":false,"default":0,"field":"pk"}',
        ),
        (
            ConnectSchema(BOOLEAN, default=False),
            None,
            '{"type":"boolean","optional":false,"default":false}',
        ),
        (
            DECIMAL,
            "d",
            '{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal",'
            '"version":1,"parameters":{"scale":"2","connect.decimal.precision":"10"},'
            '"default":"AJY=","field":"d"}',
        ),
        (
            POINT,
            "p",
            '{"type":"struct","fields":[{"type":"double","optional":false,"field":"x"},'
            '{"type":"int32","optional":true,"field":"srid"}],"optional":false,'
            '"name":"io.debezium.data.geometry.Point","version":1,"doc":"Geometry (POINT)",'
            '"field":"p"}',
        ),
        (
            ConnectSchema(ARRAY, items=ConnectSchema(INT64, optional=True)),
            None,
            '{"type":"array","items":{"type":"int64","optional":true},"optional":false}',
        ),
        (
            STRINGS,
            None,
            '{"type":"map","keys":{"type":"string","optional":false},'
            '"values":{"type":"string","optional":true},"optional":false}',
        ),
    ],
)
def test_a_schema_has_its_parts_in_connects_order(
    schema: ConnectSchema, field: str | None, expected: str
) -> None:
    assert json.dumps(schema_node(schema, field), separators=(",", ":")) == expected


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (DECIMAL, None, "null"),
        (DECIMAL, b"\x00\x96", '"AJY="'),
        (ConnectSchema(FLOAT32), 1.5, "1.5"),
        (ConnectSchema(FLOAT64), 3.0, "3.0"),
        (ConnectSchema(FLOAT64), math.nan, '"NaN"'),
        (ConnectSchema(FLOAT64), -math.inf, '"-Infinity"'),
        (POINT, {"srid": None, "x": math.inf}, '{"x":"Infinity","srid":null}'),
        (POINT, {"x": 1.0}, '{"x":1.0,"srid":null}'),
        (STRINGS, {"a": "1", "b": None}, '{"a":"1","b":null}'),
        (SPARSE, {1: 0.5, 9: math.nan}, '[[1,0.5],[9,"NaN"]]'),
        (ConnectSchema(ARRAY, items=DECIMAL), [b"\x01", None], '["AQ==",null]'),
        (ConnectSchema(STRING), 'é"\n\x01', '"é\\"\\n\\u0001"'),
    ],
)
def test_a_value_is_written_as_its_schema_says(
    schema: ConnectSchema, value: Any, expected: str
) -> None:
    assert encode_json(schema, value).decode() == expected


def test_a_placeholder_may_stand_where_another_value_would() -> None:
    schema = ConnectSchema(ARRAY, items=POINT)
    assert encode_json(schema, "__debezium_unavailable_value") == (
        b'"__debezium_unavailable_value"'
    )


def test_an_optional_schema_stays_what_it_is() -> None:
    assert DECIMAL.as_optional() is DECIMAL
    assert ConnectSchema(INT32).as_optional() == ConnectSchema(INT32, optional=True)


@given(st.floats())
def test_any_float_is_a_number_or_its_name(number: float) -> None:
    written = json.loads(encode_json(ConnectSchema(FLOAT64), number))
    assert written == number if math.isfinite(number) else isinstance(written, str)


@given(st.recursive(st.none() | st.binary(), lambda inner: st.lists(inner, max_size=3)))
def test_a_list_inside_a_list_is_a_dimension_of_the_array(value: Any) -> None:
    written = json.loads(encode_json(ConnectSchema(ARRAY, items=DECIMAL), [value]))
    assert (written[0] is None) == (value is None)
    assert isinstance(written[0], list) == isinstance(value, list)
