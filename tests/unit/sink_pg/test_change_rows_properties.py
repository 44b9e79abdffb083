"""What holds for every record, readable or not."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.change import Change
from sink_pg.change_rows import COPY_COLUMNS, ChangeRow, change_row
from sink_pg.errors import UnreadableChange
from tests.unit.sink_pg.example_changes import change, changes, encoded, record, storable


@given(changes)
def test_line_read_by_the_rules_of_copy_is_the_change(value: Change) -> None:
    row = change_row(record(value))
    columns = dict(zip(COPY_COLUMNS, map(unescaped, row.line[:-1].split(b"\t")), strict=True))
    stored = storable(dict(value))
    assert columns.pop("stored_as_text") is None
    is_replaced = columns.pop("characters_replaced")
    assert is_replaced == ("f" if stored == value else "t")
    for name in ("before", "after", "context"):
        assert json.loads(columns.pop(name) or "") == stored.pop(name)
    assert columns == {
        name: None if field is None else str(field) for name, field in stored.items()
    }
    assert row.line.count(b"\n") == 1


@given(changes)
def test_both_ways_to_write_json_make_the_same_row(value: Change) -> None:
    compact = json.dumps(value, separators=(",", ":")).encode()
    reordered = json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()
    assert line(change_row(record(compact))) == line(change_row(record(reordered)))


@given(st.binary(max_size=40), st.integers(0, 500), st.integers(0, 20))
@example(b'","after":{"', 300, 0)
@example(b"\t", 20, 0)
def test_damaged_record_is_one_line_or_unreadable(
    inserted: bytes, position: int, removed: int
) -> None:
    whole = encoded(change())
    damaged = whole[:position] + inserted + whole[position + removed :]
    try:
        row = change_row(record(damaged))
    except UnreadableChange:
        return
    assert row.line.count(b"\n") == 1
    assert row.line.count(b"\t") == len(COPY_COLUMNS) - 1


@given(st.binary())
def test_any_bytes_are_readable_or_refused_and_nothing_else(value: bytes) -> None:
    with suppress(UnreadableChange):
        assert change_row(record(value)).line


def unescaped(field: bytes) -> str | None:
    """Read one column of a line as COPY does."""
    if field == rb"\N":
        return None
    marks = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}
    parts = field.split(b"\\")
    text, rest = parts[0], parts[1:]
    while rest:
        part = rest.pop(0)
        if part:
            text += marks[part[:1]] + part[1:]
        else:
            text += b"\\" + (rest.pop(0) if rest else b"")
    return text.decode()


def line(row: ChangeRow) -> bytes:
    return row.line
