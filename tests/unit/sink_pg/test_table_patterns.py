"""Tables chosen by patterns, and found in the rows that are on their way."""

from __future__ import annotations

import pytest
from hypothesis import given

from sink_pg.change_rows import change_row
from sink_pg.table_patterns import Table, TablePatterns, table_of_line
from tests.unit.sink_pg.example_changes import change, record, storable, texts


@pytest.mark.parametrize(
    ("pattern", "table", "is_match"),
    [
        ("public.task", Table("public", "task"), True),
        ("public.task", Table("public", "tasks"), False),
        ("public.task", Table("public", "Task"), False),
        ("public.task*", Table("public", "task_log"), True),
        ("*.task", Table("archive", "task"), True),
        ("public.*", Table("private", "task"), False),
    ],
)
def test_pattern_is_about_schema_and_table(pattern: str, table: Table, is_match: bool) -> None:
    assert TablePatterns([pattern]).match(table) is is_match


@given(texts, texts)
def test_table_of_a_row_is_the_table_of_its_change(pg_schema: str, table: str) -> None:
    line = change_row(record(change(schema=pg_schema, table=table))).line
    assert table_of_line(line) == Table(storable(pg_schema), storable(table))
