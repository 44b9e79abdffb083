"""point, and geometry and geography of PostGIS. Pure.

Debezium's struct of a point has its coordinates twice, as numbers and as WKB. PostGIS's
values are sent as they come, in EWKB: WKB with the reference system (SRID) inside.

Format: OGC 06-103r4, section 8 (WKB); PostGIS manual, "ST_AsEWKB".
"""

from __future__ import annotations

import re
import struct
from typing import Any, Final

from producer.column_types.column_type import ColumnType
from producer.column_types.numbers import encode_float
from producer.column_types.strings import to_base64
from producer.connect_schema import BYTES, FLOAT64, INT32, STRUCT, ConnectSchema

_WKB: Final = ConnectSchema(BYTES)
_SRID: Final = ConnectSchema(INT32, optional=True)
_POINT_SCHEMA: Final = ConnectSchema(
    STRUCT,
    "io.debezium.data.geometry.Point",
    1,
    doc="Geometry (POINT)",
    fields=(
        ("x", ConnectSchema(FLOAT64)),
        ("y", ConnectSchema(FLOAT64)),
        ("wkb", _WKB.as_optional()),
        ("srid", _SRID),
    ),
)
_LITTLE_ENDIAN: Final = 1
_SRID_FLAG: Final = 0x2000_0000
_SRID_AT: Final = 5
_POINT_WKB = struct.Struct("<BIdd")
_POINT_CODE: Final = 1
_HEADERS = {0: struct.Struct(">II"), 1: struct.Struct("<II")}
_WORDS = {0: struct.Struct(">I"), 1: struct.Struct("<I")}
EMPTY_WKB: Final = bytes.fromhex("010700000000000000")
"""A collection without members: what Debezium invents for a geometry that was not sent."""

_match_point = re.compile(rb"\(([^,()]+),([^,()]+)\)").fullmatch
_numbers = re.compile(rb"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Infinity|NaN)")


def point(x: float, y: float) -> dict[str, Any]:
    """Return the value of a point."""
    return {
        "x": x,
        "y": y,
        "wkb": _POINT_WKB.pack(_LITTLE_ENDIAN, _POINT_CODE, x, y),
        "srid": None,
    }


def _coordinates(text: bytes) -> tuple[bytes, bytes]:
    match = _match_point(text)
    if match is None:
        raise ValueError("no point")
    return match[1], match[2]


def _parse_point(text: bytes) -> dict[str, Any]:
    x, y = _coordinates(text)
    return point(float(x), float(y))


def _encode_point(text: bytes) -> bytes:
    x, y = _coordinates(text)
    wkb = _POINT_WKB.pack(_LITTLE_ENDIAN, _POINT_CODE, float(x), float(y))
    return b'{"x":%b,"y":%b,"wkb":"%b","srid":null}' % (
        *(encode_float(x), encode_float(y)),
        to_base64(wkb),
    )


POINT_TYPE: Final = ColumnType(_POINT_SCHEMA, _parse_point, _encode_point, None)


def _wkb_and_srid(text: bytes) -> tuple[bytes, int | None]:
    wkb = bytes.fromhex(text.decode())
    if len(wkb) < _SRID_AT or wkb[0] not in _WORDS:
        raise ValueError("no EWKB")
    order = _WORDS[wkb[0]]
    (code,) = order.unpack_from(wkb, 1)
    if not code & _SRID_FLAG:
        return wkb, None
    if len(wkb) < _SRID_AT + order.size:
        raise ValueError("no EWKB")
    (srid,) = order.unpack_from(wkb, _SRID_AT)
    if srid >> 31:
        raise ValueError("no EWKB")
    return wkb, srid


def _parse_geometry(text: bytes) -> dict[str, Any]:
    wkb, srid = _wkb_and_srid(text)
    return {"wkb": wkb, "srid": srid}


def _encode_geometry(text: bytes) -> bytes:
    wkb, srid = _wkb_and_srid(text)
    srid_json = b"null" if srid is None else b"%d" % srid
    return b'{"wkb":"%b","srid":%b}' % (to_base64(wkb), srid_json)


def _postgis_type(kind: str, *, optional: bool) -> ColumnType:
    schema = ConnectSchema(
        STRUCT,
        f"io.debezium.data.geometry.{kind}",
        1,
        optional=optional,
        doc=kind,
        fields=(("wkb", _WKB), ("srid", _SRID)),
    )
    return ColumnType(schema, _parse_geometry, _encode_geometry, None)


POSTGIS_TYPES: Final = {
    # Debezium's schema of a geometry is optional also where its column is NOT NULL.
    "geometry": _postgis_type("Geometry", optional=True),
    "geography": _postgis_type("Geography", optional=False),
}

GEOMETRIC_TYPES: Final = frozenset(("box", "circle", "line", "lseg", "path", "polygon"))
"""What Debezium 3.6 does not know; the text it makes of them passes through its own types."""


def java_text(text: bytes) -> bytes:
    """Return a geometric value's text with its numbers as Java writes them."""
    return _numbers.sub(lambda match: _java_double(float(match[0])), text)


def _java_double(number: float) -> bytes:
    if number - number != 0:
        return {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}[str(number)]
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        digits = f"{number:f}" if "e" in repr(number) else repr(number)
        return digits.encode()
    mantissa, _, exponent = f"{number:e}".partition("e")
    shortest = repr(number).partition("e")[0].replace(".", "").strip("-0") or "0"
    sign = "-" if number < 0 else ""
    del mantissa
    return f"{sign}{shortest[0]}.{shortest[1:] or '0'}E{int(exponent)}".encode()
