"""Build pgoutput messages, the other way round from producer.pgoutput, for tests.

Format: PostgreSQL manual, "Logical Replication Message Formats", protocol version 1.
"""

from __future__ import annotations

import struct
from enum import Enum

from producer.pgoutput import POSTGRES_EPOCH_US


class Kind(Enum):
    """What else than a text or NULL a column value can be."""

    UNCHANGED = "unchanged"


UNCHANGED = Kind.UNCHANGED
TupleData = list[bytes | Kind | None]


def begin(commit_lsn: int, commit_time_us: int, xid: int) -> bytes:
    """Return a Begin message."""
    return b"B" + struct.pack(">QqI", commit_lsn, commit_time_us - POSTGRES_EPOCH_US, xid)


def commit(commit_lsn: int, end_lsn: int, commit_time_us: int) -> bytes:
    """Return a Commit message."""
    times = commit_time_us - POSTGRES_EPOCH_US
    return b"C" + struct.pack(">BQQq", 0, commit_lsn, end_lsn, times)


def origin(origin_lsn: int, name: str) -> bytes:
    """Return an Origin message."""
    return b"O" + struct.pack(">Q", origin_lsn) + name.encode() + b"\0"


def relation(
    oid: int,
    pg_schema: str,
    table: str,
    columns: list[tuple[str, int, bool]],
    replica_identity: str = "d",
) -> bytes:
    """Return a Relation message; a column is (name, type oid, part of the identity)."""
    described = b"".join(
        struct.pack(">B", is_identity) + name.encode() + b"\0" + struct.pack(">Ii", type_oid, -1)
        for name, type_oid, is_identity in columns
    )
    return (
        b"R"
        + struct.pack(">I", oid)
        + pg_schema.encode()
        + b"\0"
        + table.encode()
        + b"\0"
        + replica_identity.encode()
        + struct.pack(">h", len(columns))
        + described
    )


def tuple_data(values: TupleData) -> bytes:
    """Return the TupleData part of a row message."""
    parts = [struct.pack(">h", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNCHANGED:
            parts.append(b"u")
        else:
            parts.append(b"t" + struct.pack(">I", len(value)) + value)
    return b"".join(parts)


def insert(oid: int, new: TupleData) -> bytes:
    """Return an Insert message."""
    return b"I" + struct.pack(">I", oid) + b"N" + tuple_data(new)


def update(oid: int, old: TupleData | None, new: TupleData, *, is_full: bool = True) -> bytes:
    """Return an Update message."""
    before = b"" if old is None else (b"O" if is_full else b"K") + tuple_data(old)
    return b"U" + struct.pack(">I", oid) + before + b"N" + tuple_data(new)


def delete(oid: int, old: TupleData, *, is_full: bool = True) -> bytes:
    """Return a Delete message."""
    return b"D" + struct.pack(">I", oid) + (b"O" if is_full else b"K") + tuple_data(old)


def truncate(oids: list[int], options: int = 0) -> bytes:
    """Return a Truncate message."""
    return b"T" + struct.pack(">IB", len(oids), options) + struct.pack(f">{len(oids)}I", *oids)


def logical_message(*, transactional: bool, lsn: int, prefix: str, content: bytes) -> bytes:
    """Return a Message message."""
    return (
        b"M"
        + struct.pack(">BQ", transactional, lsn)
        + prefix.encode()
        + b"\0"
        + struct.pack(">I", len(content))
        + content
    )
