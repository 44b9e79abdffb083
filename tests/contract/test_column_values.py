"""The server makes random values, writes their text, and says in SQL what each of them is."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.string import TextLoader

from deploy.local.postgres import LocalPostgres
from producer.column_types.column_type import READABLE, ColumnType, ValueModes
from producer.column_types.registry import column_type
from producer.connect_schema import encode_json
from producer.replication_stream import SESSION_OPTIONS
from producer.type_catalog import TypeCatalog
from tests.fixtures.postgres import Database, PostgresServer
from tests.fixtures.servers import unavailable

VALUES = 300
PRECISE = ValueModes()
MICROS = ValueModes(time_precision_mode="microseconds")
MILLIS = ValueModes(time_precision_mode="connect")
DOUBLE = ValueModes(decimal_handling_mode="double", hstore_handling_mode="map")

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Case:
    """Random values of a type, and two ways to the same: our JSON, and the server's SQL.

    `oracle` is an expression of the value `v`; `read` takes what our JSON says to the same.
    """

    made: str
    oracle: str
    modes: ValueModes = READABLE
    read: Callable[[Any], Any] = lambda value: value


def unscaled(value: str) -> int:
    return int.from_bytes(base64.b64decode(value), "big", signed=True)


def little_endian(value: str) -> int:
    return int.from_bytes(base64.b64decode(value), "little")


def variable_scale(value: dict[str, Any]) -> Decimal:
    return Decimal(unscaled(value["value"])).scaleb(-value["scale"])


def from_base64(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)


# A word of letters that text formats treat in their own way, of a random length.
WORD = (
    "(SELECT coalesce(string_agg(substr(E'ab\"''\\\\\\\\,{}() "
    "\\n\\t\\u0001\\u00e9\\U0001F600NULL=>', "
    "1 + (random() * 24)::int, 1), ''), '') FROM generate_series(1, (random() * 8)::int) AS g "
    "WHERE i IS NOT NULL)"
)
DATE = "('4713-01-01 BC'::date + (random() * 2000000)::int)"
TIMESTAMP = f"({DATE} + random() * interval '1 day')"
MILLISECONDS = "floor(extract(epoch FROM v) * 1000)::bigint"
MICROSECONDS = "(extract(epoch FROM v) * 1000000)::bigint"
ISO_YEARS = "'0001-01-01'::timestamp + random() * interval '9998 years'"
INTERVAL = (
    "make_interval(months => ((random() - 0.5) * 5000)::int, days => ((random() - 0.5) * "
    "5000)::int, secs => (random() - 0.5) * 1e6)"
)
MICRO_DURATION = (
    "(extract(year FROM v) * 12 + extract(month FROM v)) * 2629800000000 + extract(day FROM v) * "
    "86400000000 + (extract(hour FROM v) * 3600 + extract(minute FROM v) * 60 + "
    "extract(second FROM v)) * 1000000"
)
ARRAY_OF = (
    "(SELECT coalesce(array_agg(element), '{{}}') FROM (SELECT {} AS element"
    " FROM generate_series(1, (random() * 4)::int) AS n WHERE i IS NOT NULL) AS made)"
)

CASES = {
    "boolean": Case("random() < 0.5", "v"),
    "smallint": Case("((random() - 0.5) * 65535)::smallint", "v"),
    "integer": Case("((random() - 0.5) * 4294967295)::int", "v"),
    "bigint": Case("((random() - 0.5) * 1e18)::bigint * 9", "v"),
    "oid": Case("((random() * 4294967295)::bigint)::oid", "v::bigint"),
    "real": Case("((random() - 0.5) * 10 ^ (random() * 70 - 35))::real", "v::text::float8"),
    "double": Case("(random() - 0.5) * 10 ^ (random() * 600 - 300)", "v"),
    "numeric as string": Case("((random() - 0.5) * 1e9)::numeric", "v::text"),
    "numeric": Case("((random() - 0.5) * 1e9)::numeric / 7", "v", PRECISE, variable_scale),
    "numeric(20,5)": Case(
        "((random() - 0.5) * 1e13)::numeric(20,5)", "(v * 100000)::bigint", PRECISE, unscaled
    ),
    "money": Case(
        "((random() - 0.5) * 1e9)::numeric::money", "(v::numeric * 100)::bigint", PRECISE, unscaled
    ),
    "text": Case(WORD, "v"),
    "character(9)": Case(f"{WORD}::character(9)", "rpad(v::text, 9)"),
    "json": Case(f"to_json({WORD})", "v::text"),
    "jsonb": Case(f"jsonb_build_object('a', {WORD})", "v::text"),
    "uuid": Case("gen_random_uuid()", "v::text"),
    "inet": Case("'10.0.0.0'::inet + (random() * 10000)::bigint", "host(v)"),
    "bytea": Case(
        f"convert_to({WORD}, 'UTF8')", "v", read=lambda value: base64.b64decode(value)
    ),
    "bit(17)": Case(
        "((random() * 131071)::int)::bit(17)", "v::bit(17)::int", PRECISE, little_endian
    ),
    "varbit as text": Case("(((random() * 131071)::int)::bit(17))::varbit", "v::text"),
    "date": Case(DATE, "v - '1970-01-01'::date", PRECISE),
    "date as text": Case(f"({ISO_YEARS})::date", "v::text || 'Z'"),
    "time": Case(f"{TIMESTAMP}::time", MICROSECONDS, PRECISE),
    "timetz": Case(
        f"{TIMESTAMP}::time AT TIME ZONE ((random() - 0.5) * 20 * interval '1 hour')",
        "(v AT TIME ZONE 'UTC')::time",
        PRECISE,
        lambda value: None,
    ),
    "timestamp": Case(TIMESTAMP, MICROSECONDS, MICROS),
    "timestamp in milliseconds": Case(TIMESTAMP, MILLISECONDS, MILLIS),
    "timestamp as text": Case(ISO_YEARS, "replace(v::text, ' ', 'T') || 'Z'"),
    "timestamptz": Case(f"({ISO_YEARS})::timestamptz",
                        "to_char(v, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || 'Z'"),
    "interval": Case(INTERVAL, f"({MICRO_DURATION})::bigint", PRECISE),
    "int4range": Case("int4range((random() * 10)::int, 10 + (random() * 10)::int)", "v::text"),
    "multirange": Case("int4multirange(int4range(1, 2), int4range(4, 9))", "v::text"),
    "point": Case("point(random(), random())", "ARRAY[v[0], v[1]]", PRECISE,
                  lambda value: [value["x"], value["y"]]),
    "int2vector": Case("'1 2 3'::int2vector", "ARRAY[1, 2, 3]"),
    "integer[]": Case(ARRAY_OF.format("nullif((random() * 5)::int, 0)"), "to_jsonb(v)"),
    "integer[][]": Case("ARRAY[ARRAY[1, (random() * 9)::int], ARRAY[NULL, 3]]", "to_jsonb(v)"),
    "text[]": Case(ARRAY_OF.format(f"nullif({WORD}, 'a')"), "to_jsonb(v)"),
    "boolean[]": Case(ARRAY_OF.format("random() < 0.5"), "to_jsonb(v)"),
    "float8[]": Case(ARRAY_OF.format("random()"), "to_jsonb(v)"),
    "jsonb[]": Case(ARRAY_OF.format(f"to_jsonb({WORD})"), "v::text[]"),
    "bytea[]": Case(ARRAY_OF.format(f"convert_to({WORD}, 'UTF8')"), "v",
                    read=lambda value: [from_base64(element) for element in value]),
    "date[]": Case(ARRAY_OF.format(DATE), "(SELECT coalesce(array_agg(d - '1970-01-01'::date), "
                   "'{}') FROM unnest(v) AS d)", PRECISE),
    "box[]": Case("ARRAY[box(point(1, 2), point(3, 4)), box(point(0, 0), point(1, 1))]",
                  "ARRAY[v[1]::text, v[2]::text]"),
}  # fmt: skip


def connected(dsn: str) -> closing[Connection]:
    """Open a session whose texts are those of the stream; its random values can be had again."""
    connection = psycopg.connect(dsn, options=SESSION_OPTIONS, autocommit=True)
    connection.execute("SELECT setseed(%s)", [random.uniform(-1, 1)])
    for name in ("date", "timestamp", "interval"):
        # Python's own types cannot hold all the values that are made here.
        connection.adapters.register_loader(name, TextLoader)
    return closing(connection)


@pytest.fixture
def connection(postgres_server: PostgresServer) -> Iterator[Connection]:
    """A session for what needs PostgreSQL's own types only: it makes nothing."""
    with connected(postgres_server.dsn("postgres")) as connection:
        yield connection


@pytest.fixture
def own_connection(database: Database) -> Iterator[Connection]:
    """A session in a database of the test's own."""
    with connected(database.dsn) as connection:
        yield connection


def texts_and_answers(
    connection: Connection, made: str, oracle: str
) -> tuple[tuple[int, int], list[tuple[bytes, Any]]]:
    """Return the oid and modifier of the values, and each one's text and the server's answer."""
    cursor = connection.execute(
        f"SELECT v, {oracle} AS answer FROM (SELECT {made} AS v"
        f" FROM generate_series(1, {VALUES}) AS s (i) OFFSET 0) AS t"
    )
    result = cursor.pgresult
    assert result is not None
    texts = [result.get_value(row, 0) for row in range(result.ntuples)]
    # psycopg would not know every type of the first column, and need not.
    answers = [row[1] for row in cursor.fetchall()]
    return (result.ftype(0), result.fmod(0)), [
        (text, answer) for text, answer in zip(texts, answers, strict=True) if text is not None
    ]


def column_of(connection: Connection, oid: int, modifier: int, modes: ValueModes) -> ColumnType:
    found = column_type(TypeCatalog(connection).facts([oid])[oid], modifier, modes)
    assert found is not None
    return found


def check(connection: Connection, case: Case) -> None:
    (oid, modifier), values = texts_and_answers(connection, case.made, case.oracle)
    column = column_of(connection, oid, modifier, case.modes)
    assert values
    for text, answer in values:
        written = column.encode_json(text)
        assert written == encode_json(column.schema, column.parse(text))
        assert case.read(json.loads(written)) == answer, text


@pytest.mark.parametrize("name", [name for name in CASES if name != "timetz"])
def test_a_value_is_what_the_server_says(connection: Connection, name: str) -> None:
    check(connection, CASES[name])


def test_a_time_with_zone_is_the_servers_in_utc(connection: Connection) -> None:
    case = CASES["timetz"]
    (oid, _), values = texts_and_answers(connection, case.made, case.oracle)
    column = column_of(connection, oid, -1, case.modes)
    for text, answer in values:
        assert column.parse(text) == f"{answer.isoformat().rstrip('0').rstrip('.')}Z" or (
            answer.microsecond == 0 and column.parse(text) == f"{answer.isoformat()}Z"
        )
        assert column_of(connection, oid, -1, READABLE).parse(text).startswith(text[:8].decode())


@pytest.mark.parametrize(
    ("type_name", "made"),
    [
        ("interval", INTERVAL),
        ("varbit", CASES["varbit as text"].made),
        ("timetz", CASES["timetz"].made),
        ("numeric", "((random() - 0.5) * 1e9)::numeric / 7"),
        ("tsvector", f"array_to_tsvector(ARRAY['x' || {WORD}])"),
        ("int4multirange", CASES["multirange"].made),
        ("point[]", "ARRAY[point(1, 2)]"),
    ],
)
def test_the_server_reads_a_readable_value_back(
    connection: Connection, type_name: str, made: str
) -> None:
    (oid, modifier), values = texts_and_answers(connection, made, "NULL")
    column = column_of(connection, oid, modifier, READABLE)
    if type_name == "point[]":
        assert column.parse(values[0][0])[0]["x"] == 1.0
        return
    for text, _ in values:
        row = connection.execute(
            f"SELECT %s::{type_name} = %s::{type_name}", [column.parse(text), text.decode()]
        ).fetchone()
        assert row == (True,), text


@pytest.fixture
def users_types(own_connection: Connection) -> Connection:
    """A session with types of the user's own."""
    connection = own_connection
    connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    connection.execute("CREATE TYPE pair AS (a int, b text)")
    connection.execute("CREATE TYPE floats AS RANGE (subtype = float8)")
    connection.execute("CREATE DOMAIN price AS numeric(10,2)")
    connection.execute("CREATE DOMAIN cheap AS price CHECK (VALUE < 100)")
    connection.execute("CREATE DOMAIN tags AS text[]")
    connection.execute("ALTER TYPE mood ADD VALUE 'fine' BEFORE 'ok'")
    return connection


def facts_of(connection: Connection, type_name: str) -> Any:
    row = connection.execute("SELECT %s::regtype::oid::int8", [type_name]).fetchone()
    assert row is not None
    oid = int(str(row[0]))
    return TypeCatalog(connection).facts([oid])[oid]


def test_the_catalogue_tells_what_types_are_made_of(users_types: Connection) -> None:
    mood = facts_of(users_types, "mood[]")
    assert (mood.pg_schema, mood.name, mood.kind) == ("public", "_mood", "b")
    assert (mood.element.kind, mood.element.labels) == ("e", ("sad", "fine", "ok"))
    cheap = facts_of(users_types, "cheap")
    assert (cheap.kind, cheap.base.name, cheap.base.base.name) == ("d", "price", "numeric")
    assert facts_of(users_types, "pair").kind == "c"
    assert facts_of(users_types, "int4range").kind == "r"
    assert facts_of(users_types, "tags").base.element.name == "text"
    assert facts_of(users_types, "point").element is None
    assert facts_of(users_types, "box[]").element.delimiter == ";"


def test_a_dropped_type_has_no_name_and_its_values_stay_text(connection: Connection) -> None:
    facts = TypeCatalog(connection).facts([999_999])[999_999]
    assert (facts.name, facts.kind) == ("", "b")
    column = column_type(facts, -1, READABLE)
    assert column is not None
    assert column.parse(b"(1,x)") == "(1,x)"


def test_a_label_added_later_is_known_once_the_catalogue_forgets(users_types: Connection) -> None:
    catalog = TypeCatalog(users_types)
    oid = facts_of(users_types, "mood").oid
    before = catalog.facts([oid])[oid].labels
    users_types.execute("ALTER TYPE mood ADD VALUE 'happy'")
    assert catalog.facts([oid])[oid].labels == before
    catalog.forget()
    assert catalog.facts([oid])[oid].labels == (*before, "happy")


def test_what_is_known_of_built_in_types_is_what_the_server_says(connection: Connection) -> None:
    asked = TypeCatalog(connection)
    rows = connection.execute(
        "SELECT oid::int8 FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace"
        " AND typtype = 'b'"
    ).fetchall()
    oids = [int(str(row[0])) for row in rows]
    constants = TypeCatalog(connection).facts(oids)
    asked._known.clear()  # Else it would not ask.
    assert constants == asked.facts(oids)


@pytest.mark.parametrize(
    ("made", "oracle", "modes", "read"),
    [
        ("(ARRAY['sad', 'ok'])[1 + (random())::int]::mood", "v::text", READABLE, None),
        ("(random() * 99)::numeric(4,2)::cheap", "v::text", READABLE, None),
        ("(random() * 99)::numeric(4,2)::cheap", "(v * 100)::int", PRECISE, unscaled),
        (f"ARRAY[{WORD}]::tags", "v::text[]", READABLE, None),
        (f"ROW(1, {WORD})::pair", "v::text", READABLE, None),
        ("floats(random(), 1 + random())", "v::text", READABLE, None),
    ],
)  # fmt: skip
def test_users_types_are_what_the_server_says(
    users_types: Connection,
    made: str,
    oracle: str,
    modes: ValueModes,
    read: Callable[[Any], Any] | None,
) -> None:
    case = Case(made, oracle, modes)
    check(users_types, case if read is None else replace(case, read=read))


def has_extension(connection: Connection, name: str) -> None:
    row = connection.execute(
        "SELECT FROM pg_available_extensions WHERE name = %s", [name]
    ).fetchone()
    if row is None:
        unavailable(f"PostgreSQL has no extension {name} here")
    connection.execute(f"CREATE EXTENSION {name}")


@pytest.mark.parametrize(
    ("extension", "case"),
    [
        ("citext", Case(f"{WORD}::citext", "v::text")),
        ("ltree", Case("text2ltree('a.b' || (random() * 9)::int)", "v::text")),
        ("isn", Case("'978-0-393-04002-9'::isbn", "v::text")),
        (
            "hstore",
            Case(
                f"hstore(ARRAY['a', {WORD}, 'c'], ARRAY[{WORD}, NULL, 'd'])",
                "hstore_to_json(v)",
                DOUBLE,
            ),
        ),
        (
            "hstore",
            Case(
                f"hstore({WORD}, {WORD})", "hstore_to_json(v)", read=lambda value: json.loads(value)
            ),
        ),
        (
            "postgis",
            Case(
                "ST_SetSRID(ST_MakePoint(random(), random()), (ARRAY[0, 4326])[1 + random()::int])",
                "ARRAY[encode(ST_AsEWKB(v), 'hex'), nullif(ST_SRID(v), 0)::text]",
                PRECISE,
                lambda value: [
                    base64.b64decode(value["wkb"]).hex(),
                    value["srid"] and str(value["srid"]),
                ],
            ),
        ),
        (
            "postgis",
            Case(
                "ARRAY[ST_MakePoint(1, 2), ST_MakePoint(3, 4)]",
                "2",
                PRECISE,
                lambda value: len(value),
            ),
        ),
    ],
)
def test_an_extensions_types_are_what_the_server_says(
    own_connection: Connection, extension: str, case: Case
) -> None:
    has_extension(own_connection, extension)
    check(own_connection, case)


@pytest.mark.parametrize(
    "case",
    [
        Case("ARRAY[random(), 1]::vector", "v::text::jsonb", PRECISE),
        Case("ARRAY[random(), 1]::halfvec", "v::text::jsonb", PRECISE),
        Case("'{1:1.5,3:2}/5'::sparsevec", "v::text"),
    ],
)
def test_a_vector_is_what_the_server_says(vector_server: LocalPostgres, case: Case) -> None:
    with connected(vector_server.dsn("postgres")) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        check(connection, case)
