"""What an operator is told about a schema that became another."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.schema_changes import describe_changes


def record(*fields: dict[str, Any], name: str = "Value") -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": "a.b", "fields": list(fields)}


def envelope(row: dict[str, Any]) -> dict[str, Any]:
    before = {"name": "before", "type": ["null", row], "default": None}
    return record(before, {"name": "after", "type": ["null", "Value"]}, name="Envelope")


ID = {"name": "id", "type": "int"}
NOTE = {"name": "note", "type": ["null", "string"], "default": None}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (record(ID), record(ID), []),
        ("int", "long", ["the schema was int and is long"]),
        (record(ID), record(ID, NOTE), ["note is new (null or string)"]),
        (record(NOTE, ID), record(NOTE), ["id is gone, without a default"]),
        (record(NOTE), record(NOTE, ID), ["id is new (int, without a default)"]),
        (record(ID), record({"name": "id", "type": "long"}), ["id was int and is long"]),
        (
            record(ID),
            record({"name": "id", "type": ["null", "int"]}),
            ["id was int and is null or int"],
        ),
        # A default only changes the order of the union.
        (record(NOTE), record({"name": "note", "type": ["string", "null"], "default": "x"}), []),
        (
            record({"name": "tags", "type": {"type": "array", "items": "int"}}),
            record({"name": "tags", "type": {"type": "array", "items": "long"}}),
            ["tags[] was int and is long"],
        ),
        (
            record({"name": "tags", "type": {"type": "map", "values": "int"}}),
            record({"name": "tags", "type": {"type": "map", "values": ["null", "int"]}}),
            ["tags{} was int and is null or int"],
        ),
        (record(ID), record(ID, name="Row"), ["the schema was a.b.Value and is a.b.Row"]),
        # The row is defined under `before` and named under `after`: said once.
        (envelope(record(ID)), envelope(record(ID, NOTE)), ["before.note is new (null or string)"]),
    ],
)
def test_a_change_is_described_as(old: Any, new: Any, changes: list[str]) -> None:
    assert describe_changes(old, new) == changes
