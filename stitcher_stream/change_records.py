"""Write a stitched change as a record of `.changes`, and a record put aside. Pure.

The value has the fields of schemas.change in their order, in JSON or in Avro. Numbers stand as
they came: integers of 64 bits exactly, floats in their shortest form.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import orjson

from schemas import avro
from schemas.change import Change
from stitcher_stream.contexts import NO_CONTEXT, Context
from stitcher_stream.errors import MalformedChange
from stitcher_stream.stitch import WalRecord

TOO_LARGE_WITH_CONTEXT = "with its context the change is larger than a record may be"

STAGE = b"stitcher_stream"

Encode = Callable[[Change], bytes]
"""Returns the value of a record of `.changes`. Raises MalformedChange."""


def change_key(change: Change) -> bytes:
    """Return the row's identity: `[schema, table, primary_key]` as JSON.

    All changes of a row have the same key, so a consumer may compact or group by it.
    """
    identity = [change["schema"], change["table"], change["primary_key"]]
    try:
        return orjson.dumps(identity)
    except TypeError:
        return json.dumps(identity, separators=(",", ":")).encode()


def encode_change(change: Change) -> bytes:
    """Return the change as JSON.

    Raises MalformedChange where it holds what JSON cannot.
    """
    try:
        return orjson.dumps(change, _embed, orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError:
        return _encode_slowly(change)


def avro_encoder(header: bytes) -> Encode:
    """Return what writes changes as Avro, each behind the header (see schemas.avro)."""

    def encode(change: Change) -> bytes:
        context = change["context"]
        fields = dict(change)
        if isinstance(context, Context):
            fields["context"] = context.encoded.decode()
        try:
            return avro.encode_change(cast("Change", fields), header)
        except (ValueError, RecursionError) as error:
            raise MalformedChange(
                f"a change that cannot be written as Avro: {type(error).__name__}"
            ) from error

    return encode


def encode_within(change: Change, max_bytes: int, encode: Encode = encode_change) -> bytes:
    """Return the record's value, without the context where it would be too large with it.

    It may still be larger than `max_bytes`: a row that large came in a record that large.
    """
    value = encode(change)
    if len(value) > max_bytes and change["context"]:
        return encode({**change, "context": NO_CONTEXT, "context_error": TOO_LARGE_WITH_CONTEXT})
    return value


def dead_letter_headers(
    record: WalRecord, topic: str, partition: int, reason: str
) -> list[tuple[str, str | bytes | None]]:
    """Return what is put beside the raw record: why, by whom, where it stood, its headers."""
    return [
        ("reason", reason.encode()),
        ("stage", STAGE),
        ("origin_topic", topic.encode()),
        ("origin_partition", b"%d" % partition),
        ("origin_offset", b"%d" % record.offset),
        *record.headers,
    ]


def _embed(value: object) -> orjson.Fragment:
    if isinstance(value, Context):
        return value.fragment
    raise TypeError(f"no JSON for {type(value).__name__}")


def _encode_slowly(change: Change) -> bytes:
    """Write what orjson refuses: lone surrogates as escapes, and deep nesting."""
    fields: dict[str, Any] = dict(change)
    try:
        parts = [
            b'"%s":%s'
            % (
                name.encode(),
                value.encoded
                if isinstance(value, Context)
                else json.dumps(value, allow_nan=False, separators=(",", ":")).encode(),
            )
            for name, value in fields.items()
        ]
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedChange(
            f"a change that cannot be written as JSON: {type(error).__name__}"
        ) from error
    return b"{" + b",".join(parts) + b"}"
