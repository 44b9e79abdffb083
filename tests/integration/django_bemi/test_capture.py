"""What reaches the WAL for each kind of statement, on a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext
from psycopg import sql as composed

from bemi.context_variable import context_in_force
from bemi.middleware import watch_connections
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.conftest import run_async
from tests.integration.django_bemi.wal import Context, RowChange, Wal

CONTEXT = {"user_id": 7}
INSERT_COMPOSED = composed.SQL("INSERT INTO {} (name) VALUES (%s)").format(
    composed.Identifier("item")
)
MERGE = (
    "MERGE INTO item USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT (name) VALUES ('a')"
)

pytestmark = pytest.mark.usefixtures("site")


class Item(models.Model):
    """The table `item` of these tests."""

    name = models.TextField(unique=True)
    amount = models.IntegerField(default=0)

    # The mypy plugin gives managers to models of installed apps only.
    objects: ClassVar[models.Manager[Item]] = models.Manager()

    class Meta:
        app_label = "django_bemi_tests"
        db_table = "item"
        managed = False

    def __str__(self) -> str:
        return self.name


@pytest.fixture(autouse=True)
def context() -> Iterator[None]:
    with context_in_force(CONTEXT):
        yield


def run(sql: Any, params: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def shape(wal: Wal) -> list[str]:
    """Return what the WAL holds in words: `context`, or operation and table."""
    return [
        "context" if isinstance(entry, Context) else f"{entry.operation} {entry.table}"
        for entry in wal.read()
    ]


def test_each_way_of_the_orm_sends_one_context_before_its_rows(wal: Wal) -> None:
    item = Item.objects.create(name="one")
    assert shape(wal) == ["context", "INSERT public.item"]
    item.name = "two"
    item.save()
    assert shape(wal) == ["context", "UPDATE public.item"]
    item.delete()
    assert shape(wal) == ["context", "DELETE public.item"]
    Item.objects.bulk_create(Item(name=str(n)) for n in range(50))
    assert shape(wal) == ["context"] + ["INSERT public.item"] * 50
    Item.objects.update(amount=5)
    assert shape(wal) == ["context"] + ["UPDATE public.item"] * 50
    Item.objects.bulk_update([Item(pk=pk, amount=6) for pk in (2, 3)], ["amount"])
    assert shape(wal) == ["context", "UPDATE public.item", "UPDATE public.item"]
    Item.objects.get_or_create(name="new")
    assert shape(wal) == ["context", "INSERT public.item"]
    Item.objects.update_or_create(name="new", defaults={"amount": 9})
    assert shape(wal) == ["context", "UPDATE public.item"]
    Item.objects.all().delete()
    assert shape(wal) == ["context"] + ["DELETE public.item"] * 51


def test_the_context_holds_the_statement_without_its_parameters(wal: Wal) -> None:
    run("INSERT INTO item (name) VALUES (%s)", ["secret"])
    assert wal.contexts() == [
        {"user_id": 7, "SQL": "INSERT INTO item (name) VALUES (%s)"},
    ]


def test_a_plain_change_of_one_row_is_recorded_without_its_columns(wal: Wal, settings: Any) -> None:
    def recorded() -> list[str]:
        Item.objects.create(name="a")
        Item.objects.update(amount=1)
        return [found["SQL"] for found in wal.contexts()]

    update = 'UPDATE "item" SET "amount" = %s'
    assert recorded() == ["INSERT INTO item", update]
    run("TRUNCATE item")
    wal.read()
    settings.BEMI_WHOLE_SQL = True
    insert = 'INSERT INTO "item" ("name", "amount") VALUES (%s, %s) RETURNING "item"."id"'
    assert recorded() == [insert, update]


def test_a_row_saved_again_is_found_by_the_key_of_its_model(wal: Wal) -> None:
    from django.contrib.auth.models import Group

    run("CREATE TABLE auth_group (id serial PRIMARY KEY, name text)")
    group = Group.objects.create(name="a")
    group.name = "b"
    group.save()
    Group.objects.filter(name="b").update(name="c")
    assert [found["SQL"] for found in wal.contexts()] == [
        "INSERT INTO auth_group",
        "UPDATE auth_group",
        'UPDATE "auth_group" SET "name" = %s WHERE "auth_group"."name" = %s',
    ]


@pytest.mark.parametrize(
    ("statement", "params"),
    [
        ("INSERT INTO item (name) VALUES ('100%')", None),
        ("INSERT INTO item (name) VALUES ('100%%' || %s)", ["%s"]),
        ("INSERT INTO item (name) VALUES ('a');", None),
        ("INSERT INTO item (name) VALUES ('a') -- a line comment", None),
        ("INSERT INTO item (name) VALUES ('a') -- a line comment;", None),
        ("INSERT INTO item (name) VALUES ('a -- b')", None),
        ("INSERT INTO item (name) VALUES (%s)", ["a -- b"]),
        ("INSERT INTO item (name) VALUES (%s) /* behind */", ["a -- b */"]),
        ("INSERT INTO item (name) VALUES (%(name)s)", {"name": "a"}),
        (b"INSERT INTO item (name) VALUES ('a')", None),
        (INSERT_COMPOSED, ["a"]),
        ("/* first */ WITH x AS (SELECT 1) INSERT INTO item (name) SELECT 'a' FROM x", None),
        (MERGE, None),
        ("DO $$ BEGIN INSERT INTO item (name) VALUES ('a'); END $$", None),
        ("SET LOCAL lock_timeout = 0; INSERT INTO item (name) VALUES ('a')", None),
    ],
)
def test_every_form_of_statement_carries_its_context(wal: Wal, statement: Any, params: Any) -> None:
    if statement is MERGE and connection.cursor().connection.info.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    run(statement, params)
    first, *rows = wal.read()
    assert isinstance(first, Context)
    assert first.values["user_id"] == 7
    assert rows == [RowChange("INSERT", "public.item")]


def test_a_procedure_has_the_context_of_its_call(wal: Wal) -> None:
    run(
        "CREATE PROCEDURE add_item(n text) LANGUAGE sql AS $$ INSERT INTO item (name) VALUES (n) $$"
    )
    run("CALL add_item(%s)", ["called"])
    assert shape(wal) == ["context", "INSERT public.item"]


ADD_ITEM = """
    CREATE FUNCTION add_item(n text) RETURNS int LANGUAGE sql AS
        $$ INSERT INTO item (name) VALUES (n) RETURNING id $$
"""


@pytest.mark.parametrize(
    ("statement", "params"),
    [
        ("SELECT add_item('a')", None),
        ("SELECT public.add_item(%s) -- all", ["100% --"]),
        ("SELECT * FROM add_item(%(name)s)", {"name": "a"}),
        ("SELECT upper(name), id FROM (SELECT 'a' AS name, add_item ('b') AS id) AS added", None),
        ("WITH added AS (SELECT add_item('a')) SELECT * FROM added", None),
        ("EXPLAIN ANALYZE SELECT add_item('a')", None),
    ],
)
def test_a_function_that_writes_has_the_context_of_its_select(
    wal: Wal, statement: str, params: Any
) -> None:
    run(ADD_ITEM)
    run(statement, params)
    assert shape(wal) == ["context", "INSERT public.item"]


def test_a_function_of_the_orm_that_writes_has_its_context(wal: Wal) -> None:
    run(ADD_ITEM)
    run("INSERT INTO item (name) VALUES ('first')")
    wal.read()
    called = models.Func(models.Value("second"), function="add_item")
    assert list(Item.objects.values_list(called)) == [(2,)]
    assert shape(wal) == ["context", "INSERT public.item"]


def test_callproc_carries_its_context(wal: Wal) -> None:
    run(ADD_ITEM)
    with connection.cursor() as cursor:
        cursor.callproc("add_item", ["a"])
        assert cursor.fetchone() == (1,)
    assert wal.contexts() == [{"user_id": 7, "SQL": "SELECT * FROM \"add_item\"('a')"}]


def test_other_wrappers_see_the_statement_as_it_was_and_the_log_of_queries_what_was_sent(
    wal: Wal,
) -> None:
    seen: list[Any] = []

    def look(execute: Any, sql: Any, params: Any, *rest: Any) -> Any:
        seen.append((sql, params))
        return execute(sql, params, *rest)

    statement = "INSERT INTO item (name) VALUES (%s)"
    with connection.execute_wrapper(look), CaptureQueriesContext(connection) as queries:
        run(statement, ["a"])
    assert seen == [(statement, ["a"])]
    (sent,) = (query["sql"] for query in queries)
    assert sent.startswith("INSERT INTO item (name) VALUES ('a')\n/*Bemi {")
    assert shape(wal) == ["context", "INSERT public.item"]


def test_a_cursor_that_cannot_add_the_context_gets_it_with_the_statement(wal: Wal) -> None:
    plain = connection.connection.cursor_factory.__bases__[1]
    connection.connection.cursor_factory = lambda *args, **options: plain(*args, **options)
    try:
        watch_connections()
        run("INSERT INTO item (name) VALUES (%s)", ["100% --"])
        run("INSERT INTO item (name) VALUES ('100%')")
    finally:
        connection.execute_wrappers.clear()
        connection.close()
    assert wal.contexts() == [
        {"user_id": 7, "SQL": "INSERT INTO item (name) VALUES (%s)"},
        {"user_id": 7, "SQL": "INSERT INTO item (name) VALUES ('100%')"},
    ]


def test_executemany_sends_one_context_for_each_execution(wal: Wal) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO item (name) VALUES (%s)", [("a",), ("b--",), ("%c",)])
    assert shape(wal) == ["context", "INSERT public.item"] * 3


def test_statements_of_one_transaction_have_their_own_contexts(wal: Wal) -> None:
    with transaction.atomic():
        Item.objects.create(name="one")
        with context_in_force({"user_id": 8}):
            Item.objects.create(name="two")
    assert [found["user_id"] for found in wal.contexts()] == [7, 8]


def test_a_savepoint_rolled_back_leaves_no_context(wal: Wal) -> None:
    with transaction.atomic():
        Item.objects.create(name="kept")
        with pytest.raises(ValueError), transaction.atomic():  # noqa: PT011, PT012
            Item.objects.create(name="dropped")
            raise ValueError
    assert shape(wal) == ["context", "INSERT public.item"]


def test_a_statement_that_fails_leaves_no_context_and_one_error(wal: Wal) -> None:
    Item.objects.create(name="taken")
    with transaction.atomic():
        with pytest.raises(IntegrityError, match="duplicate key"), transaction.atomic():
            Item.objects.create(name="taken")
        Item.objects.create(name="free")
    assert shape(wal) == ["context", "INSERT public.item"] * 2


def test_a_lost_race_of_get_or_create_finds_the_winners_row(
    wal: Wal, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = models.QuerySet.create

    def create_second(self: Any, **values: Any) -> Any:
        admin.execute("INSERT INTO item (name) VALUES ('raced')")
        return create(self, **values)

    monkeypatch.setattr(models.QuerySet, "create", create_second)
    with transaction.atomic():
        item, is_created = Item.objects.get_or_create(name="raced")
    assert not is_created
    assert item.name == "raced"
    assert shape(wal) == ["INSERT public.item"]


def test_copy_carries_its_context_by_itself(wal: Wal) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY item (name) FROM STDIN") as copy:
        copy.write(b"a\nb\n")
    assert shape(wal) == ["context"] + ["INSERT public.item"] * 2
    composed_copy = composed.SQL("COPY {} (name) FROM STDIN").format(composed.Identifier("item"))
    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy(composed_copy) as copy:
            copy.write_row(["c"])
        with context_in_force({"user_id": 8}), cursor.copy(composed_copy) as copy:
            copy.write_row(["d"])
    assert wal.contexts() == [
        {"user_id": 7, "SQL": 'COPY "item" (name) FROM STDIN'},
        {"user_id": 8, "SQL": 'COPY "item" (name) FROM STDIN'},
    ]


def test_copy_out_is_sent_as_it_is(wal: Wal) -> None:
    Item.objects.create(name="read")
    wal.read()
    with connection.cursor() as cursor, cursor.copy("COPY item (name) TO STDOUT") as copy:
        assert copy.read() == b"read\n"
        assert cursor._query.query == b"COPY item (name) TO STDOUT"
    assert wal.read() == []


def test_streamed_rows_of_a_statement_that_writes_carry_their_context(wal: Wal) -> None:
    with connection.cursor() as cursor:
        rows = cursor.stream("INSERT INTO item (name) VALUES (%s), ('b') RETURNING name", ["a"])
        assert list(rows) == [("a",), ("b",)]
    assert shape(wal) == ["context"] + ["INSERT public.item"] * 2


def test_copy_without_a_context_takes_it_from_the_setting_of_its_transaction(wal: Wal) -> None:
    with context_in_force({}):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('bemi.context', '{\"job\": \"import\"}', true)")
            with cursor.copy("COPY item (name) FROM STDIN") as copy:
                copy.write(b"a\nb\n")
        assert wal.contexts() == [{"job": "import"}]
        with connection.cursor() as cursor, cursor.copy("COPY item (name) FROM STDIN") as copy:
            copy.write(b"c\n")
        assert shape(wal) == ["INSERT public.item"]


def test_copy_takes_its_context_from_a_comment(wal: Wal) -> None:
    statement = 'COPY item (name) FROM STDIN /*Bemi {"job": "import"} Bemi*/'
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"".join(b"%d\n" % n for n in range(1000)))
    assert shape(wal) == ["context"] + ["INSERT public.item"] * 1000


def test_the_comment_goes_before_the_setting(wal: Wal) -> None:
    run('SET bemi.context = \'{"job": "session"}\'')
    run("INSERT INTO item (name) VALUES ('a')")
    with context_in_force({}):
        run("INSERT INTO item (name) VALUES ('b')")
    first, second = wal.contexts()
    assert first["user_id"] == 7
    assert second == {"job": "session"}


def test_truncate_sends_its_context(wal: Wal) -> None:
    run("TRUNCATE item")
    assert shape(wal) == ["context", "TRUNCATE public.item"]


def test_rows_deleted_by_the_database_itself_have_the_context_of_their_cause(wal: Wal) -> None:
    run("CREATE TABLE part (item int REFERENCES item ON DELETE CASCADE)")
    Item.objects.create(name="whole")
    run("INSERT INTO part VALUES (1)")
    wal.read()
    run("DELETE FROM item")
    found = wal.read()
    assert [entry for entry in found if isinstance(entry, RowChange)] == [
        RowChange("DELETE", "public.item"),
        RowChange("DELETE", "public.part"),
    ]
    contexts = [entry for entry in found if isinstance(entry, Context)]
    assert {entry.values["SQL"] for entry in contexts} == {"DELETE FROM item"}


def test_reads_are_sent_as_they_are(wal: Wal) -> None:
    run("SELECT 1 AS found")
    text = connection.cursor()
    text.execute("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    assert "Bemi" not in text.fetchone()[0]
    assert wal.read() == []


def test_without_a_context_no_message_is_sent(wal: Wal) -> None:
    with context_in_force({}):
        Item.objects.create(name="plain")
    assert shape(wal) == ["INSERT public.item"]


def test_an_async_view_writes_with_its_context(wal: Wal) -> None:
    async def write() -> None:
        with context_in_force({"user_id": "async"}):
            await Item.objects.acreate(name="async")

    run_async(write())
    assert [found["user_id"] for found in wal.contexts()] == ["async"]


def test_a_thread_has_its_own_connection_and_its_own_context(wal: Wal) -> None:
    def write() -> None:
        try:
            Item.objects.create(name="without")
            with context_in_force({"user_id": "thread"}):
                Item.objects.create(name="with")
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert [found["user_id"] for found in wal.contexts()] == ["thread"]


def test_parameters_bound_by_the_server_change_nothing(wal: Wal, site: Database) -> None:
    connection.close()
    connection.settings_dict["OPTIONS"] = {"server_side_binding": True}
    try:
        Item.objects.create(name="bound -- %s")
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE item SET amount = %s", [(1,), (2,)])
    finally:
        connection.close()
        connection.settings_dict["OPTIONS"] = {}
    assert shape(wal) == ["context", "INSERT public.item"] + ["context", "UPDATE public.item"] * 2


def test_another_wrapper_may_add_its_comment_behind(wal: Wal) -> None:
    def add_comment(execute: Any, sql: str, params: Any, many: bool, execution: Any) -> Any:
        return execute(f"{sql} /* route='/items/' **/", params, many, execution)

    with connection.execute_wrapper(add_comment):
        Item.objects.create(name="one")
    Item.objects.create(name="two")
    assert shape(wal) == ["context", "INSERT public.item"] * 2


def test_five_megabytes_in_a_statement_change_nothing(wal: Wal) -> None:
    Item.objects.create(name="x", amount=1)
    run("UPDATE item SET name = left(%s, 10)", ["/*Bemi x" * 640_000])
    assert len(wal.contexts()) == 2


def test_the_trigger_calls_nothing_of_the_writers_search_path(
    admin: psycopg.Connection[Any], wal: Wal
) -> None:
    trap = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$"
    admin.execute("CREATE SCHEMA trap")
    for arguments, result in (
        ("right(text, int)", "text"),
        ("left(text, int)", "text"),
        ("strpos(text, text)", "int"),
        ("split_part(text, text, int)", "text"),
        ("current_query()", "text"),
        ("current_setting(text, boolean)", "text"),
        ("pg_logical_emit_message(boolean, text, text)", "pg_lsn"),
        ("same(text, text)", "boolean"),
        ("same(int, int)", "boolean"),
    ):
        admin.execute(f"CREATE FUNCTION trap.{arguments} RETURNS {result} {trap}".encode())
    for name in ("=", "<>", ">", "~~", "!~~", "!~"):
        for kind in ("text", "int"):
            admin.execute(
                f"CREATE OPERATOR trap.{name} "
                f"(FUNCTION = trap.same, LEFTARG = {kind}, RIGHTARG = {kind})".encode()
            )
    admin.execute("SET search_path = trap, public, pg_catalog")
    for statement in (
        """INSERT INTO item (name) VALUES ('a') /*Bemi {"is": 1} Bemi*/""",
        """INSERT INTO item (name) VALUES ('b--')\n/*Bemi {"is": 2} Bemi*/ /* end */;""",
        """INSERT INTO item (name) VALUES ('d--')\n/*Bemi {"is": 3} Bemi*/""",
        "INSERT INTO item (name) VALUES ('c')",
    ):
        admin.execute(statement.encode())
    admin.execute("SET search_path = public")
    assert [entry.values for entry in wal.read() if isinstance(entry, Context)] == [
        {"is": 1},
        {"is": 2},
        {"is": 3},
    ]
