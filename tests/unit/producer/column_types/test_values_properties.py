"""Whatever the bytes: the fast way says what the plain way says, and JSON stays JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.column_types.binary import bit_type
from producer.column_types.decimals import unscaled_bytes
from producer.column_types.hstore import in_java_order
from producer.column_types.numbers import NUMBER_TYPES
from producer.column_types.strings import STRING_TYPES
from producer.connect_schema import encode_json
from tests.unit.producer.column_types.types import EXTENSIONS, MODES, known, numeric_modifier

NAMES_OF_TYPES = sorted(
    {
        *NUMBER_TYPES,
        *STRING_TYPES,
        *EXTENSIONS,
        *("numeric", "money", "date", "time", "timetz", "timestamp", "timestamptz", "interval"),
        *("bytea", "bit", "varbit", "point", "polygon", "tsquery"),
    }
)
ARRAYS = [
    f"{name}[]"
    for name in ("int4", "text", "numeric", "timestamptz", "bytea", "hstore", "vector", "geography")
]
MODIFIERS = {"numeric": [-1, numeric_modifier(10, 2)], "bit": [1, 5], "varbit": [-1, 1, 5]}

digits = st.text("0123456789", min_size=1, max_size=22)
fractions = st.text("0123456789", max_size=6).map(lambda text: f".{text}" if text else "")
numbers = st.builds("{}{}{}".format, st.sampled_from(["", "-"]), digits, fractions)
moments = st.builds("{:%Y-%m-%d %H:%M:%S}{}".format, st.datetimes(), fractions)
zones = st.sampled_from(["", "+00", " BC", "+00 BC", "+02:03:04", "-05"])
timestamps = st.builds("{}{}".format, moments, zones)
words = ["NaN", "infinity", "-infinity", "Infinity", "t", "f", "24:00:00", "{}", "[1,2]", "(1,2)"]
TEXTS_BY_NAME = {
    "date": timestamps.map(lambda text: text[:10] + text[-3:] * text.endswith(" BC")),
    "time": timestamps.map(lambda text: text[11:]),
    "timetz": timestamps.map(lambda text: text[11:]),
    "timestamp": timestamps,
    "timestamptz": timestamps,
    "bytea": st.binary(max_size=20).map(lambda content: "\\x" + content.hex()),
    "varbit": st.text("01", max_size=20),
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    "vector[]": st.just('{"[1,2]",NULL,{"[3]"}}') | st.just('{"[1,2]",NULL}'),
    "int4[]": st.lists(numbers | st.just("NULL")).map(lambda parts: "{" + ",".join(parts) + "}"),
}
texts = st.one_of(
    numbers.map(str.encode),
    st.sampled_from(words).map(str.encode),
    st.text('0123456789.,:;-+{}[]()"\\ =>NULtfexP', max_size=20).map(str.encode),
    st.binary(max_size=20),
)


@st.composite
def names_and_texts(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a type and a text that is often one of its values."""
    name = draw(st.sampled_from([*NAMES_OF_TYPES, *ARRAYS]))
    own = TEXTS_BY_NAME.get(name)
    text = draw(texts if own is None else st.one_of(own.map(str.encode), texts))
    return name, text


def outcome(write: Any, text: bytes) -> Any:
    try:
        return write(text)
    except ValueError:
        return ValueError


@pytest.mark.parametrize("mode", MODES)
@given(drawn=names_and_texts())
def test_the_fast_json_equals_the_parsed_value(mode: str, drawn: tuple[str, bytes]) -> None:
    name, text = drawn
    for modifier in MODIFIERS.get(name, [-1]):
        column = known(name, MODES[mode], modifier)
        fast = outcome(column.encode_json, text)
        plain = outcome(lambda t: encode_json(column.schema, column.parse(t)), text)  # noqa: B023
        assert fast == plain
        if fast is not ValueError:
            json.loads(fast)


@given(st.integers(-(10**30), 10**30))
def test_an_unscaled_number_is_the_shortest_twos_complement(number: int) -> None:
    content = unscaled_bytes(number)
    assert int.from_bytes(content, "big", signed=True) == number
    assert len(content) == 1 or content[0] not in (0x00, 0xFF) or (content[0] ^ content[1]) >> 7


@given(st.integers(0, 2**70))
def test_bits_are_little_endian(number: int) -> None:
    column = bit_type("varbit", -1, MODES["precise"])
    assert int.from_bytes(column.parse(f"{number:b}".encode()), "little") == number


@given(st.dictionaries(st.text(), st.none() | st.text(), max_size=40))
def test_an_hstores_order_changes_no_pair(pairs: dict[str, str | None]) -> None:
    assert in_java_order(pairs) == pairs
