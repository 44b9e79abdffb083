"""The producer as a process on real servers: what it makes, publishes and confirms."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from schemas.change_id import parse_lsn
from tests.fixtures.capture import Capture
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import eventually


def test_publication_and_slot_are_made_once(capture: Capture) -> None:
    look = "SELECT oid FROM pg_publication"
    capture.start().terminate()
    publication = capture.execute(look)
    confirmed = capture.confirmed_lsn()
    capture.start()
    assert capture.execute(look) == publication
    assert capture.confirmed_lsn() >= confirmed


def test_changes_made_while_it_was_down_arrive(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    capture.start().terminate()
    capture.execute("INSERT INTO todo VALUES (1, 'Sleep')")
    capture.start()
    assert [v["after"] for v in capture.values("todo", 1)] == [{"id": 1, "task": "Sleep"}]


POINT_WKB = "AQEAAAAAAAAAAADwPwAAAAAAAABA"
TYPES_AND_VALUES = [
    ("bool", "true", True),
    ("smallint", "-32768", -32768),
    ("integer", "2147483647", 2147483647),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("oid", "26", 26),
    ("real", "1.1", 1.1),
    ("double precision", "1e-300", 1e-300),
    ("double precision", "'-Infinity'", "-Infinity"),
    ("numeric", "12345678901234567890.1234567890", "12345678901234567890.1234567890"),
    ("numeric(10,2)", "1.5", "1.50"),
    ("numeric", "'NaN'", "NaN"),
    ("money", "1.5", "1.50"),
    ("text", "E'é\\\\\"\\n\\u0001😀'", 'é\\"\n\x01😀'),
    ("varchar(10)", "'ab'", "ab"),
    ("char(4)", "'ab'", "ab  "),
    ('"char"', "'x'", "x"),
    ("name", "'n'", "n"),
    ("bytea", "'\\x00ff'", "AP8="),
    ("date", "'2016-11-04'", "2016-11-04Z"),
    ("date", "'-infinity'", "-infinity"),
    ("time", "'04:05:11.789'", "04:05:11.789Z"),
    ("timetz", "'04:05:11+02'", "04:05:11+02:00"),
    ("timestamp", "'2016-11-04 11:51:30'", "2016-11-04T11:51:30Z"),
    ("timestamptz", "'2016-11-04 13:51:30.5+02'", "2016-11-04T11:51:30.500000Z"),
    ("timestamptz(3)", "'2016-11-04 13:51:30.5+02'", "2016-11-04T11:51:30.500Z"),
    ("interval", "'1 year 2 days 03:04:05'", "P1Y0M2DT3H4M5S"),
    ("json", '\'{"a": "\\u0000"}\'', '{"a": "\\u0000"}'),
    ("jsonb", '\'{"b": 1, "a": [1.50]}\'', '{"a": [1.50], "b": 1}'),
    ("xml", "'<a/>'", "<a/>"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("inet", "'192.168.0.1/24'", "192.168.0.1/24"),
    ("macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
    ("bit(3)", "B'101'", "101"),
    ("varbit", "B'10'", "10"),
    ("point", "'(1,2)'", {"x": 1.0, "y": 2.0, "wkb": POINT_WKB, "srid": None}),
    ("polygon", "'((0,0),(1,1))'", "((0,0),(1,1))"),
    ("int4range", "'[1,3)'", "[1,3)"),
    ("int4multirange", "'{[1,3)}'", "{[1,3)}"),
    ("tsvector", "'a b'", "'a' 'b'"),
    ("tsquery", "'a & b'", "'a' & 'b'"),
    ("pg_lsn", "'16/B374D848'", "16/B374D848"),
    ("integer[]", "'{1,NULL}'", [1, None]),
    ("text[]", "ARRAY['a,b', 'c\"d']", ["a,b", 'c"d']),
    ("mood", "'sad'", "sad"),
    ("pair", "ROW(1, 'x y')", '(1,"x y")'),
    ("positive", "7", 7),
    ("more_positive", "8", 8),
    ("hstore", "'a=>1'", '{"a":"1"}'),
]


def test_every_column_type_arrives_with_its_value(capture: Capture) -> None:
    capture.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    capture.execute("CREATE TYPE pair AS (a int, b text)")
    capture.execute("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    capture.execute("CREATE DOMAIN more_positive AS positive")
    capture.execute("CREATE EXTENSION hstore")
    columns = ", ".join(f"c{i} {name}" for i, (name, _, _) in enumerate(TYPES_AND_VALUES))
    literals = ", ".join(f"{literal}" for _, literal, _ in TYPES_AND_VALUES)
    capture.execute(f"CREATE TABLE everything (id int PRIMARY KEY, {columns})")
    capture.execute("ALTER TABLE everything REPLICA IDENTITY FULL")
    # A role's own settings must not change what a value looks like.
    user = capture.environ["DB_USER"]
    database = capture.environ["DB_NAME"]
    for setting in ("datestyle = 'German'", "timezone = 'Asia/Tokyo'", "bytea_output = 'escape'"):
        capture.execute(f'ALTER ROLE "{user}" IN DATABASE "{database}" SET {setting}')
    capture.start()
    capture.execute("SET timezone TO 'UTC'")
    capture.execute("SET datestyle TO 'ISO'")
    capture.execute(f"INSERT INTO everything VALUES (1, {literals})")
    capture.execute("INSERT INTO everything (id) VALUES (2)")
    capture.execute("DELETE FROM everything WHERE id = 1")
    full, empty, deleted, _tombstone = capture.values("everything", 4)
    expected = {f"c{i}": value for i, (_, _, value) in enumerate(TYPES_AND_VALUES)}
    assert full["after"] == {"id": 1, **expected}
    assert empty["after"] == {"id": 2, **dict.fromkeys(expected)}
    assert deleted["before"] == full["after"]


def test_a_row_larger_than_kafkas_default_limit_arrives(capture: Capture) -> None:
    capture.execute("CREATE TABLE note (id int PRIMARY KEY, body text)")
    capture.start()
    capture.execute(
        "INSERT INTO note SELECT 1, string_agg(md5(i::text), '') FROM generate_series(1, 165000) i"
    )
    (value,) = capture.values("note", 1)
    assert len(value["after"]["body"]) == 165_000 * 32


def test_a_table_without_a_key_can_still_be_updated_and_has_its_before(capture: Capture) -> None:
    capture.execute("CREATE TABLE log (line text)")
    capture.start()
    capture.execute("INSERT INTO log VALUES ('a')")
    capture.execute("UPDATE log SET line = 'b'")
    _, update = capture.values("log", 2)
    assert (update["before"], update["after"]) == ({"line": "a"}, {"line": "b"})
    assert [record.key for record in capture.table("log")] == [None, None]


def test_the_key_is_the_primary_key_although_the_identity_is_full(capture: Capture) -> None:
    capture.execute("CREATE TABLE pair (b text, a int, note text, PRIMARY KEY (b, a))")
    capture.execute("ALTER TABLE pair REPLICA IDENTITY FULL")
    capture.start()
    capture.execute("INSERT INTO pair VALUES ('x', 1, 'n')")
    capture.values("pair", 1)
    assert [record.key for record in capture.table("pair")] == [b'{"b":"x","a":1}']


def test_the_sinks_tables_and_their_partitions_are_not_captured(capture: Capture) -> None:
    capture.execute("CREATE TABLE changes (id int, at date) PARTITION BY RANGE (at)")
    capture.execute("CREATE TABLE some_partition PARTITION OF changes DEFAULT")
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    capture.start()
    capture.execute("INSERT INTO changes VALUES (1, now())")
    capture.execute("INSERT INTO todo VALUES (1)")
    capture.values("todo", 1)
    wal = capture.records(capture.topics.wal)
    assert [
        r.json().get("op") or r.json()["status"] for r in wal if "todo" not in str(r.value)
    ] == ["BEGIN"]
    assert capture.table("some_partition") == []


def test_a_table_named_changes_in_another_schema_is_the_applications(capture: Capture) -> None:
    capture.execute("CREATE SCHEMA shop")
    capture.execute("CREATE TABLE shop.changes (id int PRIMARY KEY)")
    capture.start()
    capture.execute("INSERT INTO shop.changes VALUES (1)")
    eventually(lambda: capture.table("changes", "shop"))


def test_a_partition_of_the_sinks_table_dropped_since_is_not_captured(capture: Capture) -> None:
    capture.start().terminate()
    capture.execute("CREATE TABLE changes (id int, at date) PARTITION BY RANGE (at)")
    capture.execute("CREATE TABLE bemi_changes_default PARTITION OF changes DEFAULT")
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    capture.execute("INSERT INTO changes VALUES (1, now())")
    capture.execute("DROP TABLE changes")
    capture.execute("INSERT INTO todo VALUES (1)")
    capture.start()
    capture.values("todo", 1)
    assert capture.table("bemi_changes_default") == []


def test_a_column_added_while_it_runs_is_in_the_next_event(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    capture.start()
    capture.execute("INSERT INTO todo VALUES (1)")
    capture.execute("ALTER TABLE todo ADD COLUMN task text DEFAULT 'x'")
    capture.execute("INSERT INTO todo VALUES (2, 'y')")
    capture.execute("ALTER TABLE todo DROP COLUMN id")
    capture.execute("INSERT INTO todo VALUES ('z')")
    rows = [value["after"] for value in capture.values("todo", 3)]
    assert rows == [{"id": 1}, {"id": 2, "task": "y"}, {"task": "z"}]


def test_rows_of_a_table_dropped_since_still_arrive(capture: Capture) -> None:
    capture.start().terminate()
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    capture.execute("INSERT INTO todo VALUES (1, 'a')")
    capture.execute("DROP TABLE todo")
    capture.start()
    assert [value["after"] for value in capture.values("todo", 1)] == [{"id": 1, "task": "a"}]


def test_nothing_is_confirmed_that_kafka_has_not_acknowledged(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    capture.start()
    capture.execute("INSERT INTO todo VALUES (0)")
    capture.values("todo", 1)
    capture.kafka_broker.kill()
    try:
        before = capture.current_lsn()
        capture.execute("INSERT INTO todo VALUES (1)")
        after = capture.current_lsn()
        received = (
            "SELECT write_lsn::text FROM pg_stat_replication WHERE application_name LIKE 'bemi%%'"
        )
        eventually(
            lambda: any(parse_lsn(lsn) > before for (lsn,) in capture.execute(received) if lsn)
        )
        assert capture.confirmed_lsn() <= after
        assert capture.confirmed_lsn() <= before
    finally:
        capture.kafka_broker.start()
    capture.values("todo", 2)
    eventually(lambda: capture.confirmed_lsn() >= after)


def test_the_slot_moves_on_while_only_another_database_is_busy(
    capture: Capture, postgres_server: PostgresServer
) -> None:
    capture.start()
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as other:
        other.execute("CREATE TEMP TABLE busy (line text)")
        other.execute("SELECT pg_logical_emit_message(true, 'other', repeat('x', 1000000))")
        target = parse_lsn(str(other.execute("SELECT pg_current_wal_lsn()").fetchone()[0]))  # type: ignore[index]
    eventually(lambda: capture.confirmed_lsn() >= target)


def test_heartbeats_are_published(capture: Capture) -> None:
    capture.start()
    heartbeat = capture.topics.heartbeat
    records = eventually(lambda: capture.records(heartbeat))
    assert records[0].partition == 0
    assert json.loads(records[0].key or b"") == {"serverName": capture.topic_prefix}
    assert list(records[0].json()) == ["ts_ms"]


def test_a_killed_producer_loses_and_misplaces_nothing(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    stage = capture.start()
    for kill_at in (1, 2, 3):
        for i in range(100):
            first = kill_at * 1000 + i * 3
            capture.execute(
                "INSERT INTO todo SELECT generate_series(%s::int, %s::int)", [first, first + 2]
            )
        stage.kill()
        stage = capture.start()
    wal = capture.topics.wal

    def ids() -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        for record in capture.records(wal):
            value = record.json()
            if value.get("op") == "c":
                identity = (int(record.headers["commit_lsn"]), int(record.headers["ordinal"]))
                row = value["after"]["id"]
                # What is sent again is the same change under the same identity.
                assert found.setdefault(identity, row) == row
        assert len(found) >= 900
        return found

    found = eventually(ids, 60)
    expected = [row[0] for row in capture.execute("SELECT id FROM todo ORDER BY id")]
    assert sorted(found.values()) == expected
    assert [row for _, row in sorted(found.items())] == expected


def test_it_reconnects_when_the_server_cuts_its_connections(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    stage = capture.start()
    capture.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'bemi%%' AND datname = current_database()"
    )
    eventually(lambda: "trying again" in stage.output())
    capture.execute("INSERT INTO todo VALUES (1)")
    capture.values("todo", 1)
    assert stage.is_running


def test_a_second_producer_waits_and_takes_over(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    first = capture.start()
    second = capture.launch()
    eventually(lambda: "is active for PID" in second.output())
    capture.execute("INSERT INTO todo VALUES (1)")
    capture.values("todo", 1)
    first.kill()
    eventually(lambda: "ready" in second.output())
    capture.execute("INSERT INTO todo VALUES (2)")
    assert [value["after"]["id"] for value in capture.values("todo", 2)][-1] == 2


def test_a_slot_dropped_behind_its_back_is_not_made_again_unasked(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    stage = capture.start()
    capture.execute("INSERT INTO todo VALUES (1)")
    capture.values("todo", 1)
    stage.terminate()
    capture.wait_until_slot_is_free()
    capture.execute("SELECT pg_drop_replication_slot(%s)", [capture.slot_name])
    assert "BEMI_PRODUCER_ACCEPT_GAP" in capture.refused()
    capture.start(BEMI_PRODUCER_ACCEPT_GAP="true")


def test_a_slot_of_another_plugin_is_refused(capture: Capture) -> None:
    capture.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [capture.slot_name]
    )
    assert "BEMI_PRODUCER_SLOT_NAME" in capture.refused()


@pytest.mark.parametrize(
    ("environ", "advice"),
    [({"DB_PASSWORD": "wrong"}, "DB_PASSWORD"), ({"DB_NAME": "no such database"}, "DB_NAME")],
)
def test_a_login_that_cannot_work_is_refused(
    capture: Capture, environ: dict[str, str], advice: str
) -> None:
    assert advice in capture.refused(**environ)


def test_a_server_without_logical_wal_is_refused_with_what_to_run(
    capture: Capture, server_folder: Path
) -> None:
    server = LocalPostgres(
        server_folder / "replica", free_port(), settings={"wal_level": "replica"}
    )
    server.start()
    try:
        said = capture.refused(
            DB_HOST=server.host,
            DB_PORT=str(server.port),
            DB_NAME="postgres",
            DB_USER=server.user,
            DB_PASSWORD=server.password,
        )
        assert "ALTER SYSTEM SET wal_level = logical" in said
    finally:
        server.kill()
