"""PostgreSQL's text of a value as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.column_values import value_encoder

ANY_TYPE, UNKNOWN_TYPE = [16, 17, 20, 21, 23, 25, 26, 700, 701, 1700, 1082, 1083, 1114, 1184], 99999


@pytest.mark.parametrize(
    ("type_oid", "text", "value"),
    [
        pytest.param(16, b"t", True, id="true"),
        pytest.param(16, b"f", False, id="false"),
        pytest.param(20, b"-9223372036854775808", -(2**63), id="smallest bigint"),
        pytest.param(701, b"1e+300", 1e300, id="large float"),
        pytest.param(701, b"5e-324", 5e-324, id="smallest float"),
        pytest.param(701, b"NaN", "NaN", id="not a number"),
        pytest.param(700, b"-Infinity", "-Infinity", id="minus infinity"),
        pytest.param(1700, b"1.500", "1.500", id="numeric keeps its zeros"),
        pytest.param(1700, b"NaN", "NaN", id="numeric not a number"),
        pytest.param(1082, b"2016-11-04", "2016-11-04Z", id="date"),
        pytest.param(1082, b"infinity", "infinity", id="infinite date"),
        pytest.param(1082, b"0044-03-15 BC", "0044-03-15 BC", id="date before Christ"),
        pytest.param(1083, b"04:05:11.789", "04:05:11.789Z", id="time"),
        pytest.param(1114, b"2016-11-04 11:51:30.5", "2016-11-04T11:51:30.5Z", id="timestamp"),
        pytest.param(1114, b"2016-11-04 11:51:30", "2016-11-04T11:51:30Z", id="whole timestamp"),
        pytest.param(1114, b"-infinity", "-infinity", id="infinite timestamp"),
        pytest.param(
            1184,
            b"2016-11-04 11:51:30.5+00",
            "2016-11-04T11:51:30.500000Z",
            id="timestamptz has six digits",
        ),
        pytest.param(
            1184, b"2016-11-04 11:51:30+00", "2016-11-04T11:51:30.000000Z", id="whole timestamptz"
        ),
        pytest.param(
            1184,
            b"0044-03-15 11:51:30+00 BC",
            "0044-03-15 11:51:30+00 BC",
            id="timestamptz before Christ",
        ),
        pytest.param(17, b"\\x00ff", "AP8=", id="bytes"),
        pytest.param(17, b"\\x", "", id="no bytes"),
        pytest.param(3802, b'{"a": "\\u0000"}', '{"a": "\\u0000"}', id="json stays text"),
        pytest.param(
            25, 'a"b\\c\n\x01é😀'.encode(), 'a"b\\c\n\x01é😀', id="text that needs escapes"
        ),
        pytest.param(UNKNOWN_TYPE, b"(1,2)", "(1,2)", id="unknown type"),
    ],
)
def test_a_value_becomes_json(type_oid: int, text: bytes, value: object) -> None:
    assert json.loads(value_encoder(type_oid, -1)(text)) == value


@pytest.mark.parametrize(
    ("type_modifier", "value"),
    [
        (0, "2016-11-04T11:51:30Z"),
        (3, "2016-11-04T11:51:30.500Z"),
        (6, "2016-11-04T11:51:30.500000Z"),
    ],
)
def test_a_timestamptz_shows_the_digits_its_type_has(type_modifier: int, value: str) -> None:
    text = b"2016-11-04 11:51:30.5+00" if type_modifier else b"2016-11-04 11:51:30+00"
    assert json.loads(value_encoder(1184, type_modifier)(text)) == value


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_survives(text: str) -> None:
    assert json.loads(value_encoder(25, -1)(text.encode())) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_bigint_survives(number: int) -> None:
    assert json.loads(value_encoder(20, -1)(b"%d" % number)) == number
