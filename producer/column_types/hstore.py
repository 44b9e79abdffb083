"""hstore in hstore.handling.mode: JSON in a string, or a map. Pure.

Both have their keys in the order of a Java HashMap, as Debezium's have, so that consumers
who compare texts see no difference.
"""

from __future__ import annotations

import re
from typing import Final

from orjson import dumps

from producer.column_types.column_type import ColumnType, ValueModes
from producer.column_types.strings import string_schema
from producer.connect_schema import MAP, STRING, ConnectSchema

Pairs = dict[str, "str | None"]

_pair = re.compile(
    rb'"(?P<key>(?:[^"\\]|\\.)*)"=>(?:"(?P<value>(?:[^"\\]|\\.)*)"|NULL)(?P<more>, )?', re.DOTALL
)
_escape = re.compile(rb"\\(.)", re.DOTALL)

_MAP_SCHEMA: Final = ConnectSchema(
    MAP, keys=ConnectSchema(STRING), items=ConnectSchema(STRING, optional=True)
)
_SMALLEST_TABLE: Final = 16
_LOAD: Final = 0.75


def hstore_type(modes: ValueModes) -> ColumnType:
    """Return the type of hstore."""
    placeholder = modes.unavailable_text
    unavailable: Pairs = {placeholder: placeholder}
    if modes.hstore_handling_mode == "map":
        return ColumnType(_MAP_SCHEMA, _parse_map, lambda t: dumps(_parse_map(t)), unavailable)

    def parse(text: bytes) -> str:
        return dumps(_parse_map(text)).decode()

    return ColumnType(
        string_schema("io.debezium.data.Json"),
        parse,
        lambda text: dumps(parse(text)),
        dumps(unavailable).decode(),
    )


def _parse_map(text: bytes) -> Pairs:
    return in_java_order(parse_pairs(text))


def parse_pairs(text: bytes) -> Pairs:
    """Return the keys and values of an hstore's text."""
    pairs: Pairs = {}
    at = 0
    expects_more = False
    while at < len(text) or expects_more:
        match = _pair.match(text, at)
        if match is None or (match.end() < len(text) and not match["more"]):
            raise ValueError("no hstore")
        pairs[_unescaped(match["key"])] = (
            None if match["value"] is None else _unescaped(match["value"])
        )
        at = match.end()
        expects_more = match["more"] is not None
    return pairs


def _unescaped(text: bytes) -> str:
    return (_escape.sub(rb"\1", text) if b"\\" in text else text).decode()


def in_java_order(pairs: Pairs) -> Pairs:
    """Return the pairs in the order in which a java.util.HashMap of them is walked.

    That is by the place in its table, and within one place as they were put in.
    """
    size = _SMALLEST_TABLE
    while len(pairs) > size * _LOAD:
        size *= 2
    return dict(sorted(pairs.items(), key=lambda pair: _spread_hash(pair[0]) & (size - 1)))


def _spread_hash(key: str) -> int:
    code = 0
    units = key.encode("utf-16-be")
    for at in range(0, len(units), 2):
        code = (code * 31 + (units[at] << 8 | units[at + 1])) & 0xFFFF_FFFF
    return code ^ code >> 16
