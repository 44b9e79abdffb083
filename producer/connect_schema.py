"""Kafka Connect's schemas, in which Debezium describes its records. Pure.

A schema node says how a value is written: in JSON by Connect's JsonConverter, in Avro by
`avro_format`. Values are plain Python: bool, int, float, str, bytes, list, dict; a struct is a
dict by field name, a map a dict.

Shape: Kafka Connect's `Schema` and JsonConverter (connect-api, connect-json).
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

# The words are those of Connect's JSON schemas.
BOOLEAN: Final = "boolean"
INT8: Final = "int8"
INT16: Final = "int16"
INT32: Final = "int32"
INT64: Final = "int64"
FLOAT32: Final = "float"
FLOAT64: Final = "double"
STRING: Final = "string"
BYTES: Final = "bytes"
ARRAY: Final = "array"
MAP: Final = "map"
STRUCT: Final = "struct"


@dataclass(frozen=True, slots=True)
class ConnectSchema:
    """One node of a schema."""

    type: str
    name: str | None = None
    version: int | None = None
    optional: bool = False
    doc: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    default: Any = None
    """A value of the schema; None is no default."""
    fields: tuple[tuple[str, ConnectSchema], ...] = ()
    items: ConnectSchema | None = None
    """The elements of an array, the values of a map."""
    keys: ConnectSchema | None = None

    def as_optional(self) -> ConnectSchema:
        """Return the same schema for a value that may be null."""
        return self if self.optional else replace(self, optional=True)


def json_value(schema: ConnectSchema, value: Any) -> Any:
    """Return the value as JsonConverter hands it to JSON: bytes as base64, NaN by name.

    A str is itself whatever the schema: a placeholder may stand where another value would.
    """
    if value is None or isinstance(value, str):
        return value
    kind = schema.type
    if kind == BYTES:
        return b64encode(value).decode()
    if kind in (FLOAT32, FLOAT64):
        return json_float(value)
    if kind == STRUCT:
        return {name: json_value(field, value.get(name)) for name, field in schema.fields}
    if kind == ARRAY and schema.items is not None:
        items = schema.items
        # A list inside is one more dimension of the array, which no schema tells of.
        deeper = items if items.type == ARRAY else schema
        return [json_value(deeper if isinstance(item, list) else items, item) for item in value]
    if kind == MAP and schema.items is not None:
        if schema.keys is not None and schema.keys.type != STRING:
            keys = schema.keys
            return [[json_value(keys, k), json_value(schema.items, v)] for k, v in value.items()]
        return {k: json_value(schema.items, v) for k, v in value.items()}
    return value


def encode_json(schema: ConnectSchema, value: Any) -> bytes:
    """Return the value as JsonConverter writes it, without its schema."""
    return orjson.dumps(json_value(schema, value))


def schema_node(schema: ConnectSchema, field: str | None = None) -> dict[str, Any]:
    """Return the schema as JsonConverter writes it with `schemas.enable`."""
    node: dict[str, Any] = {"type": schema.type}
    if schema.type == STRUCT:
        node["fields"] = [schema_node(child, name) for name, child in schema.fields]
    elif schema.type == ARRAY and schema.items is not None:
        node["items"] = schema_node(schema.items)
    elif schema.type == MAP and schema.items is not None and schema.keys is not None:
        node["keys"] = schema_node(schema.keys)
        node["values"] = schema_node(schema.items)
    node["optional"] = schema.optional
    if schema.name is not None:
        node["name"] = schema.name
    if schema.version is not None:
        node["version"] = schema.version
    if schema.doc is not None:
        node["doc"] = schema.doc
    if schema.parameters:
        node["parameters"] = dict(schema.parameters)
    if schema.default is not None:
        node["default"] = json_value(schema, schema.default)
    if field is not None:
        node["field"] = field
    return node


_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def json_float(number: float) -> float | str:
    """Return the number, or the name JsonConverter gives one that JSON lacks."""
    return number if number - number == 0 else _NOT_FINITE[str(number)]
