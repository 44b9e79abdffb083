"""Read and write a stitched change as Avro, by `change.avsc`. Pure.

A record of `.changes` begins in one of two ways, and the record itself follows:

- a zero and the schema's id in four bytes, where a schema registry gave one (Confluent, "Wire
  format");
- C3 01 and the schema's fingerprint in eight bytes, where there is none (Avro specification,
  "Single-object encoding").

A record that begins with `{` is JSON, so a topic may change its format in the middle.

A newer version of the schema only adds fields, with a default, behind those there are; every
version that was released stands in `released/`, and a test holds the rule. So a record of an older
version is read whole, with the defaults, and of a newer one the part that is known: stages may be
updated in any order. Other readers use Avro's schema resolution, which the rule suits, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Any, Final, NamedTuple, cast

import fastavro
import orjson
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.change import Change

REGISTRY_MARK = b"\x00"
SINGLE_OBJECT_MARK = b"\xc3\x01"
AVRO_MARKS = (REGISTRY_MARK, SINGLE_OBJECT_MARK[:1])
"""The first byte of a record in Avro; JSON in UTF-8 begins with none of them."""

NAME: Final = "change.avsc"
_REGISTRY_HEADER_BYTES = 5
_SINGLE_OBJECT_HEADER_BYTES = 10
_JSON_FIELDS = ("before", "after", "context")
_TIME_FIELDS = ("committed_at", "queued_at")
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@cache
def schema_text() -> str:
    """Return the schema of a change as it is registered."""
    return files("schemas").joinpath(NAME).read_text()


@cache
def released_schemas() -> tuple[str, ...]:
    """Return the schemas of the versions that were released, the oldest first."""
    folder = files("schemas").joinpath("released")
    names = sorted((f.name for f in folder.iterdir()), key=lambda name: (len(name), name))
    return tuple(folder.joinpath(name).read_text() for name in names)


@cache
def change_schema() -> Any:
    """Return the parsed schema of a change."""
    return fastavro.parse_schema(json.loads(schema_text()))


@cache
def single_object_header() -> bytes:
    """Return what a record begins with where no registry gave the schema an id."""
    return SINGLE_OBJECT_MARK + _fingerprint(schema_text())


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
        fastavro.schemaless_writer(buffer, _plain(schema_text()), record)
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
        fields = _versions().read(value[_REGISTRY_HEADER_BYTES:])
    elif value.startswith(SINGLE_OBJECT_MARK):
        mark = len(SINGLE_OBJECT_MARK)
        fields = _versions().read(
            value[_SINGLE_OBJECT_HEADER_BYTES:], value[mark:_SINGLE_OBJECT_HEADER_BYTES]
        )
    else:
        raise ValueError("the record is not Avro of a change")
    parts = [
        f'"{name}":{field if name in _JSON_FIELDS else _json_text(field)}'
        for name, field in fields.items()
    ]
    return f"{{{','.join(parts)}}}".encode()


class _Version(NamedTuple):
    fingerprint: bytes
    schema: Any


class ChangeVersions:
    """The versions of a change's schema, the present one last."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._newest_first = [_Version(_fingerprint(text), _plain(text)) for text in texts[::-1]]
        self._defaults = {
            field["name"]: field["default"]
            for field in json.loads(texts[-1])["fields"]
            if "default" in field
        }

    def read(self, encoded: bytes, fingerprint: bytes | None = None) -> dict[str, Any]:
        """Return the fields of the present version, times as text.

        Which version wrote the record, its fingerprint tells, or else its length: what an older
        one wrote ends before a newer one is through. Raises ValueError for what is no change.
        """
        known = [version for version in self._newest_first if version.fingerprint == fingerprint]
        problem = ValueError("the record is not Avro of a change")
        for version in known or self._newest_first:
            try:
                fields, is_whole = _read(encoded, version.schema)
            except ValueError as error:
                problem = error
                continue
            # More than the present version has is a newer one's; more than an older one, nobody's.
            if is_whole or (not known and version is self._newest_first[0]):
                return {**fields, **{n: d for n, d in self._defaults.items() if n not in fields}}
            problem = ValueError("the record is not Avro of a change: something follows it")
        raise problem


@cache
def _versions() -> ChangeVersions:
    present = _fingerprint(schema_text())
    older = [text for text in released_schemas() if _fingerprint(text) != present]
    return ChangeVersions([*older, schema_text()])


@lru_cache(maxsize=32)
def _fingerprint(text: str) -> bytes:
    """Return what the single-object encoding names the schema by, the lowest byte first."""
    canonical = to_parsing_canonical_form(json.loads(text))
    return bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


@lru_cache(maxsize=32)
def _plain(text: str) -> Any:
    """Return the schema without its logical types: the same bytes, and no objects made for them."""
    schema = json.loads(text)
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = field["type"]["type"]
    return fastavro.parse_schema(schema)


def _fields(encoded: bytes) -> dict[str, Any]:
    fields, is_whole = _read(encoded, _plain(schema_text()))
    if not is_whole:
        raise ValueError("the record is not Avro of a change: something follows it")
    return fields


def _read(encoded: bytes, schema: Any) -> tuple[dict[str, Any], bool]:
    """Return a record's fields, and whether nothing follows them."""
    buffer = BytesIO(encoded)
    try:
        fields = cast("dict[str, Any]", fastavro.schemaless_reader(buffer, schema, None))
        for name in _TIME_FIELDS:
            fields[name] = _time_text(fields[name])
    # The reader raises what it happens to meet.
    except Exception as error:
        raise ValueError(f"the record is not Avro of a change: {type(error).__name__}") from error
    return fields, not buffer.read(1)


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
