"""What Debezium 3.6.1 wrote through an Avro converter: the same schemas here, the same bytes.

`debezium_avro.json` was recorded from a table of 27 columns, of all kinds and with defaults. Each
line has a subject, its schema as Connect's JsonConverter wrote it, the same schema as the
registry got it, and values without the five bytes before them.
"""

from __future__ import annotations

import io
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import fastavro
import pytest

from producer import envelope_schema
from producer.avro_encoding import encoder
from producer.avro_format import avro_json
from producer.connect_schema import BYTES, ConnectSchema, schema_node

RECORDED = {
    line["subject"]: line
    for line in json.loads(Path(__file__).with_name("debezium_avro.json").read_text())
}


def connect_schema(node: dict[str, Any]) -> ConnectSchema:
    default = node.get("default")
    items = node.get("items") or node.get("values")
    return ConnectSchema(
        node["type"],
        name=node.get("name"),
        version=node.get("version"),
        optional=node["optional"],
        doc=node.get("doc"),
        parameters=tuple(node.get("parameters", {}).items()),
        default=b64decode(default) if default and node["type"] == BYTES else default,
        fields=tuple((field["field"], connect_schema(field)) for field in node.get("fields", ())),
        items=connect_schema(items) if items else None,
        keys=connect_schema(node["keys"]) if "keys" in node else None,
    )


def without_logical_types(schema: Any) -> Any:
    """Return the schema for reading plain numbers and bytes instead of Python's dates."""
    if isinstance(schema, dict):
        return {
            name: without_logical_types(part)
            for name, part in schema.items()
            if name != "logicalType"
        }
    return [without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


def decode(avro: str, value: bytes) -> Any:
    parsed = fastavro.parse_schema(without_logical_types(json.loads(avro)))
    return fastavro.schemaless_reader(io.BytesIO(value), parsed, None)


@pytest.mark.parametrize("subject", RECORDED)
def test_the_avro_schema_is_the_one_in_debeziums_registry(subject: str) -> None:
    recorded = RECORDED[subject]
    schema = connect_schema(recorded["connect"])

    assert schema_node(schema) == recorded["connect"]
    assert avro_json(schema) == recorded["avro"]


@pytest.mark.parametrize("subject", RECORDED)
def test_a_value_is_written_with_the_bytes_debezium_wrote(subject: str) -> None:
    recorded = RECORDED[subject]
    encode = encoder(connect_schema(recorded["connect"]))

    for written in map(bytes.fromhex, recorded["records"]):
        assert encode(decode(recorded["avro"], written)) == written


def test_the_schemas_of_all_but_the_rows_are_debeziums() -> None:
    ours = {
        "shop.transaction-key": envelope_schema.TRANSACTION_KEY,
        "shop.transaction-value": envelope_schema.TRANSACTION_VALUE,
        "shop.message-key": envelope_schema.MESSAGE_KEY,
        "shop.message-value": envelope_schema.message_value(ConnectSchema(BYTES)),
        "__debezium-heartbeat.shop-key": envelope_schema.HEARTBEAT_KEY,
        "__debezium-heartbeat.shop-value": envelope_schema.HEARTBEAT_VALUE,
    }
    for subject, schema in ours.items():
        assert schema_node(schema) == RECORDED[subject]["connect"]


def test_the_schemas_of_a_table_are_debeziums_around_its_columns() -> None:
    recorded = connect_schema(RECORDED["shop.public.todo-value"]["connect"])
    columns = dict(recorded.fields)["after"].fields
    topic = "shop.public.todo"
    row = envelope_schema.row_schema(f"{topic}.Value", columns)
    key = envelope_schema.key_schema(f"{topic}.Key", columns[:1])

    assert envelope_schema.envelope_schema(f"{topic}.Envelope", row) == recorded
    assert schema_node(key) == RECORDED["shop.public.todo-key"]["connect"]
