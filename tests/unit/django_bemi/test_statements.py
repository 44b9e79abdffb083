"""Which statements carry the context, and in what form."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from bemi import statements

COMMENT = '/*Bemi {"a":1} Bemi*/'


def decoded(context: Mapping[Any, Any], sql: str = "DELETE FROM t") -> dict[str, Any]:
    comment = statements.encode_context(context, sql, statements.Form(1_000_000))
    assert comment is not None
    found = json.loads(comment.removeprefix("/*Bemi ").removesuffix(" Bemi*/"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1)",
        "insert\ninto t values (1)",
        "  \n\tUPDATE t SET a = 1",
        "DELETE FROM t",
        "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE t",
        "COPY t FROM STDIN",
        "CALL p()",
        "DO $$ BEGIN END $$",
        "EXECUTE prepared(1)",
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
        "with recursive x as (select 1) update t set a = 1",
        "/* a comment */ UPDATE t SET a = 1",
        "/* one /* in */ another */ UPDATE t SET a = 1",
        "-- a comment\nUPDATE t SET a = 1",
        "((INSERT INTO t VALUES (1)))",
        "EXPLAIN ANALYZE DELETE FROM t",
        "SET LOCAL lock_timeout = 1; UPDATE t SET a = 1",
        "BEGIN; -- begun\n /* x */ DELETE FROM t; COMMIT",
        "SELECT pay_invoice(7)",
        "SELECT * FROM pay_invoice (%s)",
        'SELECT * FROM "pay_invoice"(7)',
        'SELECT app . count(7), lower("name") FROM "t"',
        'SELECT pg_catalog.count(*), "app"."pay"() FROM t',
        "WITH x AS (SELECT pay_invoice(7)) SELECT * FROM x",
        "EXPLAIN ANALYZE SELECT pay_invoice(7)",
        "VALUES (pay_invoice(7))",
    ],
)
def test_a_statement_that_may_change_rows_is_one(sql: str) -> None:
    assert statements.may_write(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1",
        "SELECT * FROM updates -- UPDATE t",
        "/* INSERT */ SELECT 1",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "EXPLAIN SELECT 1",
        "SHOW wal_level",
        "SET LOCAL lock_timeout = 1;",
        "SAVEPOINT s",
        "RELEASE SAVEPOINT s",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "DECLARE c CURSOR FOR SELECT 1",
        "FETCH 10 FROM c",
        "VACUUM t",
        "INSERTED",
        "/* never closed UPDATE",
        "-- only a comment",
        'SELECT COUNT(*) AS "__count" FROM "t" WHERE "t"."a" IN (%s, %s)',
        'SELECT COALESCE(SUM(CASE WHEN ("t"."a" = 1) THEN 1 END), 0) FROM "t" GROUP BY ("t"."b")',
        'SELECT ROW_NUMBER() OVER (PARTITION BY "t"."a") FROM "t" LEFT JOIN "u" USING ("id")',
        'SELECT EXTRACT(YEAR FROM "t"."at" AT TIME ZONE %s), CAST(1 AS numeric(9, 2)) FROM "t"',
        "SELECT pg_catalog.set_config('a', 'b', true), pg_advisory_xact_lock(1), ST_AsText(NULL)",
        'SELECT 1 FROM "t" WHERE EXISTS(SELECT 1 AS "a" FROM "u" WHERE (NOT ("u"."b")) LIMIT 1)',
        "CREATE TABLE pay_invoice (id int)",
        "CREATE INDEX i ON t (pay_invoice(a))",
    ],
)
def test_a_statement_that_reads_is_left_alone(sql: str) -> None:
    assert not statements.may_write(sql)


def test_looking_at_a_long_statement_with_many_comments_ends_at_once() -> None:
    assert not statements.may_write("SELECT 1;" + "/* * */ " * 20_000 + "x")


def test_looking_at_a_long_read_ends_at_once() -> None:
    assert not statements.may_write("SELECT * FROM (VALUES (1)" + ", (1), (now()" * 20_000)


@pytest.mark.parametrize(
    ("sql", "tagged"),
    [
        ("DELETE FROM t", f"DELETE FROM t {COMMENT}"),
        ("DELETE FROM t;", f"DELETE FROM t {COMMENT};"),
        ("DELETE FROM t ; \n", f"DELETE FROM t  {COMMENT};"),
        ("DELETE FROM t -- all", f"DELETE FROM t -- all\n{COMMENT}"),
        ("DELETE FROM t -- all;", f"DELETE FROM t -- all\n{COMMENT};"),
        ("DELETE FROM t -- all\n", f"DELETE FROM t -- all\n{COMMENT}"),
        ("-- all\nDELETE FROM t", f"-- all\nDELETE FROM t {COMMENT}"),
    ],
)
def test_the_comment_is_the_last_one_and_in_no_line_comment(sql: str, tagged: str) -> None:
    assert statements.append_comment(sql, COMMENT, has_parameters=False) == tagged


def test_parameters_may_hold_a_line_comment_so_the_comment_gets_its_own_line() -> None:
    tagged = statements.append_comment("DELETE FROM t WHERE a = %s;", COMMENT, has_parameters=True)
    assert tagged == f"DELETE FROM t WHERE a = %s\n{COMMENT};"


def test_the_statement_stands_beside_the_context() -> None:
    assert decoded({"user_id": 1}, "DELETE FROM t") == {"user_id": 1, "SQL": "DELETE FROM t"}


def test_without_a_statement_the_context_stands_alone() -> None:
    assert statements.encode_context({"a": 1}, "", statements.Form(1000)) == COMMENT


def test_placeholders_are_escaped_where_a_driver_looks_for_them() -> None:
    def encoded(has_placeholders: bool) -> str | None:
        return statements.encode_context(
            {"a": "%s"}, "", statements.Form(1000, None, has_placeholders)
        )

    assert encoded(True) == '/*Bemi {"a":"\\u0025s"} Bemi*/'
    assert encoded(False) == '/*Bemi {"a":"%s"} Bemi*/'


def test_a_comment_too_long_goes_without_the_statement_first() -> None:
    comment = statements.encode_context({"a": 1}, "x" * 100, statements.Form(50))
    assert comment == COMMENT


def test_a_context_too_long_loses_its_longest_values_and_says_so() -> None:
    context = {"user_id": 7, "big": "x" * 500, "bigger": ["y" * 600], "small": "z"}
    comment = statements.encode_context(context, "x", statements.Form(700))
    assert comment is not None
    assert len(comment) <= 700
    assert json.loads(comment[len("/*Bemi ") : -len(" Bemi*/")]) == {
        **context,
        "bigger": "... (604 characters left out)",
    }
    comment = statements.encode_context(context, "x", statements.Form(200))
    assert comment is not None
    assert json.loads(comment[len("/*Bemi ") : -len(" Bemi*/")]) == {
        **context,
        "big": "... (502 characters left out)",
        "bigger": "... (604 characters left out)",
    }


@given(
    st.dictionaries(
        st.text("ab*/%", max_size=9),
        st.text("cd*/%\x00é", max_size=99),
        max_size=9,
    ),
    st.integers(20, 400),
    st.sampled_from([None, b"0123456789abcdef"]),
)
def test_a_comment_is_never_longer_than_it_may_be(
    context: dict[str, str], max_size: int, key: bytes | None
) -> None:
    comment = statements.encode_context(context, "x" * 60, statements.Form(max_size, key))
    assert comment is None or len(comment) <= max_size


def test_a_context_whose_names_alone_are_too_long_is_not_sent() -> None:
    assert statements.encode_context({"a" * 50: "x"}, "x", statements.Form(50)) is None


def test_what_json_does_not_know_arrives_as_exact_text() -> None:
    key = uuid.UUID("a7a3e7a8-0d5c-4d0c-8e3a-4ff1a8a0a001")
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
    found = decoded(
        {
            "uuid": key,
            "moment": moment,
            "day": moment.date(),
            "clock": moment.timetz(),
            "span": datetime.timedelta(days=1, microseconds=1),
            "amount": Decimal("0.10"),
            "lazy": gettext_lazy("Yes"),
            "tags": {"one"},
            "pair": (1, 2),
            "object": Exception("text"),
        }
    )
    assert found["uuid"] == str(key)
    assert found["moment"] == "2026-01-02T03:04:05.678901+00:00"
    assert found["day"] == "2026-01-02"
    assert found["clock"] == "03:04:05.678901+00:00"
    assert found["span"] == "P1DT00H00M00.000001S"
    assert found["amount"] == "0.10"
    assert found["lazy"] == "Yes"
    assert found["tags"] == ["one"]
    assert found["pair"] == [1, 2]
    assert found["object"] == "text"


def test_numbers_and_keys_that_json_has_no_word_for_become_text() -> None:
    key = uuid.UUID("a7a3e7a8-0d5c-4d0c-8e3a-4ff1a8a0a001")
    found = decoded({key: [float("nan"), {"deep": float("inf")}], "n": 1})
    assert found[str(key)] == ["nan", {"deep": "inf"}]
    assert found["n"] == 1


def test_a_context_that_holds_itself_is_refused() -> None:
    context: dict[str, Any] = {}
    context["self"] = context
    with pytest.raises(ValueError, match="holds itself"):
        decoded(context)
