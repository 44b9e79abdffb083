"""PostgreSQL's text of a value as JSON, in the modes that matter for its type.

What `debezium` and `isostring of debezium` give was read from Debezium 3.6.1.Final.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.producer.column_types.types import MODES, known, numeric_modifier

NO_VALUE = "no value"
DECIMAL_10_2 = numeric_modifier(10, 2)

# type, modifier, text, and the value by mode
VALUES: list[tuple[str, int, str, dict[str, Any]]] = [
    ("bool", -1, "t", {"readable": True, "precise": True}),
    ("bool", -1, "f", {"readable": False}),
    ("int2", -1, "-32768", {"readable": -32768}),
    ("int4", -1, "2147483647", {"readable": 2147483647}),
    ("int8", -1, "-9223372036854775808", {"readable": -(2**63)}),
    ("oid", -1, "4294967295", {"readable": 4294967295}),
    ("float4", -1, "1.1", {"readable": 1.1}),
    ("float4", -1, "-3.4028235e+38", {"readable": -3.4028235e38, "precise": -3.4028235e38}),
    ("float8", -1, "1e-300", {"readable": 1e-300}),
    ("float8", -1, "NaN", {"readable": "NaN", "debezium": "NaN"}),
    ("float8", -1, "-Infinity", {"readable": "-Infinity"}),
    ("numeric", -1, "1.10", {"readable": "1.10", "double": 1.1}),
    ("numeric", -1, "1.10", {"precise": {"scale": 1, "value": "Cw=="}}),
    ("numeric", -1, "100", {"precise": {"scale": 0, "value": "ZA=="}}),
    ("numeric", -1, "0.00", {"precise": {"scale": 0, "value": "AA=="}}),
    ("numeric", -1, "-123456789012345678901234567890.5",
     {"precise": {"scale": 1, "value": "8GrlYFxdeTaw8YmTxw=="}}),
    ("numeric", -1, "NaN", {"readable": "NaN", "precise": NO_VALUE, "double": "NaN",
                            "isostring of debezium": "NAN"}),
    ("numeric", -1, "-Infinity", {"readable": "-Infinity", "debezium": NO_VALUE,
                                  "isostring of debezium": "NEGATIVE_INFINITY"}),
    ("numeric", DECIMAL_10_2, "1.50", {"readable": "1.50", "precise": "AJY="}),
    ("numeric", DECIMAL_10_2, "-1.50", {"precise": "/2o="}),
    ("numeric", DECIMAL_10_2, "-0.05", {"precise": "+w=="}),
    ("numeric", DECIMAL_10_2, "-1.28", {"precise": "gA=="}),
    ("numeric", DECIMAL_10_2, "-1.29", {"precise": "/38="}),
    ("numeric", DECIMAL_10_2, "127.00", {"precise": "MZw="}),
    ("numeric", numeric_modifier(10, 0), "15", {"precise": "Dw=="}),
    ("numeric", numeric_modifier(3, 5), "0.00123", {"precise": "ew=="}),
    ("numeric", numeric_modifier(3, -2), "12300", {"precise": "MAw=", "readable": "12300"}),
    ("money", -1, "$1.50", {"readable": "1.50", "precise": "AJY=", "double": 1.5}),
    ("money", -1, "-$1,234,567.89", {"readable": "-1234567.89", "precise": "+KQy6w=="}),
    ("money", -1, "($0.10)", {"readable": "-0.10"}),
    ("money", -1, "1.234,56 €", {"readable": "1.234,56 €", "precise": NO_VALUE}),
    ("text", -1, 'é\\"\n\x01\u2028😀', {"readable": 'é\\"\n\x01\u2028😀'}),
    ("varchar", -1, "", {"readable": ""}),
    ("bpchar", 8, "ab  ", {"readable": "ab  "}),
    ("jsonb", -1, '{"a": [1.50]}', {"readable": '{"a": [1.50]}'}),
    ("citext", -1, "Ab", {"readable": "Ab"}),
    ("isbn", -1, "0-393-04002-X", {"readable": "0-393-04002-X"}),
    ("tsrange", -1, '["2019-03-31 15:30:00",infinity)',
     {"readable": '["2019-03-31 15:30:00",infinity)'}),
    ("bytea", -1, "\\x00ff", {"readable": "AP8=", "precise": "AP8=", "isostring": "00ff"}),
    ("bytea", -1, "\\xfbff", {"double": "+/8=", "connect": "-_8="}),
    ("bytea", -1, "\\x", {"precise": ""}),
    ("bit", 1, "1", {"precise": True, "readable": "1"}),
    ("bit", -1, "0", {"precise": False}),
    ("bit", 3, "101", {"precise": "BQ==", "readable": "101"}),
    ("bit", 7, "1000000", {"precise": "QA=="}),
    ("bit", 3, "000", {"precise": "", "readable": "000"}),
    ("varbit", -1, "1111111100000000", {"precise": "AP8="}),
    ("varbit", -1, "", {"precise": "", "readable": ""}),
    ("varbit", 1, "", {"precise": NO_VALUE, "debezium": NO_VALUE, "readable": ""}),
    ("date", -1, "2016-11-04", {"readable": "2016-11-04Z", "precise": 17109, "connect": 17109}),
    ("date", -1, "0044-03-15 BC", {"readable": "-0043-03-15Z", "precise": -735160}),
    ("date", -1, "0001-01-01 BC", {"readable": "0000-01-01Z", "precise": -719528}),
    ("date", -1, "12345-01-02", {"readable": "+12345-01-02Z", "precise": 3789392}),
    ("date", -1, "5874897-12-31", {"precise": 2145042905}),
    ("date", -1, "infinity", {"readable": "infinity", "precise": 2147483647,
                              "debezium": -2147472692,
                              "isostring of debezium": "-5877611-06-21Z"}),
    ("date", -1, "-infinity", {"readable": "-infinity", "precise": -2147483648,
                               "debezium": -2147472691}),
    ("time", -1, "04:05:11.789", {"readable": "04:05:11.789Z", "precise": 14711789000,
                                  "connect": 14711789, "nanoseconds": 14711789000000}),
    ("time", 3, "04:05:11.789", {"precise": 14711789, "double": 14711789000,
                                 "microseconds": 14711789000}),
    ("time", 4, "04:05:11.7895", {"precise": 14711789500, "connect": 14711789}),
    ("time", -1, "24:00:00", {"readable": "24:00:00Z", "precise": 86400000000,
                              "isostring of debezium": "00:00:00Z"}),
    ("timetz", -1, "04:05:11+02", {"readable": "04:05:11+02:00", "precise": "02:05:11Z"}),
    ("timetz", -1, "04:05:11.789123-03:30", {"readable": "04:05:11.789123-03:30",
                                             "precise": "07:35:11.789123Z"}),
    ("timetz", -1, "04:05:11.1+02:03:04", {"precise": "02:02:07.1Z", "debezium": NO_VALUE}),
    ("timetz", -1, "24:00:00+00", {"precise": "24:00:00Z", "debezium": "00:00:00Z"}),
    ("timetz", -1, "24:00:00-05", {"precise": "05:00:00Z"}),
    ("timetz", -1, "01:00:00+02", {"precise": "23:00:00Z"}),
    ("timestamp", -1, "2016-11-04 11:51:30.5",
     {"readable": "2016-11-04T11:51:30.5Z", "precise": 1478260290500000,
      "connect": 1478260290500, "nanoseconds": 1478260290500000000}),
    ("timestamp", 0, "2016-11-04 11:51:30",
     {"readable": "2016-11-04T11:51:30Z", "precise": 1478260290000,
      "microseconds": 1478260290000000}),
    ("timestamp", 3, "1969-12-31 23:59:59.999", {"precise": -1}),
    ("timestamp", -1, "1969-12-31 23:59:59.999999", {"precise": -1, "connect": -1}),
    ("timestamp", -1, "4713-12-31 23:59:59.999999 BC",
     {"readable": "-4712-12-31T23:59:59.999999Z", "precise": -210831897600000001,
      "nanoseconds": NO_VALUE}),
    ("timestamp", -1, "12345-01-02 03:04:05",
     {"readable": "+12345-01-02T03:04:05Z", "precise": 327403479845000000}),
    ("timestamp", -1, "294276-12-31 23:59:59",
     {"readable": "+294276-12-31T23:59:59Z", "precise": NO_VALUE, "debezium": 2**63 - 1,
      "connect": 9224318015999000}),
    ("timestamp", -1, "294276-12-31 23:59:59.999999",
     {"precise": NO_VALUE, "debezium": -9223372036853775810}),
    ("timestamp", -1, "294247-01-10 04:00:54.775808", {"debezium": -(2**63)}),
    ("timestamp", -1, "infinity",
     {"readable": "infinity", "precise": 9223372036825200000, "connect": 9223372036825200,
      "nanoseconds": 2**63 - 1, "isostring of debezium": "+294247-01-10T04:00:25.2Z"}),
    ("timestamp", 3, "-infinity", {"readable": "-infinity", "precise": -9223372036832400}),
    ("timestamptz", -1, "2016-11-04 11:51:30.5+00",
     {"readable": "2016-11-04T11:51:30.500000Z", "precise": "2016-11-04T11:51:30.500000Z"}),
    ("timestamptz", -1, "2016-11-04 11:51:30+00",
     {"readable": "2016-11-04T11:51:30.000000Z"}),
    ("timestamptz", 0, "2016-11-04 11:51:30+00", {"readable": "2016-11-04T11:51:30Z"}),
    ("timestamptz", 3, "2016-11-04 11:51:30.5+00", {"readable": "2016-11-04T11:51:30.500Z"}),
    ("timestamptz", -1, "0044-03-15 11:51:30.5+00 BC",
     {"readable": "-0043-03-15T11:51:30.500000Z"}),
    ("timestamptz", -1, "infinity", {"readable": "infinity", "debezium": "infinity"}),
    ("interval", -1, "P1Y2M3DT4H5M6.78S",
     {"readable": "P1Y2M3DT4H5M6.78S", "precise": 37091106780000}),
    ("interval", -1, "P-1Y-2M3DT-4H-5M-6.000001S",
     {"readable": "P-1Y-2M3DT-4H-5M-6.000001S", "precise": -36572706000001}),
    ("interval", -1, "PT0S", {"readable": "P0Y0M0DT0H0M0S", "precise": 0}),
    ("interval", -1, "PT-0.5S", {"readable": "P0Y0M0DT0H0M-0.5S", "precise": -500000}),
    ("interval", -1, "PT1.235S",
     {"readable": "P0Y0M0DT0H0M1.235S", "precise": 1235000, "debezium": 1234999,
      "isostring of debezium": "P0Y0M0DT0H0M1.234999999S"}),
    ("interval", -1, "P178000000Y", {"precise": NO_VALUE, "debezium": 2**63 - 1}),
    ("interval", -1, "infinity", {"readable": "infinity", "precise": NO_VALUE}),
    ("point", -1, "(1,2)",
     {"precise": {"x": 1.0, "y": 2.0, "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": None}}),
    ("point", -1, "(NaN,Infinity)",
     {"precise": {"x": "NaN", "y": "Infinity", "wkb": "AQEAAAAAAAAAAAD4fwAAAAAAAPB/",
                  "srid": None}}),
    ("polygon", -1, "((0,0),(1,1))",
     {"precise": "((0,0),(1,1))", "debezium": "KCgwLjAsMC4wKSwoMS4wLDEuMCkp"}),
    ("geometry", -1, "0101000020E6100000000000000000F03F0000000000000040",
     {"precise": {"wkb": "AQEAACDmEAAAAAAAAAAA8D8AAAAAAAAAQA==", "srid": 4326}}),
    ("geography", -1, "0101000000000000000000F03F0000000000000040",
     {"precise": {"wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": None}}),
    ("hstore", -1, '"a"=>"x\\"y", "b"=>NULL, "c"=>"", "zz"=>"1", "aaa"=>"2", "key1"=>"1", '
     '"key2"=>"2"',
     {"precise": '{"zz":"1","aaa":"2","key1":"1","a":"x\\"y","key2":"2","b":null,"c":""}',
      "double": {"a": 'x"y', "b": None, "c": "", "zz": "1", "aaa": "2", "key1": "1",
                 "key2": "2"}}),
    ("hstore", -1, "", {"precise": "{}", "double": {}}),
    ("vector", -1, "[1,2.5]", {"precise": [1.0, 2.5], "readable": [1.0, 2.5]}),
    ("halfvec", -1, "[1,-2.5]", {"precise": [1.0, -2.5]}),
    ("sparsevec", -1, "{1:301,9:309}/3000",
     {"precise": {"dimensions": 3000, "vector": [[1, 301.0], [9, 309.0]]},
      "readable": "{1:301,9:309}/3000"}),
    ("sparsevec", -1, "{}/5",
     {"precise": {"dimensions": 5, "vector": []}, "debezium": NO_VALUE}),
    ("sparsevec", -1, "{1:1}/100000", {"precise": NO_VALUE, "readable": "{1:1}/100000"}),
    ("pg_lsn", -1, "16/B374D848",
     {"readable": "16/B374D848", "precise": "16/B374D848", "debezium": "MTYvQjM3NEQ4NDg="}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "modifier", "text", "mode", "value"),
    [
        pytest.param(name, modifier, text, mode, value, id=f"{name} {text[:20]} {mode}")
        for name, modifier, text, by_mode in VALUES
        for mode, value in by_mode.items()
    ],
)
def test_a_value_is_written_as_its_mode_says(
    name: str, modifier: int, text: str, mode: str, value: Any
) -> None:
    column = known(name, MODES[mode], modifier)
    if value is NO_VALUE:
        with pytest.raises(ValueError, match=r"."):
            column.encode_json(text.encode())
    else:
        assert json.loads(column.encode_json(text.encode())) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bool", "yes"),
        ("int4", "1,2"),
        ("int4", ""),
        ("int4", "1e3"),
        ("int2", "32768"),
        ("int8", "9223372036854775808"),
        ("float8", '1"'),
        ("float4", "1e300"),
        ("numeric", "1.5x"),
        ("money", 'x"'),
        ("date", "2016-13-04"),
        ("date", "2016-11-04 "),
        ("time", '04:05:11"'),
        ("timetz", "04:05:11"),
        ("timestamp", "2016-11-04T11:51:30"),
        ("timestamp", "2016-11-04 11:51:30.1234567"),
        ("timestamptz", '2016-11-04 11:51:30"00'),
        ("timestamptz", "2016-11-04 11:51:30+02"),  # Of a session that is not in UTC.
        ("timestamptz", "2016-11-04 11:51:30.5+02"),
        ("interval", "1 day"),
        ("interval", "P99999999999Y"),
        ("bytea", "abc"),
        ("bytea", "\\xfg"),
        ("bit", "12"),
        ("point", "(1)"),
        ("geometry", "01"),
        ("geometry", "0101000020E6"),
        ("hstore", '"a"=>'),
        ("hstore", '"a"=>"1", '),
        ("vector", "1,2"),
        ("sparsevec", "{1}/2"),
        ("int4[]", "{1,,2}"),
        ("int4[]", "{1"),
        ("int4[]", "{1}}"),
        ("text[]", '{"a}'),
        ("text[]", '{"a"b}'),
        ("int4[]", "[0:1={1}"),
    ],
)
def test_bytes_that_are_no_value_of_the_type_have_none(name: str, text: str) -> None:
    column = known(name, modifier=3 if name == "bit" else -1)
    for write in (column.parse, column.encode_json):
        with pytest.raises(ValueError, match=r"."):
            write(text.encode())


def test_a_text_that_is_no_utf8_has_no_value() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        known("text").encode_json(b"\xff")


def test_a_numeric_of_more_digits_than_python_reads_from_a_text_has_its_value() -> None:
    text = b"9" * 20_000 + b".5"
    value = known("numeric").parse(text)
    assert value["scale"] == 1
    assert int.from_bytes(value["value"], "big") == 10**20_001 - 5


def test_a_long_text_that_is_no_numeric_has_no_value() -> None:
    column = known("numeric", modifier=DECIMAL_10_2)
    for text in (b"9" * 600 + b"e99999999.50", b"x" * 700 + b".50"):
        with pytest.raises(ValueError, match="no decimal number"):
            column.parse(text)


def test_an_array_of_more_dimensions_than_postgresql_has_is_none() -> None:
    for depth, is_value in ((6, True), (7, False), (5000, False)):
        text = b"{" * depth + b"1" + b"}" * depth
        column = known("int4[]", MODES["readable"])
        if is_value:
            assert column.encode_json(text) == b"[" * depth + b"1" + b"]" * depth
        else:
            with pytest.raises(ValueError, match="no array"):
                column.encode_json(text)
