"""Turn PostgreSQL's text of a value into JSON. Pure: bytes to bytes.

The value modes are the readable ones: decimal.handling.mode=string,
time.precision.mode=isostring, binary.handling.mode=base64. A type without a form of its own
arrives as PostgreSQL's text, in a JSON string; no value is dropped and none raises.

The text must be what a session with DateStyle ISO, TimeZone UTC and bytea_output hex writes
in UTF-8; `replication_stream` pins those.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Final

import orjson

from schemas.envelope import UNAVAILABLE_VALUE

EncodeValue = Callable[[bytes], bytes]

UNAVAILABLE_JSON: Final = b'"%b"' % UNAVAILABLE_VALUE.encode()

# Type oids are fixed for built-in types (src/include/catalog/pg_type.dat).
BOOL, BYTEA, INT8, INT2, INT4, OID = 16, 17, 20, 21, 23, 26
FLOAT4, FLOAT8, NUMERIC = 700, 701, 1700
DATE, TIME, TIMESTAMP, TIMESTAMPTZ = 1082, 1083, 1114, 1184

_MICROSECOND_DIGITS = 6
must_escape = re.compile(rb'["\\\x00-\x1f]').search
"""Finds the first byte that a JSON string cannot hold as it is."""

_SPACE = ord(" ")
_BEFORE_CHRIST = ord("C")
_DATE_LENGTH = 10  # Of a year with four digits, as nearly all have.
_WHOLE_TIMESTAMPTZ_LENGTH = 29  # With six digits of the second and the zone.
_is_date = re.compile(rb"\d{4,}-\d\d-\d\d").fullmatch
_is_timestamp = re.compile(rb"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00)?").fullmatch


def encode_string(text: bytes) -> bytes:
    """Return the text as a JSON string."""
    return b'"%b"' % text if must_escape(text) is None else encode_escaped(text)


def encode_escaped(text: bytes) -> bytes:
    """Return a text that has something to escape as a JSON string."""
    return orjson.dumps(text.decode())


def copy_number(text: bytes) -> bytes:
    """Return the text of a number, which is JSON as it is."""
    return text


def _float(text: bytes) -> bytes:
    # JSON has no NaN and no infinity; Connect's converter writes them as strings too.
    return b'"%b"' % text if text[-1:] in (b"N", b"y") else text


def _quoted(text: bytes) -> bytes:
    return b'"%b"' % text


def _boolean(text: bytes) -> bytes:
    return b"true" if text == b"t" else b"false"


def _base64(text: bytes) -> bytes:
    return b'"%b"' % b64encode(bytes.fromhex(text[2:].decode()))


def _date(text: bytes) -> bytes:
    # Infinity and years before Christ have no ISO form; they stay PostgreSQL's.
    return b'"%bZ"' % text if _is_date(text) else b'"%b"' % text


def _time(text: bytes) -> bytes:
    return b'"%bZ"' % text


def _timestamp(text: bytes) -> bytes:
    if text[_DATE_LENGTH : _DATE_LENGTH + 1] == b" " and text[-1] != _BEFORE_CHRIST:
        return b'"%bT%bZ"' % (text[:_DATE_LENGTH], text[_DATE_LENGTH + 1 :])
    match = _is_timestamp(text)
    if match is None:
        return b'"%b"' % text
    date, time, fraction = match.groups()
    if fraction is None:
        return b'"%bT%bZ"' % (date, time)
    return b'"%bT%b.%bZ"' % (date, time, fraction)


def _zoned_timestamp(digits: int) -> EncodeValue:
    """Return the encoder of a timestamptz that shows so many digits of the second."""

    def encode(text: bytes) -> bytes:
        if (
            len(text) == _WHOLE_TIMESTAMPTZ_LENGTH
            and text[_DATE_LENGTH] == _SPACE
            and text[-3:] == b"+00"
        ):
            return b'"%bT%bZ"' % (text[:_DATE_LENGTH], text[_DATE_LENGTH + 1 : -3])
        match = _is_timestamp(text)
        if match is None:
            return b'"%b"' % text
        date, time, fraction = match.groups()
        if not digits:
            return b'"%bT%bZ"' % (date, time)
        return b'"%bT%b.%bZ"' % (date, time, (fraction or b"").ljust(digits, b"0"))

    return encode


_ENCODERS: Final[dict[int, EncodeValue]] = {
    BOOL: _boolean,
    INT2: copy_number,
    INT4: copy_number,
    INT8: copy_number,
    OID: copy_number,
    FLOAT4: _float,
    FLOAT8: _float,
    NUMERIC: _quoted,
    DATE: _date,
    TIME: _time,
    TIMESTAMP: _timestamp,
    BYTEA: _base64,
}


def value_encoder(type_oid: int, type_modifier: int) -> EncodeValue:
    """Return the function that turns texts of this type into JSON.

    The oid is that of the base type where the column's type is a domain.
    """
    if type_oid == TIMESTAMPTZ:
        digits = type_modifier if 0 <= type_modifier <= _MICROSECOND_DIGITS else _MICROSECOND_DIGITS
        return _zoned_timestamp(digits)
    return _ENCODERS.get(type_oid, encode_string)
