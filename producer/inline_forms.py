"""The frequent types' encoders as expressions, for `row_codec` to put in place of a call. Pure.

An expression is over `value`, the text as a str with one code point a byte, and does what the
encoder it stands for does; `{call}` is the call of that encoder, for what the short way does not
cover. `quote` writes any str as a JSON string, so nothing that comes in can break out of one.
"""

from __future__ import annotations

from collections.abc import Callable
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

_INTEGER = (
    "value if len(value) < {digits} and value.isdecimal() and (value[0] != '0' or value == '0')"
    " else {{call}}"
)
_ISO_DATE_LENGTH = 10
_ZONED_LENGTH = 29  # With a year of four digits and six of the second, as nearly all have.

PLAIN_FORMS: Final[dict[Callable[[bytes], bytes], str]] = {
    encode_string: "quote(value)",
    encode_boolean: "booleans[value]",
    encode_int2: _INTEGER.format(digits=SAFE_INT2),
    encode_int4: _INTEGER.format(digits=SAFE_INT4),
    encode_int8: _INTEGER.format(digits=SAFE_INT8),
}

SEMANTIC_FORMS: Final[dict[str, str]] = {
    "io.debezium.time.IsoDate": (
        f"quote(f'{{{{value}}}}Z') if len(value) == {_ISO_DATE_LENGTH} else {{call}}"
    ),
    "io.debezium.time.IsoTimestamp": (
        "quote(f'{{value[:10]}}T{{value[11:]}}Z')"
        " if value[10:11] == ' ' and value[-1] != 'C' else {call}"
    ),
    "io.debezium.time.ZonedTimestamp": (
        "quote(f'{{value[:10]}}T{{value[11:26]}}Z')"
        f" if len(value) == {_ZONED_LENGTH} and value[10] == ' ' and value[26:] == '+00'"
        " else {call}"
    ),
}
"""By the name of the schema: their encoders are made for each column."""


def inline_form(column_type: ColumnType) -> str | None:
    """Return the expression for the type's encoder, or None where there is none."""
    name = column_type.schema.name
    if name is not None and name in SEMANTIC_FORMS:
        return SEMANTIC_FORMS[name]
    return PLAIN_FORMS.get(column_type.encode_json)
