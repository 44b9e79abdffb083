"""Write Connect values in Avro's binary form. Pure.

The project's own because it is the hot path: fastavro finds the branch of each union by
validating the value against it and takes 50 us for an envelope with two rows of nine columns,
these functions know the branch and take 20. Whoever changes one reads what it writes with
fastavro: the property tests do.

A record is its fields one after the other, with nothing between them. So a part that does not
change can be encoded once and put together with the rest: that is what `field_encoders` is for.

Format: Apache Avro 1.12, "Binary encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from producer.avro_format import default_of, items_of, keys_of
from producer.connect_schema import (
    ARRAY,
    BOOLEAN,
    BYTES,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    MAP,
    STRING,
    STRUCT,
    ConnectSchema,
)

Encode = Callable[[Any], bytes]

UNWRITABLE: Final = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""What an encoder raises, before it is told as a ValueError, for what is not the schema's."""


def encoder(schema: ConnectSchema) -> Encode:
    """Return the function that encodes the schema's values.

    It raises ValueError, which says where and never what, for a value that is none of the
    schema's: one that is missing or null without being optional, one of another type.
    """
    encode = _encoder(schema)

    def checked(value: Any) -> bytes:
        try:
            return encode(value)
        except UNWRITABLE as error:
            raise ValueError(_fault(schema, value)) from error

    return checked


def field_encoders(schema: ConnectSchema) -> dict[str, Encode]:
    """Return an encoder for each field of a struct, in the order of the fields.

    What they return, put one after the other, is what `encoder` returns for the whole.
    """
    return {name: encoder(child) for name, child in schema.fields}


def encode_utf8(text: bytes) -> bytes:
    """Return a required string; for text that is UTF-8 already and need not be decoded."""
    length = len(text)
    return (_SHORT[length] if length < _HALF else encode_long(length)) + text


def encode_long(value: int) -> bytes:
    """Return an int or a long: the sign in the lowest bit, then seven bits to a byte."""
    if -_HALF <= value < _HALF:
        return _SHORT[value]
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError("an Avro long has 64 bits")
    rest = value << 1 ^ value >> 63
    if rest < _CHUNK << _CHUNK_BITS:
        return _MORE[rest & _CHUNK - 1] + _LAST[rest >> _CHUNK_BITS]
    encoded = b""
    while rest >= _CHUNK:
        encoded += _MORE[rest & _CHUNK - 1]
        rest >>= _CHUNK_BITS
    return encoded + _LAST[rest]


# Two bytes at a time by tables take half the time of a loop over single bytes.
_CHUNK_BITS: Final = 14
_CHUNK: Final = 1 << _CHUNK_BITS
_HALF: Final = _CHUNK >> 1
_MORE: Final = [bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(_CHUNK)]
_LAST: Final = [
    bytes((n & 0x7F | 0x80, n >> 7)) if n > 0x7F else bytes((n,)) for n in range(_CHUNK)
]
# By number: those below zero are found from the end, as Python counts.
_SHORT: Final = [_LAST[n << 1] for n in range(_HALF)] + _LAST[:0:-2]

_ZERO: Final = b"\x00"
_ONE: Final = b"\x02"
"""The numbers of a union's first and second branch."""

_pack_float: Final = struct.Struct("<f").pack
_pack_double: Final = struct.Struct("<d").pack


def _encoder(schema: ConnectSchema) -> Encode:
    encode = required_encoder(schema)
    if not schema.optional:
        return encode
    null, some = branches(schema)

    def optional(value: Any) -> bytes:
        return null if value is None else some + encode(value)

    return optional


def branches(schema: ConnectSchema) -> tuple[bytes, bytes]:
    """Return what stands before a null and before a value of the schema."""
    if not schema.optional:
        return b"", b""
    return (_ZERO, _ONE) if default_of(schema) is None else (_ONE, _ZERO)


def required_encoder(schema: ConnectSchema) -> Encode:
    """Return the encoder of values that are not null, which raises UNWRITABLE."""
    if schema.type == STRUCT:
        return _struct_encoder(schema.fields)
    if schema.type == ARRAY:
        return _array_encoder(_encoder(items_of(schema)))
    if schema.type == MAP:
        return _map_encoder(_encoder(keys_of(schema)), _encoder(items_of(schema)))
    return _PRIMITIVE_ENCODERS[schema.type]


def _struct_encoder(fields: tuple[tuple[str, ConnectSchema], ...]) -> Encode:
    encoders = [(name, _encoder(child)) for name, child in fields]

    def encode(value: Any) -> bytes:
        get = value.get
        return b"".join([encode_field(get(name)) for name, encode_field in encoders])

    return encode


def _array_encoder(encode_item: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        # One block with everything; the empty block ends it.
        items = b"".join([encode_item(item) for item in value])
        return encode_long(len(value)) + items + _ZERO if value else _ZERO

    return encode


def _map_encoder(encode_key: Encode, encode_item: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        # A map and an array of records with key and value look the same.
        items = b"".join([encode_key(key) + encode_item(item) for key, item in value.items()])
        return encode_long(len(value)) + items + _ZERO if value else _ZERO

    return encode


def _encode_boolean(value: bool) -> bytes:
    if value is True:
        return b"\x01"
    if value is False:
        return b"\x00"
    raise TypeError("no boolean")


def _encode_int(value: int) -> bytes:
    if not -(1 << 31) <= value < 1 << 31:
        raise OverflowError("an Avro int has 32 bits")
    return encode_long(value)


def _encode_string(value: str) -> bytes:
    text = value.encode()
    return encode_long(len(text)) + text


_PRIMITIVE_ENCODERS: Final[dict[str, Encode]] = {
    BOOLEAN: _encode_boolean,
    INT8: _encode_int,
    INT16: _encode_int,
    INT32: _encode_int,
    INT64: encode_long,
    FLOAT32: _pack_float,
    FLOAT64: _pack_double,
    STRING: _encode_string,
    BYTES: encode_utf8,
}


def _fault(schema: ConnectSchema, value: Any) -> str:
    """Say which part of a value that could not be encoded is to blame."""
    path, schema, value = _blame(schema, value)
    what = "null" if value is None else f"of type {type(value).__name__}"
    where = ".".join(path) or "the value"
    return f"{where} is {what} and cannot be written as {schema.name or schema.type}"


def _blame(schema: ConnectSchema, value: Any) -> tuple[list[str], ConnectSchema, Any]:
    if schema.type == STRUCT and isinstance(value, dict):
        for name, child in schema.fields:
            try:
                _encoder(child)(value.get(name))
            except UNWRITABLE:
                path, culprit, part = _blame(child, value.get(name))
                return [name, *path], culprit, part
    return [], schema, value
