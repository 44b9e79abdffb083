"""bytea in binary.handling.mode, and bit strings. Pure.

Bits are little-endian bytes without the zero bytes at their end, as Debezium sends them, so
'00' and '0' of a varbit are the same; a lossless mode keeps PostgreSQL's text.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

from orjson import dumps

from producer.column_types.column_type import ColumnType, ValueModes
from producer.column_types.numbers import MAX_INT32
from producer.column_types.strings import string_schema, text_type, to_base64
from producer.connect_schema import BOOLEAN, BYTES, ConnectSchema

_HEX_MARK: Final = b"\\x"
_is_bits = re.compile(rb"[01]*").fullmatch

_TEXTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "base64": to_base64,
    "base64-url-safe": urlsafe_b64encode,
    "hex": lambda content: content.hex().encode(),
}


def bytea_type(modes: ValueModes) -> ColumnType:
    """Return the type of bytea."""
    return _binary(_unhex, modes)


def opaque_type(modes: ValueModes, to_binary: Callable[[bytes], bytes]) -> ColumnType:
    """Return Debezium's type of what it does not know: its text as if it were binary."""
    return _binary(to_binary, modes)


def _unhex(text: bytes) -> bytes:
    if text[:2] != _HEX_MARK:
        raise ValueError("bytea that is not in hex")
    return bytes.fromhex(text[2:].decode())


def _binary(to_binary: Callable[[bytes], bytes], modes: ValueModes) -> ColumnType:
    as_text = _TEXTS.get(modes.binary_handling_mode)
    placeholder = modes.unavailable_value_placeholder
    if as_text is None:
        return ColumnType(
            ConnectSchema(BYTES),
            to_binary,
            lambda text: b'"%b"' % to_base64(to_binary(text)),
            placeholder,
        )
    unavailable: str | None = modes.unavailable_text
    if modes.binary_handling_mode != "hex":
        # Debezium has null here, as if the column were.
        unavailable = None if modes.debezium_values else as_text(placeholder).decode()
    return ColumnType(
        string_schema(),
        lambda text: as_text(to_binary(text)).decode(),
        lambda text: b'"%b"' % as_text(to_binary(text)),
        unavailable,
    )


def bit_type(name: str, modifier: int, modes: ValueModes) -> ColumnType:
    """Return the type of bit and varbit; the modifier is the number of bits."""
    if modes.lossless:
        return text_type(modes)
    length = modifier if modifier > 0 else 1 if name == "bit" else MAX_INT32
    if length == 1:
        return ColumnType(
            ConnectSchema(BOOLEAN), _one_bit, lambda text: dumps(_one_bit(text)), None
        )
    return ColumnType(bits_schema(length), _bits, _encode_bits, None)


def bits_schema(length: int) -> ConnectSchema:
    """Return the schema of a bit string of at most so many bits."""
    return ConnectSchema(BYTES, "io.debezium.data.Bits", 1, parameters=(("length", str(length)),))


def _one_bit(text: bytes) -> bool:
    if text in (b"0", b"1"):
        return text == b"1"
    raise ValueError("not one bit")  # varbit(1) has '' too, which is no boolean.


def _bits(text: bytes) -> bytes:
    if not _is_bits(text):
        raise ValueError("no bit string")
    number = int(text or b"0", 2)
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def _encode_bits(text: bytes) -> bytes:
    return b'"%b"' % to_base64(_bits(text))
