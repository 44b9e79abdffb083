"""The parameters of column.propagate.source.type, as read from Debezium 3.6.1.Final."""

from __future__ import annotations

import pytest

from producer.column_types.column_type import TypeFacts
from producer.column_types.source_parameters import with_source_type
from producer.connect_schema import ConnectSchema
from tests.unit.producer.column_types.types import facts, numeric_modifier


@pytest.mark.parametrize(
    ("name", "modifier", "length", "scale"),
    [
        ("bool", -1, "1", "0"),
        ("int4", -1, "10", "0"),
        ("float8", -1, "17", "17"),
        ("numeric", -1, "131089", "0"),
        ("numeric", numeric_modifier(10, 2), "10", "2"),
        ("money", -1, "2147483647", "0"),
        ("text", -1, "2147483647", "0"),
        ("varchar", 14, "10", "0"),
        ("bpchar", 8, "4", "0"),
        ("bit", 3, "3", "0"),
        ("varbit", -1, "2147483647", "0"),
        ("date", -1, "13", "0"),
        ("time", 0, "8", "0"),
        ("time", 1, "11", "1"),
        ("time", 4, "13", "4"),
        ("timetz", -1, "21", "6"),
        ("timestamp", 1, "25", "1"),
        ("timestamp", 3, "26", "3"),
        ("timestamptz", -1, "35", "6"),
        ("interval", -1, "49", "6"),
        ("interval", 2147418115, "49", "3"),
        ("int4[]", -1, "10", "0"),
        ("numeric[]", numeric_modifier(10, 2), "10", "2"),
    ],
)
def test_length_and_scale_are_those_of_the_jdbc_driver(
    name: str, modifier: int, length: str, scale: str
) -> None:
    schema = with_source_type(ConnectSchema("string"), facts(name), modifier, "v")
    assert schema.parameters == (
        ("__debezium.source.column.type", facts(name).name.upper()),
        ("__debezium.source.column.length", length),
        ("__debezium.source.column.scale", scale),
        ("__debezium.source.column.name", "v"),
    )


def test_a_domain_has_its_own_name_and_the_length_of_its_base() -> None:
    domain = TypeFacts(1, "public", "short", "d", base=facts("varchar"), base_modifier=9)
    parameters = dict(with_source_type(ConnectSchema("string"), domain, -1, "v").parameters)
    assert parameters["__debezium.source.column.type"] == "SHORT"
    assert parameters["__debezium.source.column.length"] == "5"


def test_a_schemas_own_parameters_come_first() -> None:
    bits = ConnectSchema("bytes", parameters=(("length", "3"),))
    assert with_source_type(bits, facts("bit"), 3, "v").parameters[0] == ("length", "3")
