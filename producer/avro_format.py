"""Say in Avro's words what a Connect schema says. Pure.

The result is what Confluent's AvroData makes of the schema, property for property and in its
order, printed as Avro's Java library prints it: a registry that has the schema from Debezium
finds the same one. `avro_encoding` writes the values.

Two defaults are left out, because Avro has no form for them: that of a struct, which Debezium
does not have either, and NaN or an infinity, with whose name registries refuse the schema.

Shape: Confluent's `AvroData` (kafka-connect-avro-data); Apache Avro 1.12, "Schema Declaration".
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

import orjson

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
from producer.name_adjustment import is_field_name, is_full_name
from runtime.errors import Stop

NAMESPACE: Final = "io.confluent.connect.avro"
"""Where AvroData puts records that Connect has no name for."""

DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"
DEFAULT_PRECISION: Final = 64

_PRIMITIVES: Final = {
    BOOLEAN: "boolean",
    INT8: "int",
    INT16: "int",
    INT32: "int",
    INT64: "long",
    FLOAT32: "float",
    FLOAT64: "double",
    STRING: "string",
    BYTES: "bytes",
}
_LOGICAL_TYPES: Final = {
    "org.apache.kafka.connect.data.Date": "date",
    "org.apache.kafka.connect.data.Time": "time-millis",
    "org.apache.kafka.connect.data.Timestamp": "timestamp-millis",
}


class UnusableName(Stop):
    """Avro does not take a name; set schema.name.adjustment.mode or field.name.adjustment.mode."""


class ConflictingSchemas(Stop):
    """Two different schemas in one record have the same name, which Avro does not allow."""


def avro_schema(schema: ConnectSchema) -> Any:
    """Return the Avro schema as JSON has it: a name, an object or a list.

    Raises UnusableName or ConflictingSchemas.
    """
    return _Translation().node(schema, "")


def avro_json(schema: ConnectSchema) -> str:
    """Return the Avro schema as text, the way Avro's Java library prints it."""
    return orjson.dumps(avro_schema(schema)).decode()


class _Translation:
    """The translation of one schema; a record is written out where it comes first."""

    def __init__(self) -> None:
        self._records: dict[str, ConnectSchema] = {}

    def node(self, schema: ConnectSchema, namespace: str) -> Any:
        """Return the schema where names without a dot are in the namespace."""
        translated = self._required(schema, namespace)
        if not schema.optional:
            return translated
        # The default of a union is one of its first branch.
        return ["null", translated] if default_of(schema) is None else [translated, "null"]

    def _required(self, schema: ConnectSchema, namespace: str) -> Any:
        kind = schema.type
        if kind == STRUCT:
            name = schema.name or f"{NAMESPACE}.ConnectDefault"
            return self._record(name, schema, schema.fields, _properties(schema), namespace)
        if kind == ARRAY:
            node = {"type": "array", "items": self.node(items_of(schema), namespace)}
        elif kind == MAP and _has_textkeys_of(schema):
            node = {"type": "map", "values": self.node(items_of(schema), namespace)}
        elif kind == MAP:
            node = {"type": "array", "items": self._map_entry(schema, namespace)}
        else:
            node = {"type": _PRIMITIVES[kind]}
            if schema.name == DECIMAL:
                node |= _decimal(schema)
        node |= _properties(schema)
        if schema.name == DECIMAL:
            # Avro allows no scale beyond the precision; Debezium's schemas have it all the same.
            node["logicalType"] = "decimal"
        elif schema.name in _LOGICAL_TYPES:
            node["logicalType"] = _LOGICAL_TYPES[schema.name]
        return node["type"] if len(node) == 1 else node

    def _map_entry(self, schema: ConnectSchema, namespace: str) -> Any:
        fields = (("key", keys_of(schema)), ("value", items_of(schema)))
        if schema.name is None:
            return self._record(f"{NAMESPACE}.MapEntry", schema, fields, {}, namespace)
        internal_type = {"connect.internal.type": "MapEntry"}
        return self._record(schema.name, schema, fields, internal_type, namespace)

    def _record(
        self,
        full_name: str,
        schema: ConnectSchema,
        fields: tuple[tuple[str, ConnectSchema], ...],
        properties: dict[str, Any],
        enclosing: str,
    ) -> Any:
        namespace, _, name = full_name.rpartition(".")
        definition = ConnectSchema(schema.type, fields=fields)
        known = self._records.setdefault(full_name, definition)
        if known is not definition:
            if known != definition:
                raise ConflictingSchemas(
                    f"{full_name} stands for two different records in one schema; "
                    "Avro allows one, so one of the columns has to be left out or converted"
                )
            return name if namespace == enclosing else full_name
        if not is_full_name(full_name):
            raise UnusableName(
                f"Avro does not take the schema name {full_name!r}; "
                "set schema.name.adjustment.mode to avro or avro_unicode"
            )
        node: dict[str, Any] = {"type": "record", "name": name}
        if namespace != enclosing:
            node["namespace"] = namespace
        node["fields"] = [
            self._field(full_name, field, child, namespace) for field, child in fields
        ]
        return node | properties

    def _field(
        self, record: str, name: str, schema: ConnectSchema, namespace: str
    ) -> dict[str, Any]:
        if not is_field_name(name):
            raise UnusableName(
                f"Avro does not take the field name {name!r} of {record}; "
                "set field.name.adjustment.mode to avro or avro_unicode"
            )
        field = {"name": name, "type": self.node(schema, namespace)}
        default = default_of(schema)
        if default is not None:
            field["default"] = _default_json(schema, default)
        elif schema.optional:
            field["default"] = None
        return field


def items_of(schema: ConnectSchema) -> ConnectSchema:
    assert schema.items is not None, "arrays and maps have items"  # noqa: S101
    return schema.items


def keys_of(schema: ConnectSchema) -> ConnectSchema:
    return schema.keys or ConnectSchema(STRING)


def _has_textkeys_of(schema: ConnectSchema) -> bool:
    keys = keys_of(schema)
    return keys.type == STRING and not keys.optional


def _decimal(schema: ConnectSchema) -> dict[str, Any]:
    parameters = dict(schema.parameters)
    precision = int(parameters.get("connect.decimal.precision", DEFAULT_PRECISION))
    return {"scale": int(parameters["scale"]), "precision": precision}


def _properties(schema: ConnectSchema) -> dict[str, Any]:
    """Return what Avro has no word for, in AvroData's words and order."""
    properties: dict[str, Any] = {}
    if schema.doc is not None:
        properties["connect.doc"] = schema.doc
    if schema.version is not None:
        properties["connect.version"] = schema.version
    if schema.parameters:
        properties["connect.parameters"] = dict(schema.parameters)
    default = default_of(schema)
    if default is not None:
        properties["connect.default"] = _default_json(schema, default)
    if schema.name is not None:
        properties["connect.name"] = schema.name
    if schema.type in (INT8, INT16):
        properties["connect.type"] = schema.type
    return properties


def default_of(schema: ConnectSchema) -> Any:
    """Return the default that Avro can have: no struct, as in Debezium, and no NaN."""
    default = schema.default
    if schema.type == STRUCT or (isinstance(default, float) and not isfinite(default)):
        return None
    return default


def _default_json(schema: ConnectSchema, value: Any) -> Any:
    if value is None:
        return None
    if schema.type == BYTES:
        # Avro's own rule: each byte is the character of that code.
        return value.decode("latin-1")
    if schema.type == STRUCT:
        return {name: _default_json(child, value.get(name)) for name, child in schema.fields}
    if schema.type == ARRAY:
        return [_default_json(items_of(schema), item) for item in value]
    if schema.type == MAP and _has_textkeys_of(schema):
        return {key: _default_json(items_of(schema), item) for key, item in value.items()}
    if schema.type == MAP:
        pairs = value.items()
        return [
            {
                "key": _default_json(keys_of(schema), key),
                "value": _default_json(items_of(schema), item),
            }
            for key, item in pairs
        ]
    return value
