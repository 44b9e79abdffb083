"""Read and write a stitched change as Avro, by `change.avsc`. Pure.

A record of `.changes` begins in one of two ways, and the record itself follows:

- a zero and the schema's id in four bytes, where a schema registry gave one (Confluent, "Wire
  format");
- C3 01 and the schema's fingerprint in eight bytes, where there is none (Avro specification,
  "Single-object encoding").

A record that begins with `{` is JSON, so a topic may change its format in the middle.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Any, cast

import fastavro
import orjson
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.change import Change

REGISTRY_MARK = b"\x00"
SINGLE_OBJECT_MARK = b"\xc3\x01"
AVRO_MARKS = (REGISTRY_MARK, SINGLE_OBJECT_MARK[:1])
"""The first byte of a record in Avro; JSON in UTF-8 begins with none of them."""

_REGISTRY_HEADER_BYTES = 5
_SINGLE_OBJECT_HEADER_BYTES = 10
_JSON_FIELDS = ("before", "after", "context")
_TIME_FIELDS = ("committed_at", "queued_at")
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@cache
def schema_text() -> str:
    """Return the schema of a change as it is registered."""
    return files("schemas").joinpath("change.avsc").read_text()


@cache
def change_schema() -> Any:
    """Return the parsed schema of a change."""
    return fastavro.parse_schema(json.loads(schema_text()))


@cache
def single_object_header() -> bytes:
    """Return what a record begins with where no registry gave the schema an id."""
    canonical = to_parsing_canonical_form(json.loads(schema_text()))
    # fastavro writes the number's bytes from the lowest on, as they are to stand here.
    return SINGLE_OBJECT_MARK + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


def registry_header(schema_id: int) -> bytes:
    """Return what a record begins with whose schema has this id in the registry."""
    return REGISTRY_MARK + schema_id.to_bytes(_REGISTRY_HEADER_BYTES - 1, "big")


def encode_change(change: Change, header: bytes = b"") -> bytes:
    """Return the change as one Avro record behind the header.

    `before`, `after` and `context` may be given as JSON text instead of objects, and stand there
    as they are given. Raises ValueError for what the schema cannot hold.
    """
    record: dict[str, Any] = dict(change)
    buffer = BytesIO(header)
    buffer.seek(len(header))
    try:
        for name in _JSON_FIELDS:
            if not isinstance(record[name], str):
                record[name] = _json_text(record[name])
        for name in _TIME_FIELDS:
            record[name] = _microseconds(record[name])
        fastavro.schemaless_writer(buffer, _plain_schema(), record)
    except (TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"a change that Avro cannot hold: {type(error).__name__}") from error
    return buffer.getvalue()


def decode_change(encoded: bytes) -> Change:
    """Return the change that `encode_change` wrote without a header. Raises ValueError."""
    fields = _fields(encoded)
    for name in _JSON_FIELDS:
        fields[name] = json.loads(fields[name])
    return cast("Change", fields)


def as_json(value: bytes) -> bytes:
    """Return a record in Avro as the record in JSON that the stitcher would have written.

    Raises ValueError, without any value of the record, where it is neither of the two forms.
    """
    if value[:1] == REGISTRY_MARK:
        fields = _fields(value[_REGISTRY_HEADER_BYTES:])
    elif value.startswith(single_object_header()):
        fields = _fields(value[_SINGLE_OBJECT_HEADER_BYTES:])
    else:
        raise ValueError("the record is Avro of another schema than schemas/change.avsc")
    parts = [
        f'"{name}":{field if name in _JSON_FIELDS else _json_text(field)}'
        for name, field in fields.items()
    ]
    return f"{{{','.join(parts)}}}".encode()


@cache
def _plain_schema() -> Any:
    """Return the schema without its logical types: the same bytes, and no objects made for them."""
    schema = json.loads(schema_text())
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = field["type"]["type"]
    return fastavro.parse_schema(schema)


def _fields(encoded: bytes) -> dict[str, Any]:
    buffer = BytesIO(encoded)
    try:
        fields = cast("dict[str, Any]", fastavro.schemaless_reader(buffer, _plain_schema(), None))
        for name in _TIME_FIELDS:
            fields[name] = _time_text(fields[name])
    # The reader raises what it happens to meet.
    except Exception as error:
        raise ValueError(f"the record is not Avro of a change: {type(error).__name__}") from error
    if buffer.read(1):
        raise ValueError("the record is not Avro of a change: something follows it")
    return fields


def _json_text(value: object) -> str:
    try:
        return orjson.dumps(value, None, orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError:
        # Lone surrogates as escapes, and integers of any length.
        return json.dumps(value, allow_nan=False, separators=(",", ":"))


@lru_cache(maxsize=1024)
def _microseconds(time: str) -> int:
    return (datetime.fromisoformat(time.replace("Z", "+00:00")) - _UNIX_EPOCH) // timedelta(
        microseconds=1
    )


@lru_cache(maxsize=1024)
def _time_text(microseconds: int) -> str:
    time = _UNIX_EPOCH + timedelta(microseconds=microseconds)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
