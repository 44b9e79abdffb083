"""Reading Debezium's database.initial.statements."""

from __future__ import annotations

import pytest

from producer.sql_connection import split_statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ; ", []),
        ("SET a = 1", ["SET a = 1"]),
        ("SET a = 1; SET b = 2;", ["SET a = 1", "SET b = 2"]),
        ("SET a = 'x;;y'; SET b = 2", ["SET a = 'x;y'", "SET b = 2"]),
    ],
)
def test_statements_are_separated_by_one_semicolon_and_two_are_one(
    text: str, statements: list[str]
) -> None:
    assert split_statements(text) == statements
