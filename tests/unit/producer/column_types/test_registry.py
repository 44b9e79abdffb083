"""Which type a column gets: enums, domains, arrays, and what has no form of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from producer.column_types.column_type import READABLE, TypeFacts, ValueModes
from producer.column_types.registry import column_type
from producer.connect_schema import json_value, schema_node
from tests.unit.producer.column_types.types import (
    DEBEZIUM,
    MODES,
    PRECISE,
    facts,
    known,
    numeric_modifier,
)

MOOD = TypeFacts(1, "public", "mood", "e", labels=("sad", "ok"))
PAIR = TypeFacts(2, "public", "pair", "c")
POSITIVE = TypeFacts(3, "public", "positive", "d", base=facts("int4"))
PRICE = TypeFacts(
    4, "public", "price", "d", base=facts("numeric"), base_modifier=numeric_modifier(10, 2)
)
CHEAP = TypeFacts(5, "public", "cheap", "d", base=PRICE)
TAGS = TypeFacts(6, "public", "tags", "d", base=facts("text[]"))


def array_of(element: TypeFacts) -> TypeFacts:
    return TypeFacts(9, element.pg_schema, f"_{element.name}", element=element)


def written(type_facts: TypeFacts, text: str, modes: ValueModes = PRECISE) -> Any:
    found = column_type(type_facts, -1, modes)
    assert found is not None
    return json.loads(found.encode_json(text.encode()))


def test_an_enum_lists_its_labels() -> None:
    found = column_type(MOOD, -1, PRECISE)
    assert found is not None
    assert schema_node(found.schema) == {
        "type": "string",
        "optional": False,
        "name": "io.debezium.data.Enum",
        "version": 1,
        "parameters": {"allowed": "sad,ok"},
    }
    assert json.loads(found.encode_json(b"sad")) == "sad"


def test_a_domain_is_written_as_its_base_through_domains_of_domains() -> None:
    assert written(POSITIVE, "7") == 7
    assert written(CHEAP, "8.50") == "A1I="
    assert written(TypeFacts(0, "public", "moods", "d", base=MOOD), "ok") == "ok"
    assert written(TAGS, "{a,b}") == ["a", "b"]


def test_a_column_type_keeps_the_name_it_was_declared_with() -> None:
    found = column_type(CHEAP, -1, PRECISE)
    assert found is not None
    assert found.name == "cheap"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("int4[]", "{1,NULL}", [1, None]),
        ("int4[]", "{}", []),
        ("int4[]", "[0:1]={1,2}", [1, 2]),
        ("text[]", '{"a,b","c\\"d",NULL,"NULL",""}', ["a,b", 'c"d', None, "NULL", ""]),
        ("bool[]", "{t,f,NULL}", [True, False, None]),
        ("float4[]", "{1.5,NaN}", [1.5, "NaN"]),
        ("timestamptz[]", '{"2016-11-04 11:51:30.5+00"}', ["2016-11-04T11:51:30.500000Z"]),
        ("timetz[]", "{04:05:11.789+02}", ["02:05:11.789Z"]),
        ("bytea[]", '{"\\\\x00ff",NULL}', ["AP8=", None]),
        ("box[]", "{(1,1),(0,0);(3,3),(2,2)}", ["(1,1),(0,0)", "(3,3),(2,2)"]),
        (
            "geometry[]",
            "{010100000000000000000000000000000000000000:NULL}",
            [{"wkb": "AQEAAAAAAAAAAAAAAAAAAAAAAAAA", "srid": None}, None],
        ),
        ("money[]", "{$1.50}", ["AJY="]),
        ("interval[]", "{P1D}", [86400000000]),
        ("name[]", "{a}", ["a"]),
        ("xml[]", "{<a/>}", ["<a/>"]),
        ("varbit[]", "{101}", ["BQ=="]),
        ("pg_lsn[]", "{0/1}", ["0/1"]),
        ("vector[]", '{"[1,2.5]"}', [[1.0, 2.5]]),
    ],
)
def test_an_array_is_a_list_of_its_elements(name: str, text: str, value: list[Any]) -> None:
    assert written(facts(name), text) == value


def test_arrays_of_users_types_are_lists_too() -> None:
    assert written(array_of(MOOD), "{sad,NULL}") == ["sad", None]
    assert written(array_of(POSITIVE), "{1}") == [1]
    assert written(array_of(PAIR), '{"(1,x)"}') == ["(1,x)"]


def test_the_precision_of_an_array_is_that_of_its_elements() -> None:
    column = known("numeric[]", modifier=numeric_modifier(10, 2))
    assert json.loads(column.encode_json(b"{1.50,NULL}")) == ["AJY=", None]


def test_an_array_of_more_dimensions_nests_where_no_schema_forbids_it() -> None:
    text = "{{1,2},{3,NULL}}"
    assert written(facts("int4[]"), text, READABLE) == [[1, 2], [3, None]]
    assert known("int4[]", READABLE).parse(text.encode()) == [[1, 2], [3, None]]
    with pytest.raises(ValueError, match="more than one dimension"):
        known("int4[]").encode_json(text.encode())


def test_a_vector_of_integers_is_a_list_though_its_text_is_no_arrays() -> None:
    vector = TypeFacts(22, "pg_catalog", "int2vector", element=facts("int2"))
    assert written(vector, "1 2") == [1, 2]
    assert written(vector, "1 2", DEBEZIUM) == []


@pytest.mark.parametrize("unknown", [PAIR, facts("tsquery"), TypeFacts(8, "", "")])
def test_a_type_without_a_form_of_its_own_is_text(unknown: TypeFacts) -> None:
    assert written(unknown, '(1,"x")') == '(1,"x")'
    assert column_type(unknown, -1, replace(PRECISE, include_unknown_datatypes=False)) is None


def test_a_users_type_that_is_named_like_a_built_in_one_is_not_taken_for_it() -> None:
    assert written(TypeFacts(7, "public", "int4", "c"), "(1)") == "(1)"


@pytest.mark.parametrize("mode", [mode for mode in MODES if not MODES[mode].debezium_values])
def test_every_type_that_is_often_large_can_say_that_it_was_not_sent(mode: str) -> None:
    for name in ("text", "jsonb", "bytea", "hstore", "text[]", "int4[]", "uuid[]", "bytea[]"):
        column = known(name, MODES[mode])
        value = json_value(column.schema, column.unavailable)
        assert value is not None
        assert mode != "readable" or value == "__debezium_unavailable_value"


def test_a_value_not_sent_is_marked_as_in_debezium() -> None:
    def mark(name: str, modes: ValueModes = DEBEZIUM) -> Any:
        column = known(name, modes)
        return json_value(column.schema, column.unavailable)

    assert mark("text") == "__debezium_unavailable_value"
    assert mark("bytea") == "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
    assert mark("bytea", replace(DEBEZIUM, binary_handling_mode="hex")) == mark("text")
    assert mark("text[]") == ["__debezium_unavailable_value"]
    assert mark("bytea[]") == ["X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="]
    assert mark("uuid[]") == ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]
    assert mark("int8[]") == mark("date[]") == list(b"__debezium_unavailable_value")
    assert json.loads(mark("hstore")) == {mark("text"): mark("text")}
    assert mark("numeric") is mark("timestamptz[]") is None


def test_a_placeholder_that_is_no_text_is_bytes_where_bytes_can_stand() -> None:
    modes = replace(DEBEZIUM, unavailable_value_placeholder=b"\x00\xffa")

    def mark(name: str) -> Any:
        column = known(name, modes)
        return json_value(column.schema, column.unavailable)

    assert mark("text") == "\x00\ufffda"
    assert mark("bytea") == "AP9h"
    assert mark("int4[]") == [0, -1, 97]
    assert mark("uuid[]") == ["16873599-64b1-318e-bf01-9eee9d5f5465"]


class TestDebeziumValues:
    """What `debezium_values` brings back of arrays and unknown types."""

    def test_a_name_that_may_not_be_null_is_empty_where_unknown_types_are_left_out(self) -> None:
        without = replace(DEBEZIUM, include_unknown_datatypes=False)
        required = column_type(facts("name"), -1, without, not_null=True)
        assert required is not None
        assert required.parse(b"pg_class") == ""
        assert required.encode_json(b"pg_class") == b'""'
        with pytest.raises(ValueError, match="no value"):
            known("name", without).parse(b"pg_class")

    def test_an_array_of_ltree_has_no_value_with_a_null_in_it(self) -> None:
        array = known("ltree[]", DEBEZIUM)
        assert array.schema.items is not None
        assert array.schema.items.optional
        assert array.parse(b"{a.b}") == ["a.b"]
        with pytest.raises(ValueError, match="with a null"):
            array.parse(b"{a.b,NULL}")

    def test_money_as_a_string_has_the_digits_of_its_text(self) -> None:
        modes = replace(DEBEZIUM, decimal_handling_mode="string", money_fraction_digits=3)
        assert known("money", modes).parse(b"$1.50") == "1.50"
        assert known("money", replace(modes, debezium_values=False)).parse(b"$1.50") == "1.500"

    @pytest.mark.parametrize(
        "name", ["money[]", "name[]", "interval[]", "varbit[]", "xml[]", "point[]"]
    )
    def test_arrays_it_does_not_know_are_left_out(self, name: str) -> None:
        assert column_type(facts(name), -1, DEBEZIUM) is None

    def test_an_unknown_types_text_is_binary(self) -> None:
        assert written(PAIR, "(1)", DEBEZIUM) == "KDEp"
        hexed = replace(DEBEZIUM, binary_handling_mode="hex")
        assert written(array_of(POSITIVE), "{1}", hexed) == ["31"]
        without = replace(DEBEZIUM, include_unknown_datatypes=False)
        assert column_type(PAIR, -1, without) is None
        assert column_type(array_of(PAIR), -1, without) is None

    @pytest.mark.parametrize(
        ("text", "java"),
        [("((0.001,1e+07))", "((0.001,1.0E7))"), ("<(1e-05,100),-2.5e+20>", None)],
    )
    def test_a_shapes_numbers_are_as_java_writes_them(self, text: str, java: str | None) -> None:
        hexed = replace(DEBEZIUM, binary_handling_mode="hex")
        found = bytes.fromhex(written(facts("polygon"), text, hexed)).decode()
        assert found == (java or "<(1.0E-5,100.0),-2.5E20>")

    def test_an_array_of_more_dimensions_is_one_of_nulls(self) -> None:
        assert written(facts("int4[]"), "{{1,2},{3,4}}", DEBEZIUM) == [None, None]

    def test_an_array_with_a_value_it_cannot_tell_has_none(self) -> None:
        for type_facts, text in (
            (array_of(MOOD), "{sad,NULL}"),
            (facts("numeric[]"), "{NaN}"),
            (facts("bit[]"), "{1}"),
        ):
            with pytest.raises(ValueError, match=r"."):
                written(type_facts, text, DEBEZIUM)

    def test_times_in_arrays_lose_what_java_cannot_hold(self) -> None:
        assert written(facts("timetz[]"), "{04:05:11.789+02}", DEBEZIUM) == ["02:05:11Z"]
        assert written(facts("time[]"), "{04:05:11.123456,24:00:00}", DEBEZIUM) == [14711123000, 0]

    def test_a_name_has_no_value_where_unknown_types_are_left_out(self) -> None:
        with pytest.raises(ValueError, match=r"."):
            written(facts("name"), "n", replace(DEBEZIUM, include_unknown_datatypes=False))
