"""A Connect schema in Avro's words: a table of what each part of it becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from producer.avro_format import ConflictingSchemas, UnusableName, avro_schema
from producer.connect_schema import (
    ARRAY,
    BOOLEAN,
    BYTES,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    MAP,
    STRING,
    STRUCT,
    ConnectSchema,
)

DECIMAL = "org.apache.kafka.connect.data.Decimal"
TEXT = ConnectSchema(STRING)
INT = ConnectSchema(INT32)
POINT = ConnectSchema(STRUCT, name="geo.Point", version=1, doc="A point", fields=(("x", INT),))
POINT_AVRO = {
    "type": "record",
    "name": "Point",
    "namespace": "geo",
    "fields": [{"name": "x", "type": "int"}],
    "connect.doc": "A point",
    "connect.version": 1,
    "connect.name": "geo.Point",
}


def decimal(scale: int, precision: int | None = None) -> ConnectSchema:
    parameters = [("scale", str(scale))]
    if precision is not None:
        parameters.append(("connect.decimal.precision", str(precision)))
    return ConnectSchema(BYTES, name=DECIMAL, version=1, parameters=tuple(parameters))


@pytest.mark.parametrize(
    ("schema", "avro"),
    [
        (ConnectSchema(BOOLEAN), "boolean"),
        (ConnectSchema(INT8), {"type": "int", "connect.type": "int8"}),
        (ConnectSchema(INT16), {"type": "int", "connect.type": "int16"}),
        (ConnectSchema(INT32), "int"),
        (ConnectSchema(INT64), "long"),
        (ConnectSchema(FLOAT32), "float"),
        (ConnectSchema(FLOAT64), "double"),
        (ConnectSchema(STRING), "string"),
        (ConnectSchema(BYTES), "bytes"),
        (ConnectSchema(INT64, optional=True), ["null", "long"]),
        (
            ConnectSchema(INT64, optional=True, default=7),
            [{"type": "long", "connect.default": 7}, "null"],
        ),
        (
            ConnectSchema(ARRAY, items=TEXT.as_optional()),
            {"type": "array", "items": ["null", "string"]},
        ),
        (ConnectSchema(MAP, keys=TEXT, items=INT), {"type": "map", "values": "int"}),
        (
            ConnectSchema(MAP, name="the.Map", keys=INT, items=TEXT),
            {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Map",
                    "namespace": "the",
                    "fields": [{"name": "key", "type": "int"}, {"name": "value", "type": "string"}],
                    "connect.internal.type": "MapEntry",
                },
                "connect.name": "the.Map",
            },
        ),
        (
            ConnectSchema(MAP, keys=INT, items=TEXT.as_optional()),
            {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "MapEntry",
                    "namespace": "io.confluent.connect.avro",
                    "fields": [
                        {"name": "key", "type": "int"},
                        {"name": "value", "type": ["null", "string"], "default": None},
                    ],
                },
            },
        ),
        (POINT, POINT_AVRO),
        (POINT.as_optional(), ["null", POINT_AVRO]),
        (
            ConnectSchema(INT64, name="io.debezium.time.MicroTimestamp", version=1),
            {
                "type": "long",
                "connect.version": 1,
                "connect.name": "io.debezium.time.MicroTimestamp",
            },
        ),
        (
            ConnectSchema(INT32, name="org.apache.kafka.connect.data.Date", version=1),
            {
                "type": "int",
                "connect.version": 1,
                "connect.name": "org.apache.kafka.connect.data.Date",
                "logicalType": "date",
            },
        ),
        (
            ConnectSchema(
                STRING, name="io.debezium.data.Enum", version=1, parameters=(("allowed", "a,b"),)
            ),
            {
                "type": "string",
                "connect.version": 1,
                "connect.parameters": {"allowed": "a,b"},
                "connect.name": "io.debezium.data.Enum",
            },
        ),
    ],
)
def test_a_schema_becomes(schema: ConnectSchema, avro: Any) -> None:
    # As text too, because the order of the properties is part of it.
    assert json.dumps(avro_schema(schema)) == json.dumps(avro)


@pytest.mark.parametrize(
    ("schema", "facts"),
    [
        (decimal(2, 10), {"scale": 2, "precision": 10, "logicalType": "decimal"}),
        (decimal(2), {"scale": 2, "precision": 64, "logicalType": "decimal"}),
        # Avro's own decimal has no such numbers, but this is how Debezium's are registered.
        (decimal(5, 3), {"scale": 5, "precision": 3, "logicalType": "decimal"}),
        (decimal(-2, 3), {"scale": -2, "precision": 3, "logicalType": "decimal"}),
    ],
)
def test_a_decimal_tells_its_digits(schema: ConnectSchema, facts: dict[str, Any]) -> None:
    avro = avro_schema(schema)
    assert {name: avro[name] for name in avro if not name.startswith("connect.")} == {
        "type": "bytes",
        **facts,
    }


@pytest.mark.parametrize(
    ("schema", "default"),
    [
        (ConnectSchema(INT64, default=0), 0),
        (ConnectSchema(STRING, default="é"), "é"),
        (ConnectSchema(BYTES, default=b"\x00\xff"), "\x00\xff"),
        (ConnectSchema(ARRAY, items=TEXT, default=["a"]), ["a"]),
        (ConnectSchema(MAP, keys=TEXT, items=TEXT, default={"a": "b"}), {"a": "b"}),
        (ConnectSchema(MAP, keys=INT, items=TEXT, default={1: "b"}), [{"key": 1, "value": "b"}]),
        (ConnectSchema(BOOLEAN, optional=True), None),
        (ConnectSchema(BOOLEAN, optional=True, default=False), False),
        (ConnectSchema(FLOAT64, optional=True, default=float("nan")), None),
        (ConnectSchema(FLOAT64, optional=True, default=float("-inf")), None),
        (POINT.as_optional(), None),
    ],
)
def test_a_field_has_the_default(schema: ConnectSchema, default: Any) -> None:
    record = avro_schema(ConnectSchema(STRUCT, name="a.R", fields=(("f", schema),)))
    assert record["fields"][0]["default"] == default


def test_a_required_field_without_default_has_none() -> None:
    record = avro_schema(ConnectSchema(STRUCT, name="a.R", fields=(("f", TEXT),)))
    assert record["fields"] == [{"name": "f", "type": "string"}]


def test_a_record_is_written_out_once_and_named_after_that() -> None:
    inner = ConnectSchema(STRUCT, name="a.b.Inner", optional=True, fields=(("x", INT),))
    record = avro_schema(
        ConnectSchema(
            STRUCT,
            name="a.b.Outer",
            fields=(("one", inner), ("two", inner), ("p", POINT), ("q", POINT)),
        )
    )
    types = [field["type"] for field in record["fields"]]
    # A name stands alone within its own namespace, and a namespace is said where it changes.
    assert "namespace" not in types[0][1]
    assert types[1] == ["null", "Inner"]
    assert types[2] == POINT_AVRO
    assert types[3] == "geo.Point"


def test_a_record_may_be_required_in_one_place_and_optional_in_another() -> None:
    record = avro_schema(
        ConnectSchema(STRUCT, name="a.R", fields=(("p", POINT), ("q", POINT.as_optional())))
    )
    assert [field["type"] for field in record["fields"]] == [POINT_AVRO, ["null", "geo.Point"]]


def test_two_records_of_one_name_are_refused() -> None:
    other = ConnectSchema(STRUCT, name="geo.Point", fields=(("y", INT),))
    with pytest.raises(ConflictingSchemas, match=r"geo\.Point"):
        avro_schema(ConnectSchema(STRUCT, name="a.R", fields=(("p", POINT), ("q", other))))


@pytest.mark.parametrize(
    "name", ["my-shop.public.todo.Value", "shop.1st.Value", "a..b", "é.V", ".V"]
)
def test_a_schema_name_avro_does_not_take_is_refused_by_the_setting_that_helps(name: str) -> None:
    with pytest.raises(UnusableName, match=r"schema\.name\.adjustment\.mode"):
        avro_schema(ConnectSchema(STRUCT, name=name, fields=(("x", INT),)))


@pytest.mark.parametrize("name", ["full name", "1st", "né", "a.b", ""])
def test_a_field_name_avro_does_not_take_is_refused_by_the_setting_that_helps(name: str) -> None:
    with pytest.raises(UnusableName, match=r"field\.name\.adjustment\.mode"):
        avro_schema(ConnectSchema(STRUCT, name="a.R", fields=((name, INT),)))
