"""Booleans, integers, floats. Pure.

An integer's text is JSON as it is and copied once its bytes are seen to be digits, which
takes 15 to 60 ns; a regex took 200. Whatever is not plainly such a number is parsed, so no
bytes the server may send become invalid JSON.
"""

from __future__ import annotations

from typing import Final

from orjson import dumps

from producer.column_types.column_type import ColumnType, EncodeJson, Parse
from producer.connect_schema import (
    BOOLEAN,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    ConnectSchema,
    json_float,
)

MAX_INT32: Final = 2**31 - 1
MAX_INT64: Final = 2**63 - 1
_MAX_UINT32: Final = 2**32 - 1
_MAX_FLOAT32: Final = 3.4028235e38
"""The text of the largest; the double that this text reads as is a little more than it."""
_ZERO: Final = ord("0")

# Texts of fewer digits are in range whatever they say.
SAFE_INT2, SAFE_INT4, SAFE_INT8 = 5, 10, 19


def parse_boolean(text: bytes) -> bool:
    """Return the truth of `t` or `f`."""
    if text == b"t":
        return True
    if text == b"f":
        return False
    raise ValueError("neither t nor f")


def encode_boolean(text: bytes) -> bytes:
    """Return the JSON word for `t` or `f`."""
    return b"true" if parse_boolean(text) else b"false"


def _integer_parser(smallest: int, largest: int) -> Parse:
    def parse(text: bytes) -> int:
        number = int(text)
        if smallest <= number <= largest:
            return number
        raise ValueError("an integer out of its type's range")

    return parse


parse_int2 = _integer_parser(-(2**15), 2**15 - 1)
parse_int4 = _integer_parser(-(2**31), MAX_INT32)
parse_int8 = _integer_parser(-(2**63), MAX_INT64)
_parse_oid = _integer_parser(0, _MAX_UINT32)


def _integer_encoder(parse: Parse, safe_length: int) -> EncodeJson:
    def encode(text: bytes) -> bytes:
        if (
            text.isdigit()
            and len(text) < safe_length
            and (text[0] != _ZERO or len(text) == 1)  # JSON has no leading zeros.
        ):
            return text
        return b"%d" % parse(text)

    return encode


encode_int2 = _integer_encoder(parse_int2, SAFE_INT2)
encode_int4 = _integer_encoder(parse_int4, SAFE_INT4)
encode_int8 = _integer_encoder(parse_int8, SAFE_INT8)


def parse_float(text: bytes) -> float:
    """Return the number; NaN and the infinities are numbers here."""
    return float(text)


def encode_float(text: bytes) -> bytes:
    """Return the number as JSON; NaN and the infinities as Connect's strings."""
    number = float(text)
    return dumps(number) if number - number == 0 else dumps(json_float(number))


def _parse_float4(text: bytes) -> float:
    number = float(text)
    if -_MAX_FLOAT32 <= number <= _MAX_FLOAT32 or number - number != 0:
        return number
    raise ValueError("a float out of its type's range")


def _encode_float4(text: bytes) -> bytes:
    number = _parse_float4(text)
    return dumps(number) if number - number == 0 else dumps(json_float(number))


def integer_schema(kind: str, name: str | None = None) -> ConnectSchema:
    """Return the schema of an integer, with a semantic name or without."""
    return ConnectSchema(kind, name, 1 if name else None)


NUMBER_TYPES: Final = {
    "bool": ColumnType(ConnectSchema(BOOLEAN), parse_boolean, encode_boolean, None),
    "int2": ColumnType(ConnectSchema(INT16), parse_int2, encode_int2, None),
    "int4": ColumnType(ConnectSchema(INT32), parse_int4, encode_int4, None),
    "int8": ColumnType(ConnectSchema(INT64), parse_int8, encode_int8, None),
    "oid": ColumnType(
        ConnectSchema(INT64), _parse_oid, _integer_encoder(_parse_oid, SAFE_INT4), None
    ),
    "float4": ColumnType(ConnectSchema(FLOAT32), _parse_float4, _encode_float4, None),
    "float8": ColumnType(ConnectSchema(FLOAT64), parse_float, encode_float, None),
}
"""By name in pg_catalog. None of them is ever stored out of line."""
