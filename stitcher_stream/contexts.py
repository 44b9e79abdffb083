"""Read the context that a `_bemi` message carries. Pure.

Whatever stands in the message, a value comes back: a context or the reason why there is
none. An application's broken context must not hold up anybody's changes.

The context is checked once and kept as the text it was sent as; a change embeds that text,
so a transaction of 200,000 rows does not write the same object 200,000 times.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, NamedTuple

import orjson

MAX_CONTEXT_BYTES = 1_000_000

MAX_CONTEXT_DEPTH = 100
"""How deep objects and lists may nest. orjson reads 1024 levels and other readers fewer;
a context is a flat thing, and one that nests deeper was made to break a reader."""


class Context(dict[str, Any]):
    """A context as an object and as the JSON text it was sent as; never changed once made."""

    __slots__ = ("encoded", "fragment")

    def __init__(self, parsed: dict[str, Any], encoded: bytes) -> None:
        super().__init__(parsed)
        self.encoded = encoded
        self.fragment = orjson.Fragment(encoded)


NO_CONTEXT = Context({}, b"{}")


class ReadContext(NamedTuple):
    """What a message gives: its context, or none and why."""

    context: Context
    error: str | None


def read_context(content: object, max_bytes: int = MAX_CONTEXT_BYTES) -> ReadContext:
    """Return the context in a logical message's content, which Debezium gives in base64.

    JSON that orjson does not take but the standard allows, lone surrogates above all, is
    kept as it is: whether to store it is the sink's question.
    """
    if not isinstance(content, str):
        return _none("the content of its context message is not text")
    size = len(content) * 3 // 4 - content[-2:].count("=")
    if size > max_bytes:
        return _none(f"its context of {size} bytes is larger than the {max_bytes} allowed")
    try:
        encoded = b64decode(content, validate=True)
    except ValueError:
        return _none("the content of its context message is not base64")
    # Depth is counted before parsing: the parsers themselves give up or recurse on it.
    if _may_nest_deeper(encoded) and _depth(encoded) > MAX_CONTEXT_DEPTH:
        return _none(f"its context nests deeper than {MAX_CONTEXT_DEPTH} levels")
    try:
        parsed = parse_json(encoded)
    except ValueError:
        return _none("its context is not valid JSON")
    if not isinstance(parsed, dict):
        return _none("its context is JSON, but not an object")
    return ReadContext(Context(parsed, encoded), None)


def parse_json(encoded: bytes) -> object:
    """Return what the JSON text says, also where it holds lone surrogates.

    Raises ValueError for anything that is not JSON in UTF-8, and for what no JSON reader
    can be expected to hold.
    """
    try:
        return orjson.loads(encoded)
    except ValueError:
        pass
    try:
        parsed: object = json.loads(encoded.decode(), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return parsed


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _none(reason: str) -> ReadContext:
    return ReadContext(NO_CONTEXT, reason)


def _may_nest_deeper(encoded: bytes) -> bool:
    return encoded.count(b"{") + encoded.count(b"[") > MAX_CONTEXT_DEPTH


def _depth(encoded: bytes) -> int:
    """Return how deep the text nests, brackets inside strings left out."""
    depth = deepest = 0
    in_string = escaped = False
    for byte in encoded:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest
