"""Make Avro records readable, their schemas with them. Edge: asks the registry.

The form is that of JsonConverter with schemas, so that both formats are compared alike.
"""

from __future__ import annotations

import io
import json
import struct
from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

from fastavro import parse_schema, schemaless_reader

from tests.differential.records import Record

_MAGIC = b"\x00"


class AvroReader:
    """Reads what was written in Confluent's wire format with schemas of one registry."""

    def __init__(self, registry_url: str) -> None:
        self._url = registry_url
        self._schemas: dict[int, tuple[Any, Any]] = {}

    def readable(self, record: Record) -> Record:
        """Return the record with JSON as its key, value and headers."""
        return replace(record, key=self._json(record.key), value=self._json(record.value))

    def _json(self, content: bytes | None) -> bytes | None:
        if content is None or content[:1] != _MAGIC:
            return content
        written, parsed = self._schema(struct.unpack(">I", content[1:5])[0])
        stream = io.BytesIO(content[5:])
        value = schemaless_reader(stream, parsed, None)
        assert not stream.read(), "bytes are left behind the value"
        return json.dumps({"schema": written, "payload": _plain(value)}).encode()

    def _schema(self, schema_id: int) -> tuple[Any, Any]:
        """Return the schema as it was registered, and the same for reading plain values."""
        if schema_id not in self._schemas:
            address = f"{self._url}/schemas/ids/{schema_id}"
            with urlopen(address, timeout=20) as answer:  # noqa: S310 - the tests' own registry.
                written = json.loads(json.load(answer)["schema"])
            self._schemas[schema_id] = written, parse_schema(_without_logical_types(written))
        return self._schemas[schema_id]


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {name: child for name, child in node.items() if name != "logicalType"}
        return {name: _without_logical_types(child) for name, child in kept.items()}
    if isinstance(node, list):
        return [_without_logical_types(child) for child in node]
    return node


def _plain(value: Any) -> Any:
    """Return what JSON can hold: bytes as base64, floats that are no number by name."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return value
