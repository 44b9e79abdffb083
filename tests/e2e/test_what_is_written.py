"""From SQL to `changes`: everything arrives, once, with the context it was made in.

Each test has a database, topics and stages of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from example.print_changes import main as print_changes
from tests.fixtures.pipeline import Pipeline

Connection = psycopg.Connection[tuple[object, ...]]


def set_context(connection: Connection, context: dict[str, Any]) -> None:
    """Say who makes the following changes of this transaction."""
    connection.execute("SELECT pg_logical_emit_message(true, '_bemi', %s)", [json.dumps(context)])


@pytest.fixture
def started(pipeline: Pipeline) -> Iterator[tuple[Pipeline, Connection]]:
    pipeline.start()
    with closing(psycopg.connect(pipeline.database.dsn)) as connection:
        yield pipeline, connection


def test_changes_carry_the_context_of_their_own_statement(
    started: tuple[Pipeline, Connection],
) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE todo (id int PRIMARY KEY, task text, done bool)")
    connection.execute("ALTER TABLE todo REPLICA IDENTITY FULL")
    connection.commit()
    set_context(connection, {"user_id": 1, "SQL": "INSERT"})
    connection.execute("INSERT INTO todo VALUES (1, 'Sleep', false), (2, 'Eat', false)")
    set_context(connection, {"user_id": 1, "SQL": "UPDATE"})
    connection.execute("UPDATE todo SET done = true WHERE id = 1")
    connection.commit()
    connection.execute("DELETE FROM todo WHERE id = 2")
    connection.commit()
    changes = pipeline.wait_for("todo", 4)
    assert [
        (c["operation"], c["primary_key"], c["before"], c["after"], c["context"]) for c in changes
    ] == [
        (
            "CREATE",
            "1",
            {},
            {"id": 1, "task": "Sleep", "done": False},
            {"user_id": 1, "SQL": "INSERT"},
        ),
        (
            "CREATE",
            "2",
            {},
            {"id": 2, "task": "Eat", "done": False},
            {"user_id": 1, "SQL": "INSERT"},
        ),
        (
            "UPDATE",
            "1",
            {"id": 1, "task": "Sleep", "done": False},
            {"id": 1, "task": "Sleep", "done": True},
            {"user_id": 1, "SQL": "UPDATE"},
        ),
        ("DELETE", "2", {"id": 2, "task": "Eat", "done": False}, {}, {}),
    ]
    first = changes[0]
    assert (first["database"], first["schema"], first["table"]) == (
        pipeline.database.name,
        "public",
        "todo",
    )
    assert first["committed_at"] <= first["queued_at"] <= first["created_at"]
    assert len({c["transaction_id"] for c in changes[:3]}) == 1
    assert changes[3]["transaction_id"] != first["transaction_id"]
    assert len({c["id"] for c in changes}) == 4


def test_a_rolled_back_savepoint_takes_its_changes_and_its_context_with_it(
    started: tuple[Pipeline, Connection],
) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    connection.commit()
    set_context(connection, {"statement": "outer"})
    connection.execute("INSERT INTO todo VALUES (1)")
    connection.execute("SAVEPOINT inner_part")
    set_context(connection, {"statement": "inner"})
    connection.execute("INSERT INTO todo VALUES (2)")
    connection.execute("ROLLBACK TO SAVEPOINT inner_part")
    connection.execute("INSERT INTO todo VALUES (3)")
    connection.commit()
    changes = pipeline.wait_for("todo", 2)
    assert [(c["primary_key"], c["context"]) for c in changes] == [
        ("1", {"statement": "outer"}),
        ("3", {"statement": "outer"}),
    ]


def test_the_rows_of_a_copy_arrive_one_by_one(started: tuple[Pipeline, Connection]) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    connection.commit()
    set_context(connection, {"job": "import"})
    with connection.cursor().copy("COPY todo FROM STDIN") as copy:
        for number in range(10_000):
            copy.write_row((number, f"task {number}"))
    connection.commit()
    changes = pipeline.wait_for("todo", 10_000)
    assert [c["after"] for c in changes] == [
        {"id": number, "task": f"task {number}"} for number in range(10_000)
    ]
    assert len({c["id"] for c in changes}) == 10_000
    # What makes the row's own position useless as an identity.
    assert len({c["position"] for c in changes}) < 10_000
    assert all(c["context"] == {"job": "import"} for c in changes)


def test_a_transaction_of_200_000_rows_arrives_whole(started: tuple[Pipeline, Connection]) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    connection.commit()
    set_context(connection, {"part": "first"})
    insert = "INSERT INTO todo SELECT i, 'task ' || i FROM generate_series(%s::int, %s::int) i"
    connection.execute(insert, [1, 150_000])
    set_context(connection, {"part": "second"})
    connection.execute(
        "INSERT INTO todo SELECT i, 'task ' || i FROM generate_series(150001, 200000) i"
    )
    connection.commit()
    changes = pipeline.wait_for("todo", 200_000, seconds=180)
    assert [c["primary_key"] for c in changes] == [str(i) for i in range(1, 200_001)]
    parts = [c["context"]["part"] for c in changes]
    assert parts == ["first"] * 150_000 + ["second"] * 50_000


def test_tables_of_all_kinds_have_their_keys(started: tuple[Pipeline, Connection]) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE no_id (code text PRIMARY KEY)")
    connection.execute("CREATE TABLE pair (b text, a int, PRIMARY KEY (b, a))")
    connection.execute("CREATE TABLE keyless (line text)")
    connection.execute("ALTER TABLE keyless REPLICA IDENTITY FULL")
    connection.commit()
    connection.execute("INSERT INTO no_id VALUES ('DE')")
    connection.execute("INSERT INTO pair VALUES ('x,y', 1)")
    connection.execute("INSERT INTO keyless VALUES ('a'), ('a')")
    connection.execute("UPDATE keyless SET line = 'b'")
    connection.commit()
    assert [c["primary_key"] for c in pipeline.wait_for("no_id", 1)] == ["DE"]
    assert [c["primary_key"] for c in pipeline.wait_for("pair", 1)] == ["x\\,y,1"]
    keyless = pipeline.wait_for("keyless", 4)
    assert {c["primary_key"] for c in keyless} == {None}
    assert [(c["before"], c["after"]) for c in keyless[2:]] == [({"line": "a"}, {"line": "b"})] * 2


def test_a_truncate_is_one_change_of_each_table(started: tuple[Pipeline, Connection]) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE one (id int PRIMARY KEY)")
    connection.execute("CREATE TABLE two (id int PRIMARY KEY)")
    connection.commit()
    set_context(connection, {"user_id": 3})
    connection.execute("TRUNCATE one, two")
    connection.commit()
    for table in ("one", "two"):
        (change,) = pipeline.wait_for(table, 1)
        assert (change["operation"], change["primary_key"]) == ("TRUNCATE", None)
        assert (change["before"], change["after"]) == ({}, {})
        assert change["context"] == {"user_id": 3}


def test_a_quoted_name_with_spaces_and_a_dot_stays_what_it_is(
    started: tuple[Pipeline, Connection],
) -> None:
    pipeline, connection = started
    name = 'Our "Orders" v1.5 %s 100%'
    table = sql.Identifier("my schema", name)
    connection.execute('CREATE SCHEMA "my schema"')
    connection.execute(
        sql.SQL('CREATE TABLE {} (id int PRIMARY KEY, "a ""b"" %" int)').format(table)
    )
    connection.commit()
    connection.execute(sql.SQL("INSERT INTO {} VALUES (1, 2)").format(table))
    connection.commit()
    (change,) = pipeline.wait_for(name, 1)
    assert change["schema"] == "my schema"
    assert change["after"] == {"id": 1, 'a "b" %': 2}


def test_large_and_awkward_values_are_stored(started: tuple[Pipeline, Connection]) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE document (id int PRIMARY KEY, body text, data json)")
    connection.commit()
    body = '0123456789 \\\t\n"é😀' * 350_000
    assert len(body.encode()) > 5_000_000
    data = '{"nul": "\\u0000", "lone": "\\ud800", "a": 1, "a": 2}'
    connection.execute("INSERT INTO document VALUES (1, %s, %s)", [body, data])
    connection.commit()
    (change,) = pipeline.wait_for("document", 1)
    assert change["after"]["body"] == body
    assert change["after"]["data"] == data


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("not JSON", id="not JSON"),
        pytest.param('"text"', id="no object"),
        pytest.param('{"a": NaN}', id="no JSON number"),
        pytest.param("[" * 5_000, id="too deep"),
    ],
)
def test_a_context_that_is_none_does_not_stop_its_change(
    started: tuple[Pipeline, Connection], content: str
) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    connection.commit()
    connection.execute("SELECT pg_logical_emit_message(true, '_bemi', %s)", [content])
    connection.execute("INSERT INTO todo VALUES (1)")
    connection.commit()
    (change,) = pipeline.wait_for("todo", 1)
    assert change["context"] == {}
    assert change["context_error"]


def test_a_change_of_the_key_is_one_update(started: tuple[Pipeline, Connection]) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    connection.execute("ALTER TABLE todo REPLICA IDENTITY FULL")
    connection.commit()
    connection.execute("INSERT INTO todo VALUES (1)")
    connection.execute("UPDATE todo SET id = 2")
    connection.commit()
    _, update = pipeline.wait_for("todo", 2)
    assert (update["operation"], update["primary_key"]) == ("UPDATE", "2")
    assert (update["before"], update["after"]) == ({"id": 1}, {"id": 2})


def test_the_example_consumer_prints_the_changes_of_the_topic_each_once(
    started: tuple[Pipeline, Connection],
) -> None:
    pipeline, connection = started
    connection.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    connection.execute("ALTER TABLE todo REPLICA IDENTITY FULL")
    set_context(connection, {"user_id": 7})
    connection.execute("INSERT INTO todo VALUES (1, 'Sleep')")
    connection.execute("UPDATE todo SET task = 'Eat'")
    connection.commit()
    pipeline.wait_for("todo", 2)
    brokers = pipeline.environ["BEMI_KAFKA_BOOTSTRAP_SERVERS"]
    arguments = [brokers, pipeline.environ["BEMI_TOPIC_PREFIX"], "--once"]
    printed = CliRunner().invoke(print_changes, arguments, catch_exceptions=False)
    assert [line.split(" ", 1)[1] for line in printed.output.splitlines()] == [
        "7 CREATE public.todo 1: id: None -> 1, task: None -> 'Sleep'",
        "7 UPDATE public.todo 1: task: 'Sleep' -> 'Eat'",
    ]
    again = CliRunner().invoke(print_changes, arguments, catch_exceptions=False)
    assert again.output == ""
