"""How a column's text becomes a cell of JSON, for the frequent types without a detour. Pure.

A form gives what the column type's own encoder gives. Those of the frequent types look at the
Text itself and leave to the encoder, which takes bytes, whatever their short way does not
cover. `quote` writes any str as a JSON string, so nothing that comes in can break out of one.

Text is UTF-8 in a str, one code point a byte: see `row_codec`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json.encoder import encode_basestring as quote
from typing import Final

from producer.column_types.column_type import ColumnType
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

_ISO_DATE_LENGTH: Final = 10
_ZONED_LENGTH: Final = 29  # With a year of four digits and six of the second, as nearly all have.

Encode = Callable[[bytes], str]
"""From a value's bytes to its cell; raises LookupError or ValueError where it has none."""


class CellForm:
    """Any type's: the encoder's way."""

    def __init__(self, encode: Encode) -> None:
        self.encode = encode

    def cell(self, value: str) -> str:
        """Return the cell; raises what the encoder does."""
        return self.encode(value.encode("latin-1"))


class StringForm(CellForm):
    """Of the types whose value is their text."""

    def cell(self, value: str) -> str:
        """Return the text in quotes."""
        return quote(value)


class BooleanForm(CellForm):
    """Of `t` and `f`."""

    def cell(self, value: str) -> str:
        """Return JSON's word for it."""
        if value == "t":
            return "true"
        if value == "f":
            return "false"
        raise ValueError("neither t nor f")


class IntegerForm(CellForm):
    """Of an integer; `safe_length` is a number of digits that is out of no bounds."""

    def __init__(self, encode: Encode, safe_length: int) -> None:
        super().__init__(encode)
        self._safe_length = safe_length

    def cell(self, value: str) -> str:
        """Return the digits, which JSON has without leading zeros."""
        if (
            len(value) < self._safe_length
            and value.isdecimal()
            and (value == "0" or not value.startswith("0"))
        ):
            return value
        return super().cell(value)


class IsoDateForm(CellForm):
    """Of a date as `2020-02-29`."""

    def cell(self, value: str) -> str:
        """Return it in UTC, as ISO 8601 has it."""
        return quote(value + "Z") if len(value) == _ISO_DATE_LENGTH else super().cell(value)


class IsoTimestampForm(CellForm):
    """Of a timestamp as `2020-02-29 13:30:00.25`."""

    def cell(self, value: str) -> str:
        """Return it in UTC, as ISO 8601 has it."""
        if value[10:11] == " " and not value.endswith("C"):  # As in `BC`.
            return quote(f"{value[:10]}T{value[11:]}Z")
        return super().cell(value)


class ZonedTimestampForm(CellForm):
    """Of a timestamp with time zone as `2020-02-29 13:30:00.250001+00`."""

    def cell(self, value: str) -> str:
        """Return it in UTC, as ISO 8601 has it."""
        if len(value) == _ZONED_LENGTH and value[10:11] == " " and value.endswith("+00"):
            return quote(f"{value[:10]}T{value[11:26]}Z")
        return super().cell(value)


_SAFE_LENGTHS: Final[Mapping[Callable[[bytes], bytes], int]] = {
    encode_int2: SAFE_INT2,
    encode_int4: SAFE_INT4,
    encode_int8: SAFE_INT8,
}
_SEMANTIC_FORMS: Final[Mapping[str, Callable[[Encode], CellForm]]] = {
    "io.debezium.time.IsoDate": IsoDateForm,
    "io.debezium.time.IsoTimestamp": IsoTimestampForm,
    "io.debezium.time.ZonedTimestamp": ZonedTimestampForm,
}
"""By the name of the schema: their encoders are made for each column."""


def cell_form(column_type: ColumnType) -> CellForm:
    """Return the form of the type's values."""
    encode_json = column_type.encode_json

    def encode(value: bytes) -> str:
        return encode_json(value).decode("latin-1")

    name = column_type.schema.name
    if name is not None and name in _SEMANTIC_FORMS:
        return _SEMANTIC_FORMS[name](encode)
    if encode_json is encode_string:
        return StringForm(encode)
    if encode_json is encode_boolean:
        return BooleanForm(encode)
    if encode_json in _SAFE_LENGTHS:
        return IntegerForm(encode, _SAFE_LENGTHS[encode_json])
    return CellForm(encode)
