"""A key in a header has the form that Connect's SimpleHeaderConverter gives it."""

from __future__ import annotations

import pytest

from producer.column_types.decimals import VARIABLE_SCALE, decimal_schema, unscaled_bytes
from producer.connect_schema import (
    ARRAY,
    FLOAT32,
    INT32,
    STRING,
    STRUCT,
    ConnectSchema,
    encode_json,
)
from producer.key_headers import KeyHeader

AMOUNT = decimal_schema(2, 7)


def header_of(**fields: ConnectSchema) -> tuple[KeyHeader, ConnectSchema]:
    schema = ConnectSchema(STRUCT, "key", fields=tuple(fields.items()))
    return KeyHeader(schema), schema


@pytest.mark.parametrize(
    ("unscaled", "scale", "text"),
    [
        (433159, 2, "4331.59"),
        (-150, 2, "-1.50"),
        (0, 2, "0.00"),
        (7, 0, "7"),
        # As java.math.BigDecimal writes them.
        (12, 8, "1.2E-7"),
        (123, -2, "1.23E+4"),
        (10**999 - 1, 3, "9" * 996 + ".999"),
    ],
)
def test_a_decimal_is_the_number(unscaled: int, scale: int, text: str) -> None:
    header, schema = header_of(amount=decimal_schema(scale, None))
    value = {"amount": unscaled_bytes(unscaled)}
    assert header.of_value(value) == b'{"amount":%b}' % text.encode()
    assert header.of_json(encode_json(schema, value)) == header.of_value(value)


def test_everything_else_is_as_in_the_key() -> None:
    header, schema = header_of(
        id=ConnectSchema(INT32), name=ConnectSchema(STRING), ratio=ConnectSchema(FLOAT32),
        any_scale=VARIABLE_SCALE,
    )  # fmt: skip
    value = {
        "id": 1,
        "name": 'ü"\t',
        "ratio": float("nan"),
        "any_scale": {"scale": 1, "value": b"\x0f"},
    }
    assert header.is_as_json
    assert header.of_value(value) == encode_json(schema, value)


def test_decimals_in_an_array_and_missing_ones_are_written() -> None:
    header, _ = header_of(amounts=ConnectSchema(ARRAY, items=AMOUNT), amount=AMOUNT.as_optional())
    assert not header.is_as_json
    value = {"amounts": [unscaled_bytes(150), None], "amount": None}
    assert header.of_value(value) == b'{"amounts":[1.50,null],"amount":null}'
