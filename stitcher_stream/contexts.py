"""Read the context that a `_bemi` message carries. Pure.

Whatever stands in the message, a value comes back: a context or the reason why there is
none. An application's broken context must not hold up anybody's changes.

The context is checked once and kept as the text it was sent as; a change embeds that text,
so a transaction of 200,000 rows does not write the same object 200,000 times. Rules may
replace values in it, and only those change.

A context may be signed: the message is then an envelope with the context's own text in it
(see `signatures`). The envelope is taken off, whether anybody checks it or not.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from stitcher_stream.json_text import Rule, append_member, replace_values
from stitcher_stream.name_patterns import name_pattern
from stitcher_stream.signatures import VERIFIED, Envelope, envelope_in, is_verified

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


@dataclass(frozen=True, slots=True)
class ContextRules:
    """What a context may be and what is done to it."""

    max_bytes: int = MAX_CONTEXT_BYTES
    keys: tuple[bytes, ...] = ()
    """What contexts may be signed with; with any, each context says whether it was."""
    redactions: tuple[Rule, ...] = ()


DEFAULT_RULES = ContextRules()


class ReadContext(NamedTuple):
    """What a message gives: its context, or none and why."""

    context: Context
    error: str | None


class _Unusable(ValueError):
    """Why a message gives no context."""


def read_context(
    content: object, rules: ContextRules = DEFAULT_RULES, transaction_id: object = None
) -> ReadContext:
    """Return the context in a logical message's content, which Debezium gives in base64.

    JSON that orjson does not take but the standard allows, lone surrogates above all, is
    kept as it is: whether to store it is the sink's question.
    """
    try:
        encoded = _decoded(content, rules.max_bytes)
        parsed = _parsed(encoded)
        envelope = envelope_in(parsed)
        if envelope is not None:
            encoded = envelope.signed
            parsed = _parsed(encoded)
        if rules.keys or VERIFIED in parsed:
            encoded = _with_verdict(encoded, parsed, envelope, rules.keys, transaction_id)
            parsed = _parsed(encoded)
        if rules.redactions:
            encoded = replace_values(encoded.decode(), rules.redactions).encode()
            parsed = _parsed(encoded)
    except _Unusable as error:
        return ReadContext(NO_CONTEXT, str(error))
    return ReadContext(Context(parsed, encoded), None)


def _decoded(content: object, max_bytes: int) -> bytes:
    if not isinstance(content, str):
        raise _Unusable("the content of its context message is not text")
    size = len(content) * 3 // 4 - content[-2:].count("=")
    if size > max_bytes:
        raise _Unusable(f"its context of {size} bytes is larger than the {max_bytes} allowed")
    try:
        return b64decode(content, validate=True)
    except ValueError:
        raise _Unusable("the content of its context message is not base64") from None


def _parsed(encoded: bytes) -> dict[str, Any]:
    # Depth is counted before parsing: the parsers themselves give up or recurse on it.
    if _may_nest_deeper(encoded) and _depth(encoded) > MAX_CONTEXT_DEPTH:
        raise _Unusable(f"its context nests deeper than {MAX_CONTEXT_DEPTH} levels")
    try:
        parsed = parse_json(encoded)
    except ValueError:
        raise _Unusable("its context is not valid JSON") from None
    if not isinstance(parsed, dict):
        raise _Unusable("its context is JSON, but not an object")
    return parsed


def _with_verdict(
    encoded: bytes,
    parsed: dict[str, Any],
    envelope: Envelope | None,
    keys: tuple[bytes, ...],
    transaction_id: object,
) -> bytes:
    """Return the context's text with the one true `_verified`; an application's own is replaced."""
    verdict = envelope is not None and is_verified(envelope, parsed, keys, transaction_id)
    text, value = encoded.decode(), "true" if verdict else "false"
    if VERIFIED in parsed:
        return replace_values(text, [Rule((_VERIFIED_NAME,), lambda _: value)]).encode()
    return append_member(text, VERIFIED, value).encode()


_VERIFIED_NAME = name_pattern(VERIFIED)


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
