"""Arrays: each element is its type's value, or null. Pure.

Where the first element does not have the index 1, the bounds are dropped, as PostgreSQL's own
array_to_json drops them. An array of more dimensions nests where no schema is kept; elsewhere it
has no value, because the schema says what each element is.

Format: PostgreSQL manual, "Arrays", "Array Input and Output Syntax".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import md5
from typing import Any, Final
from uuid import UUID

from producer.column_types.column_type import ColumnType, TypeFacts, ValueModes
from producer.column_types.numbers import NUMBER_TYPES
from producer.connect_schema import (
    ARRAY,
    INT32,
    INT64,
    STRING,
    ConnectSchema,
)

Elements = list[Any]
"""Of bytes, None and lists."""

_match_bounds = re.compile(rb"(?:\[-?\d+:-?\d+\])+=").match
_escape = re.compile(rb"\\(.)", re.DOTALL)
_MAX_DIMENSIONS: Final = 6  # PostgreSQL's MAXDIM.
_INTEGERS: Final = (INT32, INT64)


def array_type(element_facts: TypeFacts, element: ColumnType, modes: ValueModes) -> ColumnType:
    """Return the type of an array of these elements."""
    split = splitter(element_facts.delimiter)
    is_flat = not modes.schemaless

    def parse(text: bytes) -> list[Any]:
        return _mapped(split(text), element.parse, is_flat=is_flat)

    def encode(text: bytes) -> bytes:
        return _joined(split(text), element.encode_json, is_flat=is_flat)

    items = element.schema.as_optional()
    return ColumnType(
        ConnectSchema(ARRAY, items=items), parse, encode, _unavailable(element, modes)
    )


def integer_vector_type(name: str, modes: ValueModes) -> ColumnType:
    """Return the type of int2vector and oidvector, whose text has spaces between numbers.

    Debezium takes them for arrays and finds no element.
    """
    element = NUMBER_TYPES["int2" if name == "int2vector" else "oid"]

    def elements(text: bytes) -> list[bytes]:
        return [] if modes.debezium_values else text.split()

    return ColumnType(
        ConnectSchema(ARRAY, items=element.schema),
        lambda text: [element.parse(number) for number in elements(text)],
        lambda text: b"[%b]" % b",".join([element.encode_json(n) for n in elements(text)]),
        None,
    )


def _mapped(elements: Elements, parse: Callable[[bytes], Any], *, is_flat: bool) -> list[Any]:
    values: list[Any] = []
    for element in elements:
        if element is None:
            values.append(None)
        elif isinstance(element, bytes):
            values.append(parse(element))
        elif is_flat:
            raise ValueError("an array of more than one dimension")
        else:
            values.append(_mapped(element, parse, is_flat=False))
    return values


def _joined(elements: Elements, encode: Callable[[bytes], bytes], *, is_flat: bool) -> bytes:
    values = []
    for element in elements:
        if element is None:
            values.append(b"null")
        elif isinstance(element, bytes):
            values.append(encode(element))
        elif is_flat:
            raise ValueError("an array of more than one dimension")
        else:
            values.append(_joined(element, encode, is_flat=False))
    return b"[%b]" % b",".join(values)


def splitter(delimiter: str) -> Callable[[bytes], Elements]:
    """Return the function that takes an array's text apart, its elements not yet parsed."""
    mark = delimiter.encode()
    # One element, or the opening or closing of a dimension, and what follows it.
    token = re.compile(
        rb'(?:(?P<open>\{)|(?P<close>\})|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^{}"\\%b]+))'
        rb"(?P<next>%b)?" % (re.escape(mark), re.escape(mark)),
        re.DOTALL,
    )

    def split(text: bytes) -> Elements:
        if text[:1] == b"[":
            bounds = _match_bounds(text)
            if bounds is None:
                raise ValueError("no array")
            text = text[bounds.end() :]
        if text == b"{}":
            return []
        if text[:1] != b"{" or text[-1:] != b"}":
            raise ValueError("no array")
        inside = text[1:-1]
        if b"{" not in inside and b'"' not in inside and b"\\" not in inside:
            return [None if element == b"NULL" else element for element in _plain(inside, mark)]
        return _nested(text, token)

    return split


def _plain(inside: bytes, mark: bytes) -> list[bytes]:
    elements = inside.split(mark)
    if b"" in elements or b"}" in inside:
        raise ValueError("no array")
    return elements


def _nested(text: bytes, token: re.Pattern[bytes]) -> Elements:
    root: Elements = []
    open_lists = [root]
    at, follows = 0, True
    while at < len(text):
        match = token.match(text, at)
        if match is None:
            raise ValueError("no array")
        at = match.end()
        has_next = match["next"] is not None
        if match["open"]:
            if has_next or not follows or len(open_lists) > _MAX_DIMENSIONS:
                raise ValueError("no array")
            opened: Elements = []
            open_lists[-1].append(opened)
            open_lists.append(opened)
            continue
        if match["close"]:
            if follows or len(open_lists) == 1:
                raise ValueError("no array")
            open_lists.pop()
        elif not follows or len(open_lists) == 1:
            raise ValueError("no array")
        else:
            open_lists[-1].append(_element(match))
        follows = has_next
    if len(open_lists) != 1 or len(root) != 1 or follows:
        raise ValueError("no array")
    elements: Elements = root[0]
    return elements


def _element(match: re.Match[bytes]) -> bytes | None:
    quoted = match["quoted"]
    if quoted is not None:
        return _escape.sub(rb"\1", quoted) if b"\\" in quoted else quoted
    plain = match["plain"]
    return None if plain == b"NULL" else plain


def _unavailable(element: ColumnType, modes: ValueModes) -> Any:
    """Return what stands for an array that was not sent, as far as the element can say it."""
    placeholder = modes.unavailable_value_placeholder
    schema = element.schema
    if schema.name == "io.debezium.data.Uuid":
        return [str(UUID(bytes=md5(placeholder).digest(), version=3))]  # noqa: S324
    if schema.type in _INTEGERS and schema.name in (None, "io.debezium.time.Date"):
        return list(memoryview(placeholder).cast("b"))  # Java's bytes have a sign.
    if schema.type == STRING:
        return [element.unavailable or modes.unavailable_text]
    return None if element.unavailable is None else [element.unavailable]
