"""numeric and money in decimal.handling.mode. Pure.

A Connect Decimal is the unscaled number as big-endian two's complement bytes; its scale is
in the schema. A numeric without a declared scale carries the scale in each value.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from orjson import dumps

from producer.column_types.column_type import ColumnType, EncodeJson, Parse, ValueModes
from producer.column_types.numbers import encode_float, parse_float
from producer.column_types.strings import string_schema, text_type, to_base64
from producer.connect_schema import BYTES, FLOAT64, INT32, STRUCT, ConnectSchema

_FEW_DIGITS: Final = 600
_HEADER: Final = 4  # pg_type adds VARHDRSZ to a numeric's modifier.
_SCALE_BITS, _SCALE_SIGN = 0x7FF, 0x400
_is_number = re.compile(rb"-?\d+(?:\.\d+)?").fullmatch
_SPECIAL_WORDS: Final = {  # What Debezium calls them in mode string.
    b"NaN": "NAN",
    b"Infinity": "POSITIVE_INFINITY",
    b"-Infinity": "NEGATIVE_INFINITY",
}
VARIABLE_SCALE: Final = ConnectSchema(
    STRUCT,
    "io.debezium.data.VariableScaleDecimal",
    1,
    doc="Variable scaled decimal",
    fields=(("scale", ConnectSchema(INT32)), ("value", ConnectSchema(BYTES))),
)


def decimal_schema(scale: int, precision: int | None) -> ConnectSchema:
    """Return the schema of Connect's Decimal."""
    parameters: tuple[tuple[str, str], ...] = (("scale", str(scale)),)
    if precision is not None:
        parameters += (("connect.decimal.precision", str(precision)),)
    return ConnectSchema(BYTES, "org.apache.kafka.connect.data.Decimal", 1, parameters=parameters)


def unscaled_bytes(number: int) -> bytes:
    """Return the shortest big-endian two's complement of the number, as Java's BigInteger."""
    length = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return number.to_bytes(length, "big", signed=True)


def _integer(digits: bytes) -> int:
    if len(digits) < _FEW_DIGITS:
        return int(digits)
    # A numeric has up to 131,072 digits before its point, int() takes 4,300 from a text.
    if not digits.removeprefix(b"-").isdigit():
        raise ValueError("no decimal number")
    return int(Decimal(digits.decode()))


def numeric_type(modifier: int, modes: ValueModes) -> ColumnType:
    """Return the type of numeric with this modifier."""
    mode = modes.decimal_handling_mode
    precision, scale = _precision_and_scale(modifier, modes)
    if mode == "double":
        return ColumnType(
            *(ConnectSchema(FLOAT64), parse_float, encode_float, None),
            scale=None if precision is None else scale,
        )
    if mode == "string":
        return _numeric_string(None if precision is None else scale, modes)
    if precision is None:
        return ColumnType(VARIABLE_SCALE, _variable_scale, _encode_variable_scale, None)
    parse, encode = _fixed_scale(scale)
    return ColumnType(decimal_schema(scale, precision), parse, encode, None)


def _precision_and_scale(modifier: int, modes: ValueModes) -> tuple[int | None, int]:
    if modifier < _HEADER:
        return None, 0
    bits = modifier - _HEADER
    precision, scale = bits >> 16 & 0xFFFF, bits & _SCALE_BITS
    if scale & _SCALE_SIGN and not modes.debezium_values:
        # numeric(3,-2) rounds to hundreds: five digits without a fraction. Debezium reads the
        # negative scale as 2046.
        return precision + (_SCALE_BITS + 1 - scale), 0
    return precision, scale


def _numeric_string(scale: int | None, modes: ValueModes) -> ColumnType:
    if not modes.debezium_values:
        return replace(text_type(modes), scale=scale)

    def parse(text: bytes) -> str:
        if text in _SPECIAL_WORDS:
            return _SPECIAL_WORDS[text]
        digits = text.decode()
        if scale is None or not scale & _SCALE_SIGN:
            return digits
        return f"{digits}.{'0' * scale}"

    return ColumnType(
        *(string_schema(), parse, lambda text: dumps(parse(text))),
        modes.unavailable_text,
        scale=scale,
    )


def _fixed_scale(scale: int) -> tuple[Parse, EncodeJson]:
    """Return how a Decimal of the scale is parsed and encoded."""
    point = -scale - 1

    def parse(text: bytes) -> bytes:
        if len(text) > scale and (text[point] == _POINT if scale else text.isdigit()):
            number = _integer(text.replace(b".", b""))
        else:
            number = _unscaled(text, scale)
        if number >= 0:
            return number.to_bytes((number.bit_length() >> 3) + 1, "big")
        return unscaled_bytes(number)

    def encode(text: bytes) -> bytes:
        return b'"%b"' % to_base64(parse(text))

    return parse, encode


_POINT: Final = ord(".")


def _unscaled(text: bytes, scale: int) -> int:
    """Return the number without its point, as it is at the scale."""
    if not _is_number(text):
        raise ValueError("no decimal number")
    whole, _, fraction = text.partition(b".")
    if fraction[scale:].strip(b"0"):
        raise ValueError("more digits than the scale has")
    return _integer(whole + fraction[:scale].ljust(scale, b"0"))


def _scale_and_bytes(text: bytes) -> tuple[int, bytes]:
    if not _is_number(text):
        raise ValueError("no decimal number")
    whole, _, fraction = text.partition(b".")
    fraction = fraction.rstrip(b"0")
    return len(fraction), unscaled_bytes(_integer(whole + fraction))


def _variable_scale(text: bytes) -> dict[str, Any]:
    scale, value = _scale_and_bytes(text)
    return {"scale": scale, "value": value}


def _encode_variable_scale(text: bytes) -> bytes:
    scale, value = _scale_and_bytes(text)
    return b'{"scale":%d,"value":"%b"}' % (scale, to_base64(value))


_is_money = re.compile(
    rb"(?P<minus>-)?(?P<parenthesis>\()?(?P<minus2>-)?[^\d\s.,()+-]{0,3}\s?"
    rb"(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<fraction>\d+))?\)?"
).fullmatch


def money_type(modes: ValueModes) -> ColumnType:
    """Return the type of money: a Decimal of money.fraction.digits.

    The text is the one of lc_monetary. Only a locale that groups by commas and has a point
    before the fraction can be read without a doubt; another's text has no number here, and
    stays as it is in mode string.
    """
    digits = modes.money_fraction_digits
    mode = modes.decimal_handling_mode
    if mode == "double":

        def parse_double(text: bytes) -> float:
            return float(money_number(text, digits))

        return ColumnType(
            ConnectSchema(FLOAT64), parse_double, lambda text: dumps(parse_double(text)), None
        )
    if mode == "string":
        # Debezium gives only the Decimal its digits.
        shown_digits = None if modes.debezium_values else digits

        def parse_text(text: bytes) -> str:
            try:
                return money_number(text, shown_digits).decode()
            except ValueError:
                if modes.debezium_values:
                    raise
                return text.decode()

        return ColumnType(
            string_schema(), parse_text, lambda text: dumps(parse_text(text)), None, scale=digits
        )
    parse, encode = _fixed_scale(digits)
    return ColumnType(
        decimal_schema(digits, None),
        lambda text: parse(money_number(text, digits)),
        lambda text: encode(money_number(text, digits)),
        None,
    )


def money_number(text: bytes, fraction_digits: int | None) -> bytes:
    """Return the text of a money value as that of a number: with so many digits, or its own."""
    match = _is_money(text)
    if match is None:
        raise ValueError("money in a locale that cannot be read without a doubt")
    fraction = match["fraction"] or b""
    if fraction_digits is None:
        fraction_digits = len(fraction)
    if fraction[fraction_digits:].strip(b"0"):
        raise ValueError("more digits than money.fraction.digits")
    minus = b"-" if match["minus"] or match["minus2"] or match["parenthesis"] else b""
    number = minus + match["whole"].replace(b",", b"")
    if not fraction_digits:
        return number
    return b"%b.%b" % (number, fraction[:fraction_digits].ljust(fraction_digits, b"0"))
