"""What may stand in place of a call of the most frequent encoders, in code made for a relation.

A call costs 60 ns, more than most of these expressions. `INLINE` maps an encoder to the
Python expression of `text` that equals it; the names in it are those of `NAMES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orjson import dumps

from producer.column_types.column_type import EncodeJson
from producer.column_types.numbers import (
    SAFE_INT2,
    SAFE_INT4,
    SAFE_INT8,
    encode_boolean,
    encode_int2,
    encode_int4,
    encode_int8,
)
from producer.column_types.strings import encode_string

_INTEGER = "text if text.isdigit() and text[0] != 48 and len(text) < {} else {}(text)"

INLINE: Final[Mapping[EncodeJson, str]] = {
    encode_string: "dumps(text.decode())",
    encode_int2: _INTEGER.format(SAFE_INT2, "encode_int2"),
    encode_int4: _INTEGER.format(SAFE_INT4, "encode_int4"),
    encode_int8: _INTEGER.format(SAFE_INT8, "encode_int8"),
    encode_boolean: 'b"true" if text == b"t" else encode_boolean(text)',
}

NAMES: Final[Mapping[str, Any]] = {
    "dumps": dumps,
    "encode_int2": encode_int2,
    "encode_int4": encode_int4,
    "encode_int8": encode_int8,
    "encode_boolean": encode_boolean,
}
