"""The column types that are compared, with the values worth a look of each. Pure.

A value is the text that PostgreSQL reads as the type's; the first ones of each kind are the
usual, the later ones the extremes. NULL goes without saying.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

ENUM_LABELS = ("sad", "ok", "so-so", 'qu"ote', "ö")

SETUP = (
    "CREATE EXTENSION IF NOT EXISTS citext",
    "CREATE EXTENSION IF NOT EXISTS hstore",
    "CREATE EXTENSION IF NOT EXISTS isn",
    "CREATE EXTENSION IF NOT EXISTS ltree",
    "CREATE EXTENSION IF NOT EXISTS cube",
    "CREATE TYPE mood AS ENUM ("
    + ", ".join("'" + label.replace("'", "''") + "'" for label in ENUM_LABELS)
    + ")",
    "CREATE TYPE \"Odd Enum\" AS ENUM ('A', 'b c')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE TYPE float_range AS RANGE (subtype = float8)",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE DOMAIN price AS numeric(8,3)",
    "CREATE DOMAIN discount AS price",
    "CREATE DOMAIN amount AS numeric",
    "CREATE DOMAIN title AS varchar(20)",
    "CREATE DOMAIN moment AS timestamp(2)",
    "CREATE DOMAIN numbers AS int[]",
    "CREATE DOMAIN document AS jsonb",
)
"""What the kinds need in the database; each statement may fail where it is not to be had."""

OPTIONAL_EXTENSIONS = ("postgis", "vector")


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """A type of column and its interesting values."""

    name: str
    sql_type: str
    values: tuple[str, ...]
    family: str = ""
    """What makes random values of it (`random_values`); empty picks from `values`."""
    can_be_key: bool = True
    can_be_required: bool = True
    """False where Debezium has no value for any: a NOT NULL column then ends its connector."""
    defaults: tuple[str, ...] = ()
    """SQL expressions for a DEFAULT clause."""
    extension: str = ""
    """The optional extension the kind needs."""


def _kind(sql_type: str, *values: str, name: str = "", **rest: object) -> ColumnKind:
    made = name or "".join(c if c.isalnum() else "_" for c in sql_type).strip("_")
    return replace(ColumnKind(made, sql_type, values), **rest)  # type: ignore[arg-type]


_TIMES = ("04:05:06.789123", "00:00:00", "24:00:00", "23:59:59.999999", "12:00:00.5", "00:00:00.1")
_TIMESTAMPS = (
    "2016-11-04 13:51:30.123456",
    "1970-01-01 00:00:00",
    "1969-12-31 23:59:59.999999",
    "0001-01-01 00:00:00",
    "1582-10-04 12:00:00",
    "1900-02-28 23:00:00.5",
    "9999-12-31 23:59:59.999999",
)
_FAR_TIMESTAMPS = (
    "infinity",
    "-infinity",
    "4713-11-24 00:00:00 BC",
    "0044-03-15 12:00:00.25 BC",
    "0001-12-31 23:59:59 BC",
    "10000-01-01 00:00:00",
    "294276-12-31 23:59:59.999999",
    "100000-06-01 01:02:03",
)
_ZONED = (
    *(f"{value}+00" for value in _TIMESTAMPS),
    "2011-06-01 02:03:04.5-07",
    "2020-02-29 23:59:59.123+13:45",
)
_FAR_ZONED = tuple(value.replace(" BC", "+00 BC") for value in _FAR_TIMESTAMPS)
_NUMERICS = ("0", "1", "-1.5", "123.45", "99999.99", "-99999.99", "0.01", "-0.004")

KINDS: tuple[ColumnKind, ...] = (
    # Truth and bits.
    _kind("boolean", "true", "false", family="boolean", defaults=("true",)),
    _kind("bit(1)", "1", "0", defaults=("B'1'",)),
    _kind(
        "bit(7)", "0000001", "1000000", "0000000", "1111111", "0101010", defaults=("B'0000011'",)
    ),
    _kind("bit(64)", "1" * 64, "0" * 64, "1" + "0" * 63, "0" * 63 + "1", "01" * 32),
    _kind("bit varying(1)", "1", "0"),
    _kind("bit varying(20)", "1", "", "0", "0000000100000001", "10" * 10),
    _kind("bit varying", "1", "", "110" * 30, name="varbit_unbounded"),
    # Whole numbers.
    _kind("smallint", "0", "1", "-1", "32767", "-32768", family="int2", defaults=("7", "-3")),
    _kind("integer", "0", "1", "-1", "2147483647", "-2147483648", family="int4", defaults=("42",)),
    _kind(
        "bigint",
        *("0", "1", "-1", "9223372036854775807", "-9223372036854775808"),
        family="int8",
        defaults=("9007199254740993",),
    ),
    _kind("oid", "0", "1", "2147483648", "4294967295"),
    # Floating point.
    _kind(
        "real",
        *(
            "0",
            "-0",
            "1",
            "1.1",
            "-1.5",
            "3.4028235e+38",
            "1e-45",
            "1e10",
            "123456.79",
            "2.84066e15",
        ),
        *("16777216", "0.001", "0.0001", "1e7", "NaN", "Infinity", "-Infinity"),
        family="float",
        defaults=("1.5",),
    ),
    _kind(
        "double precision",
        *("0", "-0", "1", "1.1", "-1.5", "1.7976931348623157e+308", "5e-324", "1e22", "1e21"),
        *("123456789.123456789", "9007199254740993", "0.001", "0.0001", "1e7", "2e-5"),
        *("NaN", "Infinity", "-Infinity"),
        family="float",
        defaults=("2.5", "'NaN'"),
    ),
    # Decimals.
    _kind("numeric(7,2)", *_NUMERICS, "NaN", family="numeric", defaults=("1.5", "0.00")),
    _kind("numeric(5,0)", "0", "1", "-99999", "12345", family="numeric", defaults=("3",)),
    _kind("numeric(20,19)", "1.2345678901234567890", "0", "-9.9999999999999999999"),
    _kind("numeric(38,10)", "1234567890123456789012345678.0123456789", "-1e-10", "0"),
    _kind("numeric(3,-2)", "100", "-99900", "0", "12345"),
    _kind("numeric(2,5)", "0.00012", "-0.00099", "0"),
    _kind(
        "numeric",
        *(*_NUMERICS, "1e30", "-1e-30", "100", "1.10", "1.000", "0.0", "1200", "12e100"),
        *("123456789012345678901234567890.123456789", "NaN", "Infinity", "-Infinity"),
        family="numeric",
        defaults=("1.5", "0"),
    ),
    _kind("money", "1.5", "0", "-1234.56", "92233720368547758.07", "-92233720368547758.08"),
    # Text.
    _kind(
        "text",
        *("plain", "", " ", "NULL", "null", "a\tb\nc\r", 'qu"ote', "it's", "back\\slash"),
        *("ä€漢😀", "\u2028\u2029", "\x01\x1f\x7f", "</script>&<>", "x" * 3000, "__debezium"),
        family="text",
        defaults=("'some text'", "''", "'it''s'"),
    ),
    _kind("character(5)", "abc", "", "abcde", "ä", family="short_text", defaults=("'ab'",)),
    _kind("varchar(10)", "abc", "", "0123456789", "ä€漢😀", family="short_text", defaults=("'x'",)),
    _kind("varchar", "abc", "", "x" * 300, family="text", name="varchar_unbounded"),
    _kind("bpchar", "abc", "  padded  ", "", name="bpchar_unbounded"),
    _kind('"char"', "a", "\\", "", name="one_char"),
    _kind("name", "pg_class", ""),
    _kind("citext", "MiXed", "", "ß"),
    # Bytes.
    _kind(
        "bytea",
        *("\\x00", "\\x", "\\xdeadbeef", "\\x" + "ff" * 300, "\\x616263", "\\xfbff"),
        family="bytea",
        defaults=("'\\x0102'",),
    ),
    # Documents.
    _kind(
        "json",
        *('{"a": 1,  "a": 2}', "null", "[]", '"text"', '{"b":[1,2.50,{"c":null}]}', "1e400"),
        can_be_key=False,
        family="json",
        defaults=("'{}'",),
    ),
    _kind(
        "jsonb",
        *('{"b": 1, "a": [1, 2.50]}', "null", "[]", '"te\\"xt"', "{}", "12345678901234567890"),
        family="json",
        defaults=("'{\"a\": 1}'",),
    ),
    _kind("xml", "<a/>", "<a b='c'>d&amp;</a>", "plain", can_be_key=False),
    _kind(
        "uuid",
        *("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"),
        family="uuid",
        defaults=("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "gen_random_uuid()"),
    ),
    _kind("ltree", "Top.Science.Astronomy", "", "a"),
    _kind("lquery", "Top.*{0,2}", can_be_key=False),
    _kind("tsvector", "fat cat", "'a':1A 'b':2,3", "", can_be_key=False),
    _kind("tsquery", "fat & cat", "!a", can_be_key=False),
    _kind("jsonpath", "$.a[*]", can_be_key=False),
    # Enums.
    _kind("mood", *ENUM_LABELS, name="enum", defaults=("'ok'",)),
    _kind('"Odd Enum"', "A", "b c", name="odd_enum"),
    # Time.
    _kind(
        "date",
        *("2016-11-04", "1970-01-01", "1969-12-31", "0001-01-01", "1582-10-04", "9999-12-31"),
        *(
            "infinity",
            "-infinity",
            "4713-01-01 BC",
            "0044-03-15 BC",
            "10000-01-01",
            "5874897-12-31",
        ),
        family="date",
        defaults=("'2020-02-29'", "current_date"),
    ),
    *(
        _kind(f"time{p}", *_TIMES, family="time", defaults=("'01:02:03.456'",))
        for p in ("", "(0)", "(1)", "(3)", "(4)", "(6)")
    ),
    _kind(
        "time with time zone",
        *("04:05:06.789123-08", "00:00:00+00", "24:00:00+00", "23:59:59.9+15:59", "12:00:00-12:30"),
        *("13:51:30+02", "11:51:30.123-00:30"),
        name="timetz",
        defaults=("'01:02:03+01'",),
    ),
    *(
        _kind(f"time({p}) with time zone", "04:05:06.789123-08", "12:00:00+02", name=f"timetz_{p}")
        for p in (0, 3)
    ),
    *(
        _kind(
            f"timestamp{p}",
            *(*_TIMESTAMPS, *_FAR_TIMESTAMPS),
            family="timestamp",
            defaults=("'2020-02-29 01:02:03.456789'", "now()"),
        )
        for p in ("", "(0)", "(1)", "(3)", "(4)", "(6)")
    ),
    _kind(
        "timestamptz",
        *(*_ZONED, *_FAR_ZONED),
        family="timestamptz",
        defaults=("'2020-02-29 01:02:03.456789+00'", "now()"),
    ),
    *(_kind(f"timestamptz({p})", *_ZONED, *_FAR_ZONED, family="timestamptz") for p in (0, 1, 3, 6)),
    _kind(
        "interval",
        *("1 year 2 months 3 days 04:05:06.78", "0", "-1 day", "-00:00:00.000001"),
        *("1 mon -1 day", "-1 year -2 months +3 days -04:05:06.7", "100 years", "25:00:00"),
        *("178000000 years", "1.5 seconds", "2 days 12:00:00", "-3 months 00:00:01"),
        family="interval",
        defaults=("'1 day'",),
    ),
    _kind("interval(3)", "1.23456 seconds", "1 day 00:00:00.5"),
    _kind("interval year to month", "1 year 2 months", "-5 months"),
    # Networks.
    _kind("inet", "192.168.0.1", "192.168.0.1/24", "::1", "2001:db8::/32", "0.0.0.0/0"),
    _kind("cidr", "192.168.0.0/24", "::/0", "10.0.0.1/32"),
    _kind("macaddr", "08:00:2b:01:02:03"),
    _kind("macaddr8", "08:00:2b:01:02:03:04:05"),
    # Ranges.
    _kind("int4range", "[1,10)", "empty", "(,5]", "[1,1]", "(,)"),
    _kind("int8range", "[1,10000000000)", "empty"),
    _kind("numrange", "[1.5,2.50)", "(0,)", "[NaN,NaN]"),
    _kind("tsrange", "[2019-03-31 15:30:00, infinity)", "empty", "(,2019-01-01 00:00:00.5]"),
    _kind("tstzrange", '["2019-03-31 15:30:00+00","2020-01-01 00:00:00+02")', "empty", "[,]"),
    _kind("daterange", "[2019-03-31, infinity)", "[2019-01-01,2019-01-02]"),
    _kind("float_range", "[1,2.5)", "empty"),
    _kind("int4multirange", "{[1,3),[5,9)}", "{}"),
    # Collections.
    _kind(
        "hstore",
        *('a=>1, b=>NULL, "c d"=>"e\\"f"', "", 'k=>""', '"ä"=>"ß", zz=>1, b=>2, aa=>3'),
        *('key1=>v1, key2=>v2, key3=>v3, key10=>v10, another=>"x,y", "=>"=>"=>"',),
        can_be_key=False,
    ),
    _kind("isbn", "978-0-393-04002-9"),
    # Geometry.
    _kind("point", "(1,2)", "(0,-0)", "(1.5,-2e300)", "(NaN,Infinity)", can_be_key=False),
    _kind("box", "(1,2),(0,0)", can_be_key=False),
    _kind("lseg", "[(0,0),(1,2)]", can_be_key=False),
    _kind("path", "[(0,0),(1,2)]", "((0,0),(1,2),(3,4))", can_be_key=False),
    _kind("polygon", "((0,0),(1,2),(3,4))", can_be_key=False),
    _kind("circle", "<(1,2),3>", can_be_key=False),
    _kind("line", "{1,2,3}", can_be_key=False),
    # What Debezium has no form of its own for.
    _kind("pair", '(1,"a b")', "(,)", name="composite", can_be_key=False),
    _kind("pg_lsn", "16/B374D848", "0/0"),
    _kind("txid_snapshot", "10:20:10,14,15", can_be_key=False),
    _kind("xid", "42", can_be_key=False),
    _kind("tid", "(1,2)", can_be_key=False),
    _kind("regclass", "pg_class", can_be_key=False),
    _kind("int2vector", "1 2 3", can_be_key=False),
    _kind("cube", "(1,2),(3,4)"),
    # Domains.
    _kind("positive", "1", "2147483647", name="domain_int"),
    _kind("price", "1.5", "-99999.999", name="domain_numeric"),
    _kind("discount", "1.5", "0", name="domain_of_domain"),
    _kind("amount", "1.5", "0", name="domain_numeric_unbounded"),
    _kind("title", "Mr", "", name="domain_varchar"),
    _kind("moment", "2016-11-04 13:51:30.123456", name="domain_timestamp"),
    # No domain over an enum: Debezium 3.6.1 does not start where the database has one.
    _kind("numbers", "{1,2}", name="domain_array", can_be_key=False),
    _kind("document", '{"a": 1}', name="domain_jsonb"),
    # Extensions that not every server has.
    *(
        _kind(sql_type, *values, name=name, can_be_key=False, extension="postgis")
        for name, sql_type, values in (
            (
                "geometry",
                "geometry",
                ("POINT(1 2)", "SRID=4326;LINESTRING(0 0,1 1)", "POINT EMPTY"),
            ),
            ("geometry_point", "geometry(Point,3187)", ("SRID=3187;POINT(174.9 -36.7)",)),
            ("geography", "geography", ("POINT(1 2)", "POLYGON((0 0,1 0,1 1,0 0))")),
            ("geometry_z", "geometry(PointZ)", ("POINT Z(1 2 3)",)),
            ("geometry_array", "geometry[]", ("{}",)),
        )
    ),
    *(
        _kind(sql_type, *values, name=name, can_be_key=False, extension="vector")
        for name, sql_type, values in (
            ("vector", "vector", ("[1,2,3]", "[0.1,-2.5e-3]")),
            ("vector_3", "vector(3)", ("[1,2,3]",)),
            ("halfvec", "halfvec(3)", ("[1,2.5,-3]",)),
            ("sparsevec", "sparsevec(25)", ("{1:0.1,3:0.2,25:0.3}/25", "{}/25")),
        )
    ),
)


def _array(sql_type: str, *values: str, **rest: object) -> ColumnKind:
    name = "array_of_" + "".join(c if c.isalnum() else "_" for c in sql_type).strip("_")
    usual = ("{}", "{NULL}")
    return _kind(f"{sql_type}[]", *values, *usual, name=name, can_be_key=False, **rest)


ARRAY_KINDS: tuple[ColumnKind, ...] = (
    _array("boolean", "{t,f}"),
    _array("bit(1)", "{1,0}", can_be_required=False),
    _array("bit(7)", "{0000001,1000000}", can_be_required=False),
    _array("varbit", "{1,0101}"),
    _array("smallint", "{1,-2}"),
    _array("integer", "{1,NULL,-2147483648}", "{{1,2},{3,4}}", "[5:6]={1,2}"),
    _array("bigint", "{1,9223372036854775807}"),
    _array("oid", "{1,4294967295}"),
    _array("real", "{1.5,NaN,-Infinity}"),
    _array("double precision", "{1.5,NaN,1e22}"),
    _array("numeric(7,2)", "{1.5,-2}"),
    _array("numeric", "{1.50,-2e30}"),
    _array("money", "{1.5}"),
    _array("text", '{a,"b c","NULL",NULL,"q\\"\\\\","",ä}', "{{a,b},{c,d}}"),
    _array("varchar(10)", '{a,"b,c"}'),
    _array("character(5)", "{ab}"),
    _array("name", "{a}"),
    _array("citext", "{aB}"),
    _array("bytea", '{"\\\\x00ff","\\\\x"}'),
    _array("json", '{"{\\"a\\": 1}",null}'),
    _array("jsonb", '{"{\\"a\\": 1}","[1, 2]"}'),
    _array("xml", "{<a/>}"),
    _array("uuid", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"),
    _array("ltree", "{a.b}", can_be_required=False),
    _array("tsvector", "{\"'a' 'b'\"}", can_be_required=False),
    _array("mood", '{ok,"so-so","qu\\"ote"}', can_be_required=False),
    _array("date", "{2016-11-04,0044-03-15 BC}", "{infinity}"),
    _array("time", "{04:05:06.789,24:00:00}"),
    _array("time(3)", "{04:05:06.789}"),
    _array("timetz", "{04:05:06-08}"),
    _array("timestamp", '{"2016-11-04 13:51:30.123456"}', "{infinity,0044-03-15 12:00:00 BC}"),
    _array("timestamp(3)", '{"2016-11-04 13:51:30.123"}'),
    _array(
        "timestamptz", '{"2016-11-04 13:51:30.123456+02"}', "{infinity,0044-03-15 12:00:00+00 BC}"
    ),
    _array("interval", '{"1 day","1 year 2 months"}'),
    _array("inet", "{192.168.0.1/24,::1}"),
    _array("cidr", "{10.0.0.0/8}"),
    _array("macaddr", "{08:00:2b:01:02:03}"),
    _array("macaddr8", "{08:00:2b:01:02:03:04:05}"),
    _array("int4range", '{"[1,10)",empty}'),
    _array("numrange", '{"[1.5,2)"}'),
    _array("tsrange", '{"[\\"2019-03-31 15:30:00\\",infinity)"}'),
    _array("tstzrange", '{"[\\"2019-03-31 15:30:00+00\\",infinity)"}'),
    _array("daterange", '{"[2019-03-31,infinity)"}'),
    _array("hstore", '{"a=>1","b=>NULL"}'),
    _array("point", '{"(1,2)"}'),
    _array("isbn", "{978-0-393-04002-9}", can_be_required=False),
    _array("pair", '{"(1,a)"}', can_be_required=False),
    _array("positive", "{1,2}", can_be_required=False),
    _array("price", "{1.5}", can_be_required=False),
    _array("title", "{Mr}", can_be_required=False),
    _array("pg_lsn", "{16/B374D848}", can_be_required=False),
)

ALL_KINDS = KINDS + ARRAY_KINDS
