"""Whatever a connection is like: pooled, preparing, chunked, several at once, or of a replica."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from psycopg import pq

import bemi
from bemi import Bemi
from tests.fixtures.postgres import Database, PostgresServer, new_database
from tests.integration.django_bemi.test_capture import Item, run, shape
from tests.integration.django_bemi.wal import Context, Wal

pytestmark = pytest.mark.usefixtures("site")


@contextmanager
def options(**given: Any) -> Iterator[None]:
    """Let the default connection be made anew, with these OPTIONS."""
    connection.close()
    connection.settings_dict["OPTIONS"] = given
    try:
        yield
    finally:
        connection.close()
        if "pool" in given:
            connection.close_pool()  # type: ignore[attr-defined]
        connection.settings_dict["OPTIONS"] = {}


@contextmanager
def alias(name: str, database: Database, **given: Any) -> Iterator[None]:
    """Let Django have another database under this name."""
    before = connections["default"].settings_dict
    connections.databases[name] = {**before, "NAME": database.name, "OPTIONS": given}
    try:
        yield
    finally:
        connections[name].close()
        del connections[name]
        del connections.databases[name]


def users(wal: Wal) -> list[Any]:
    return [found["user_id"] for found in wal.contexts()]


def messages_sent(work: Any) -> list[str]:
    """Return the kinds of messages that go to the server and come back, as libpq traces them."""
    connection.ensure_connection()
    driver: Any = connection.connection
    with tempfile.TemporaryFile("w+") as trace:
        driver.pgconn.trace(trace.fileno())
        driver.pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS | pq.Trace.REGRESS_MODE)
        try:
            work()
        finally:
            driver.pgconn.untrace()
        trace.seek(0)
        # A statement of several lines is traced as several.
        messages = [line.split("\t") for line in trace if line.startswith(("F\t", "B\t"))]
        return [f"{message[0]} {message[2]}" for message in messages]


def copy_two_rows() -> None:
    with connection.cursor() as cursor, cursor.copy("COPY item (name) FROM STDIN") as copy:
        copy.write(b"a\nb\n")


@pytest.mark.parametrize(
    "work",
    [
        lambda: run("INSERT INTO item (name) VALUES (%s)", ["a"]),
        lambda: run("UPDATE item SET amount = 1"),
        lambda: run("SELECT * FROM item"),
        copy_two_rows,
    ],
    ids=["insert", "update", "select", "copy"],
)
def test_a_context_takes_no_message_more_than_none(wal: Wal, work: Any) -> None:
    def undone() -> None:
        with transaction.atomic():
            work()
            transaction.set_rollback(True)

    plain = messages_sent(undone)
    with bemi.context(user_id=7):
        assert messages_sent(undone) == plain
    assert len(plain) > 3


def test_a_pool_gives_each_its_own_context(wal: Wal) -> None:
    with options(pool={"min_size": 1, "max_size": 1}):
        for user_id in (1, 2):
            with bemi.context(user_id=user_id):
                Item.objects.create(name=f"of {user_id}")
                run("UPDATE item SET amount = 1")
            connection.close()
        Item.objects.create(name="of nobody")
    assert users(wal) == [1, 1, 2, 2]


def test_prepared_statements_carry_the_context_of_each_execution(wal: Wal) -> None:
    with options(server_side_binding=True, prepare_threshold=0):
        for user_id in (1, 2, 1):
            with bemi.context(user_id=user_id):
                Item.objects.update(amount=user_id)
                Item.objects.create(name=f"{user_id} {Item.objects.count()}")
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements")
            assert cursor.fetchone()[0] >= 4
    assert users(wal) == [1, 1, 2, 2, 1, 1]


def test_a_statement_prepared_in_sql_carries_the_context_of_its_execution(wal: Wal) -> None:
    with bemi.context(user_id=1):
        run("PREPARE make (text) AS INSERT INTO item (name) VALUES ($1)")
    for user_id in (2, 3):
        with bemi.context(user_id=user_id):
            run("EXECUTE make (%s)", [str(user_id)])
    run("DEALLOCATE make")
    assert users(wal) == [2, 3]


def test_rows_read_by_a_server_side_cursor_can_be_changed_meanwhile(wal: Wal) -> None:
    Item.objects.bulk_create(Item(name=str(number)) for number in range(5))
    wal.read()
    with bemi.context(user_id=7), transaction.atomic():
        for item in Item.objects.order_by("pk").iterator(chunk_size=2):
            item.amount = 5
            item.save()
    assert shape(wal) == ["context", "UPDATE public.item"] * 5


def test_each_database_gets_the_contexts_of_its_own_changes(
    wal: Wal, postgres_server: PostgresServer
) -> None:
    with new_database(postgres_server) as second, alias("second", second):
        with connections["second"].cursor() as cursor:
            cursor.execute("CREATE TABLE item (id serial PRIMARY KEY, name text, amount int)")
            cursor.execute(Bemi.migration_up())
        with second.connect() as admin:
            its_wal = Wal(admin, f"wal_{second.name}")
            with bemi.context(user_id=1), transaction.atomic(), transaction.atomic("second"):
                Item.objects.create(name="first")
                with bemi.context(user_id=2):
                    Item.objects.using("second").create(name="second")
            assert users(wal) == [1]
            assert users(its_wal) == [2]
        connections["second"].close()


def test_a_replica_is_read_and_otherwise_left_alone(wal: Wal, site: Database) -> None:
    Item.objects.create(name="read")
    wal.read()
    read_only = "-c default_transaction_read_only=on"
    with alias("replica", site, options=read_only), bemi.context(user_id=7):
        # Behind everything that adds to a statement, so this is what is sent.
        with CaptureQueriesContext(connections["replica"]) as queries:
            assert Item.objects.using("replica").get().name == "read"
            with pytest.raises(DatabaseError, match="read-only"):
                Item.objects.using("replica").create(name="written")
        assert ["Bemi" in query["sql"] for query in queries] == [False, True]
    assert wal.read() == []


def test_a_message_is_sent_for_a_statement_and_a_table_and_not_for_a_row(wal: Wal) -> None:
    run("CREATE TABLE other (id int)")
    with bemi.context(user_id=7):
        run("INSERT INTO item (name) SELECT n::text FROM generate_series(1, 5000) AS n")
        run(
            "WITH gone AS (DELETE FROM item WHERE id <= 100 RETURNING id)"
            " INSERT INTO other SELECT id FROM gone"
        )
        run("UPDATE item SET amount = 1 WHERE id < 0")
    contexts = [json.loads(entry.text)["SQL"] for entry in wal.read() if isinstance(entry, Context)]
    assert [sql.split()[0] for sql in contexts] == ["INSERT", "WITH", "WITH", "UPDATE"]


def test_an_upsert_has_its_context(wal: Wal) -> None:
    Item.objects.create(name="there")
    wal.read()
    with bemi.context(user_id=7):
        Item.objects.bulk_create(
            [Item(name="there", amount=2), Item(name="new")],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["amount"],
        )
    entries = shape(wal)
    # The two triggers of its two kinds of change; each says the same.
    assert entries == ["context"] * 2 + ["UPDATE public.item", "INSERT public.item"]


def test_a_raw_connection_of_the_driver_copies_with_the_context(
    wal: Wal, admin: psycopg.Connection[Any]
) -> None:
    with bemi.context(user_id=7):
        driver: Any = connection.connection
        with driver.cursor() as cursor, cursor.copy("COPY item (name) FROM STDIN") as copy:
            copy.write(b"a\n")
        # Not one of Django's: nothing was done to the driver itself.
        with admin.cursor() as cursor, cursor.copy("COPY item (name) FROM STDIN") as copy:
            copy.write(b"b\n")
    assert shape(wal) == ["context", "INSERT public.item", "INSERT public.item"]
