"""What change_rows writes is what PostgreSQL reads: PostgreSQL is the oracle."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.change import Change
from sink_pg.change_rows import COPY_COLUMNS, change_row
from sink_pg.pg_writer import PgWriter
from sink_pg.statements import copy_into
from tests.integration.sink_pg.conftest import Trail
from tests.unit.sink_pg.example_changes import changes, encoded, record, storable

JSON_COLUMNS = ("before", "after", "context")
TIME_COLUMNS = ("committed_at", "queued_at")


@given(values=st.lists(changes, min_size=1, max_size=8, unique_by=lambda value: value["id"]))
@settings(
    max_examples=100,
    deadline=None,
    # Each example is rolled back.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_row_read_back_equals_the_change(
    writer: PgWriter, trail: Trail, values: list[Change]
) -> None:
    columns = ", ".join(
        f'to_char("{name}" AT TIME ZONE \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
        if name in TIME_COLUMNS
        else f'"{name}"::text'
        for name in COPY_COLUMNS
    )
    with trail.connection.transaction(force_rollback=True):
        with trail.connection.cursor().copy(copy_into("public", "changes")) as copy:
            for value in values:
                copy.write(change_row(record(value)).line)
        rows = trail.rows(columns)
    stored = {row[0]: dict(zip(COPY_COLUMNS, row, strict=True)) for row in rows}
    assert len(stored) == len(values)
    for value in values:
        row = stored[value["id"]]
        expected: dict[str, Any] = {**value}
        original = json.loads(encoded(value), parse_float=Decimal, parse_int=Decimal)
        assert row.pop("stored_as_text") is None
        is_changed = row.pop("characters_replaced")
        assert is_changed == ("true" if storable(dict(value)) != value else "false")
        for name in JSON_COLUMNS:
            document = json.loads(row.pop(name), parse_float=Decimal, parse_int=Decimal)
            assert document == storable(original[name])
            del expected[name]
        for name in TIME_COLUMNS:
            moment, _, fraction = expected.pop(name).removesuffix("Z").partition(".")
            assert row.pop(name) == f"{moment}.{fraction or '0':0<6}Z"
        assert row == {
            name: None if field is None else storable(str(field))
            for name, field in expected.items()
        }
