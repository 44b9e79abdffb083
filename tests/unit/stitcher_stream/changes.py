"""A stitched change to begin with, for the tests of what is done to one."""

from __future__ import annotations

from typing import Any, cast

from schemas.change import Change
from stitcher_stream.contexts import Context


def a_change(**fields: Any) -> Change:
    """Return a change; the fields given are in place of its own."""
    values: dict[str, Any] = {
        "id": "018bcfe5-6807-83e7-a0e9-802582d9c4f9",
        "database": "shop",
        "schema": "public",
        "table": "task",
        "primary_key": "1",
        "operation": "UPDATE",
        "before": {"id": 1, "title": "a", "seen": 1},
        "after": {"id": 1, "title": "b", "seen": 1},
        "context": Context({"n": 1.1}, b'{"n": 1.10}'),
        "committed_at": "2025-11-24T16:00:00.007000Z",
        "queued_at": "2025-11-24T16:00:05.000123Z",
        "transaction_id": 7,
        "position": 6999,
        "commit_lsn": 7000,
        "ordinal": 1,
        "epoch": "1.1.1.bemi.shop",
        "context_error": None,
    }
    return cast("Change", values | fields)
