"""Read and write a stitched change as Avro, by `change.avsc`.

The record alone, without container or registry framing; who needs those puts them around it.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any, cast
from uuid import UUID

import fastavro

from schemas.change import Change

_JSON_FIELDS = ("before", "after", "context")
_TIME_FIELDS = ("committed_at", "queued_at")


@cache
def change_schema() -> Any:
    """Return the parsed schema of a change."""
    return fastavro.parse_schema(json.loads(files("schemas").joinpath("change.avsc").read_text()))


def encode_change(change: Change) -> bytes:
    """Return the change as one Avro record."""
    record: dict[str, Any] = dict(change)
    record["id"] = UUID(record["id"])
    for name in _JSON_FIELDS:
        record[name] = json.dumps(record[name], ensure_ascii=False, separators=(",", ":"))
    for name in _TIME_FIELDS:
        record[name] = datetime.fromisoformat(record[name].replace("Z", "+00:00"))
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, change_schema(), record, strict=True)
    return buffer.getvalue()


def decode_change(encoded: bytes) -> Change:
    """Return the change that `encode_change` wrote."""
    record = cast(
        "dict[str, Any]", fastavro.schemaless_reader(BytesIO(encoded), change_schema(), None)
    )
    record["id"] = str(record["id"])
    for name in _JSON_FIELDS:
        record[name] = json.loads(record[name])
    for name in _TIME_FIELDS:
        record[name] = record[name].isoformat(timespec="microseconds").replace("+00:00", "Z")
    return cast("Change", record)
