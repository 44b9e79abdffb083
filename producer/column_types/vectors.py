"""vector, halfvec and sparsevec of pgvector. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from producer.column_types.column_type import ColumnType, ValueModes
from producer.column_types.numbers import encode_float
from producer.column_types.strings import text_type
from producer.connect_schema import (
    ARRAY,
    FLOAT32,
    FLOAT64,
    INT16,
    MAP,
    STRUCT,
    ConnectSchema,
    encode_json,
)

VECTOR_TYPES: Final = frozenset(("vector", "halfvec", "sparsevec"))

_MAX_INT16: Final = 2**15 - 1
_match_sparse = re.compile(rb"\{(?P<pairs>[^{}]*)\}/(?P<dimensions>\d+)").fullmatch
_SPARSE_SCHEMA: Final = ConnectSchema(
    STRUCT,
    "io.debezium.data.SparseDoubleVector",
    1,
    doc="Sparse double vector",
    fields=(
        ("dimensions", ConnectSchema(INT16)),
        (
            "vector",
            ConnectSchema(MAP, keys=ConnectSchema(INT16), items=ConnectSchema(FLOAT64)),
        ),
    ),
)


def vector_type(name: str, modes: ValueModes) -> ColumnType:
    """Return the type of one of VECTOR_TYPES."""
    if name == "sparsevec":
        return _sparse_type(modes)
    kind, element = ("Double", FLOAT64) if name == "vector" else ("Float", FLOAT32)
    schema = ConnectSchema(ARRAY, f"io.debezium.data.{kind}Vector", 1, items=ConnectSchema(element))
    return ColumnType(schema, _parse_dense, _encode_dense, None)


def _elements(text: bytes) -> list[bytes]:
    if text[:1] != b"[" or text[-1:] != b"]":
        raise ValueError("no vector")
    return text[1:-1].split(b",")


def _parse_dense(text: bytes) -> list[float]:
    return [float(element) for element in _elements(text)]


def _encode_dense(text: bytes) -> bytes:
    return b"[%b]" % b",".join([encode_float(element) for element in _elements(text)])


def _sparse_type(modes: ValueModes) -> ColumnType:
    if modes.lossless:
        return text_type(modes)

    def parse(text: bytes) -> dict[str, Any]:
        match = _match_sparse(text)
        if match is None:
            raise ValueError("no sparse vector")
        if not match["pairs"] and modes.debezium_values:
            raise ValueError("Debezium has no value for a sparse vector of zeros only")
        vector = {}
        for pair in match["pairs"].split(b",") if match["pairs"] else ():
            index, _, value = pair.partition(b":")
            vector[_int16(index)] = float(value)
        return {"dimensions": _int16(match["dimensions"]), "vector": vector}

    return ColumnType(
        _SPARSE_SCHEMA, parse, lambda text: encode_json(_SPARSE_SCHEMA, parse(text)), None
    )


def _int16(text: bytes) -> int:
    number = int(text)
    if number > _MAX_INT16:
        raise ValueError("a sparse vector of more dimensions than an int16 counts")
    return number
