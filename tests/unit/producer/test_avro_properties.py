"""Whatever the schema and the value: fastavro reads from the bytes what was written.

fastavro reads by the Avro schema alone, so this holds schema and bytes against each other.
"""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.avro_encoding import encode_long, encode_utf8, encoder, field_encoders
from producer.avro_format import avro_json
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

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    BOOLEAN: st.booleans(),
    INT8: st.integers(-(2**7), 2**7 - 1),
    INT16: st.integers(-(2**15), 2**15 - 1),
    INT32: st.integers(-(2**31), 2**31 - 1),
    INT64: st.integers(-(2**63), 2**63 - 1),
    FLOAT32: st.floats(width=32, allow_nan=False),
    FLOAT64: st.floats(allow_nan=False),
    STRING: texts,
    BYTES: st.binary(max_size=20),
}
Typed = tuple[ConnectSchema, st.SearchStrategy[Any]]


@st.composite
def primitives(draw: st.DrawFn) -> Typed:
    kind = draw(st.sampled_from(sorted(VALUES)))
    values = VALUES[kind]
    default = draw(st.none() | values)
    name = draw(st.none() | st.just("io.debezium.data.Something"))
    return ConnectSchema(kind, name=name, default=default), values


@st.composite
def structs(draw: st.DrawFn, parts: st.SearchStrategy[Typed]) -> Typed:
    # A name for each, as no two records of a schema may share one.
    name = f"a.b{draw(st.uuids()).hex}.R"
    fields = draw(st.dictionaries(names, parts, max_size=5))
    schema = ConnectSchema(
        STRUCT, name=name, fields=tuple((field, child) for field, (child, _) in fields.items())
    )
    return schema, st.fixed_dictionaries({field: values for field, (_, values) in fields.items()})


@st.composite
def collections(draw: st.DrawFn, parts: st.SearchStrategy[Typed]) -> Typed:
    items, values = draw(parts)
    kind = draw(st.sampled_from(["array", "text map", "other map"]))
    if kind == "array":
        return ConnectSchema(ARRAY, items=items), st.lists(values, max_size=3)
    if kind == "text map":
        schema = ConnectSchema(MAP, keys=ConnectSchema(STRING), items=items)
        return schema, st.dictionaries(texts, values, max_size=3)
    name = f"a.m{draw(st.uuids()).hex}.Map"
    schema = ConnectSchema(MAP, name=name, keys=ConnectSchema(INT16), items=items)
    return schema, st.dictionaries(VALUES[INT16], values, max_size=3)


@st.composite
def maybe_optional(draw: st.DrawFn, parts: st.SearchStrategy[Typed]) -> Typed:
    schema, values = draw(parts)
    return (schema.as_optional(), st.none() | values) if draw(st.booleans()) else (schema, values)


def extended(parts: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    parts = maybe_optional(parts)
    return structs(parts) | collections(parts)


typed = maybe_optional(st.recursive(primitives(), extended, max_leaves=8))


def as_avro_has_it(schema: ConnectSchema, value: Any) -> Any:
    """Return the value with maps of other keys than texts as the arrays they are in Avro."""
    if value is None:
        return None
    if schema.type == STRUCT:
        return {name: as_avro_has_it(child, value[name]) for name, child in schema.fields}
    if schema.items is None:
        return value
    if schema.type == ARRAY:
        return [as_avro_has_it(schema.items, item) for item in value]
    items = {key: as_avro_has_it(schema.items, item) for key, item in value.items()}
    if schema.keys == ConnectSchema(STRING):
        return items
    return [{"key": key, "value": item} for key, item in items.items()]


def read(schema: ConnectSchema, written: bytes) -> Any:
    source = io.BytesIO(written)
    value = fastavro.schemaless_reader(
        source, fastavro.parse_schema(json.loads(avro_json(schema))), None
    )
    assert not source.read(), "there is more than the value"
    return value


@given(st.data())
def test_what_is_written_is_read_again(data: st.DataObject) -> None:
    schema, values = data.draw(typed)
    value = data.draw(values)
    assert read(schema, encoder(schema)(value)) == as_avro_has_it(schema, value)


@given(st.data())
def test_the_fields_of_a_struct_one_after_the_other_are_the_struct(data: st.DataObject) -> None:
    schema, values = data.draw(structs(maybe_optional(primitives())))
    value = data.draw(values)
    parts = [encode(value[name]) for name, encode in field_encoders(schema).items()]
    assert b"".join(parts) == encoder(schema)(value)


@given(st.data())
def test_a_value_of_another_schema_gives_a_value_error_or_bytes(data: st.DataObject) -> None:
    schema, _ = data.draw(typed)
    _, other_values = data.draw(typed)
    value = data.draw(other_values)
    with suppress(ValueError):
        assert isinstance(encoder(schema)(value), bytes)


@given(texts)
def test_text_in_utf8_is_the_string(text: str) -> None:
    assert encode_utf8(text.encode()) == encoder(ConnectSchema(STRING))(text)


@pytest.mark.parametrize(
    ("number", "written"),
    # The manual's own examples, and both sides of each length.
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (-2, "03"),
        (2, "04"),
        (-64, "7f"),
        (64, "8001"),
        (8191, "fe7f"),
        (-8192, "ff7f"),
        (8192, "808001"),
        (2**63 - 1, "feffffffffffffffff01"),
        (-(2**63), "ffffffffffffffffff01"),
    ],
)
def test_a_long_is_written_as(number: int, written: str) -> None:
    assert encode_long(number).hex() == written


ROW = ConnectSchema(
    STRUCT,
    name="a.Value",
    optional=True,
    fields=(
        ("id", ConnectSchema(INT32)),
        ("tags", ConnectSchema(ARRAY, items=ConnectSchema(STRING))),
        ("price", ConnectSchema(INT64, name="the.Price", optional=True)),
    ),
)
ENVELOPE = ConnectSchema(STRUCT, name="a.Envelope", fields=(("after", ROW),))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"tags": []}, "after.id is null and cannot be written as int32"),
        ({"id": 2**31, "tags": []}, "after.id is of type int and cannot be written as int32"),
        ({"id": "secret", "tags": []}, "after.id is of type str and cannot be written as int32"),
        ({"id": 1, "tags": ["a", 5]}, "after.tags is of type list and cannot be written as array"),
        (
            {"id": 1, "tags": [], "price": 2**63},
            "after.price is of type int and cannot be written as the.Price",
        ),
        (["secret"], "after is of type list and cannot be written as a.Value"),
    ],
)
def test_what_cannot_be_written_is_named_without_its_value(row: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        encoder(ENVELOPE)({"after": row})
