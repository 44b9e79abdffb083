"""What of a statement is recorded beside its context."""

from __future__ import annotations

import pytest

from bemi.recorded_sql import recorded_sql

KEYS = {"task": "id", "Task of\nours": "id", "part": "whole_ptr_id"}
SAVED = 'UPDATE "task" SET "title" = %s, "done" = NULL WHERE "task"."id" = %s'


def recorded(sql: str, max_length: int = 2048, redact_literals: bool = False) -> str:
    return recorded_sql(
        sql, max_length=max_length, redact_literals=redact_literals, key_column=KEYS.get
    )


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        (SAVED, "UPDATE task"),
        (f'{SAVED} RETURNING "task"."size"', "UPDATE task"),
        ('UPDATE "part" SET "a" = %s::int[] WHERE "part"."whole_ptr_id" = %s', "UPDATE part"),
        ('INSERT INTO "task" ("title") VALUES (%s)', "INSERT INTO task"),
        (
            'INSERT INTO "task" ("a", "b", "c") VALUES (%s, DEFAULT, %s::jsonb)'
            ' RETURNING "task"."id", "task"."size"',
            "INSERT INTO task",
        ),
        ('INSERT INTO "Other" ("a") VALUES (%s)', 'INSERT INTO "Other"'),
        ('INSERT INTO "order" ("a") VALUES (%s)', "INSERT INTO order"),
    ],
)
def test_a_plain_change_of_one_row_goes_without_its_columns(sql: str, left: str) -> None:
    assert recorded(sql) == left


@pytest.mark.parametrize(
    "sql",
    [
        'UPDATE "task" SET "title" = %s',
        'UPDATE "task" SET "title" = %s WHERE "task"."list_id" = %s',
        'UPDATE "task" SET "title" = %s WHERE "task"."id" IN (%s, %s)',
        'UPDATE "task" SET "title" = %s WHERE ("task"."id" = %s AND "task"."done")',
        'UPDATE "task" SET "count" = ("task"."count" + %s) WHERE "task"."id" = %s',
        'UPDATE "task" SET "title" = \'x\' WHERE "task"."id" = %s',
        'UPDATE "unknown" SET "title" = %s WHERE "unknown"."id" = %s',
        'UPDATE "task" SET "title" = %s WHERE "part"."id" = %s',
        'INSERT INTO "task" ("title") VALUES (%s), (%s)',
        'INSERT INTO "task" ("title") VALUES (lower(%s))',
        'INSERT INTO "task" ("title") SELECT * FROM UNNEST((%s)::text[])',
        'INSERT INTO "task" ("title") VALUES (%s) ON CONFLICT DO NOTHING',
        'INSERT INTO "task" ("title") VALUES (%s); DROP TABLE x',
        'INSERT INTO "task" ("title") VALUES (%s) RETURNING pay("id")',
        'DELETE FROM "task" WHERE "task"."id" IN (%s)',
        "INSERT INTO task (title) VALUES (%s)",
    ],
)
def test_what_says_more_than_its_change_is_recorded_whole(sql: str) -> None:
    assert recorded(sql) == sql


def test_a_long_statement_is_cut_and_says_so() -> None:
    assert recorded("x" * 30, max_length=10) == "xxxxxxxxxx... (30 characters)"


def test_a_limit_of_nothing_leaves_the_statement_out() -> None:
    assert recorded(SAVED, max_length=0) == ""


def test_literals_are_left_out_before_it_is_cut() -> None:
    sql = f"DELETE FROM task WHERE title = '{'x' * 99}'"
    assert recorded(sql, max_length=40, redact_literals=True) == "DELETE FROM task WHERE title = ?"
