"""Stitched changes for the sink's tests: examples, and any that can exist."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import strategies as st

from schemas.change import Change, Operation
from schemas.change_id import Epoch, change_uuid, transaction_seed
from sink_pg.change_rows import Record

TOPIC = "bemi.changes"
EPOCH = Epoch(
    system_identifier=7_300_000_000_000_000_001,
    timeline=1,
    wal_partitions=4,
    slot_name="bemi",
    database="app",
)
COMMITTED_AT_US = 1_767_225_600_123_456
COMMITTED_AT = "2026-01-01T00:00:00.123456Z"


def change(
    commit_lsn: int = 1_000, ordinal: int = 0, *, epoch: Epoch = EPOCH, **fields: object
) -> Change:
    """Return a change with its true id; `fields` replace any of its fields."""
    seed = transaction_seed(epoch.source_id, commit_lsn, COMMITTED_AT_US)
    example: Change = {
        "id": str(change_uuid(seed, ordinal)),
        "database": epoch.database,
        "schema": "public",
        "table": "todo_task",
        "primary_key": f"{commit_lsn}-{ordinal}",
        "operation": "UPDATE",
        "before": {"id": 1, "title": "old"},
        "after": {"id": 1, "title": "new"},
        "context": {"user_id": 42, "SQL": 'UPDATE "todo_task" SET "title" = %s'},
        "committed_at": COMMITTED_AT,
        "queued_at": "2026-01-01T00:00:00.200000Z",
        "transaction_id": 700 + commit_lsn,
        "position": commit_lsn,
        "commit_lsn": commit_lsn,
        "ordinal": ordinal,
        "epoch": str(epoch),
        "context_error": None,
    }
    return {**example, **fields}  # type: ignore[typeddict-item]


def encoded(value: Change) -> bytes:
    """Return the change as the stitcher writes it."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def record(
    value: Change | bytes | None = None, offset: int = 0, partition: int = 0, topic: str = TOPIC
) -> Record:
    """Return a record that holds the change, or the bytes as they are."""
    content = value if isinstance(value, bytes | None) else encoded(value)
    return Record(topic, partition, offset, b"key", content)


texts = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    [
        "\\N",
        "\\.",
        "a\tb\nc\rd\\e",
        '"},"after":{"',
        '},"context":{',
        ',"committed_at":"',
        "\0",
        "\\u0000",
        "\\\0",
        "\ud800",
        "\udc00\ud800",
        "\U0001f600",
        "",
    ]
)
"""Any text that a record can hold, lone surrogates among them."""

numbers = (
    st.integers()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
)
documents: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                texts | st.sampled_from(["before", "after", "context", "id"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    ),
    max_size=4,
)
"""Any JSON object."""

_bigints = st.integers(0, 2**63 - 1)
changes: st.SearchStrategy[Change] = st.fixed_dictionaries(  # type: ignore[assignment]
    {
        "id": st.uuids().map(str),
        "database": texts,
        "schema": texts,
        "table": texts,
        "primary_key": st.none() | texts,
        "operation": st.sampled_from([operation.value for operation in Operation]),
        "before": documents,
        "after": documents,
        "context": documents,
        "committed_at": st.datetimes().map(lambda t: t.isoformat(timespec="microseconds") + "Z"),
        "queued_at": st.datetimes().map(lambda t: t.isoformat() + "Z"),
        "transaction_id": _bigints,
        "position": _bigints,
        "commit_lsn": _bigints,
        "ordinal": _bigints,
        "epoch": texts,
        "context_error": st.none() | texts,
    }
)
"""Any change that the contract allows."""


def storable(value: Any) -> Any:
    """Return the value with what PostgreSQL cannot hold replaced as change_rows says."""
    if isinstance(value, str):
        return "".join(
            "\u2400" if char == "\0" else "\ufffd" if "\ud800" <= char <= "\udfff" else char
            for char in _joined_surrogates(value)
        )
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value


def _joined_surrogates(text: str) -> str:
    # Two halves side by side are one character once they are written as JSON and read back.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
