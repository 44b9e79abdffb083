"""See what a database would send to the producer: contexts and row changes, in WAL order."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import psycopg

OPERATIONS = {"I": "INSERT", "U": "UPDATE", "D": "DELETE"}


@dataclass(frozen=True, slots=True)
class Context:
    """A context on its way, as text."""

    text: str

    @property
    def values(self) -> dict[str, Any]:
        """Read the context as the stitcher does."""
        values = json.loads(self.text)
        assert isinstance(values, dict)
        return values


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of one row, or the TRUNCATE of a table."""

    operation: str
    table: str


class Wal:
    """A replication slot that is read by SQL.

    Format: PostgreSQL manual, "Logical Replication Message Formats".
    """

    def __init__(self, connection: psycopg.Connection[Any], slot: str) -> None:
        self._connection = connection
        self._slot = slot
        self._tables: dict[int, str] = {}
        connection.execute(f"CREATE PUBLICATION {slot} FOR ALL TABLES")
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])

    def read(self) -> list[Context | RowChange]:
        """Return what was committed since the last call."""
        rows = self._connection.execute(
            "SELECT data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
            " 'proto_version', '1', 'publication_names', %s, 'messages', 'true')",
            [self._slot, self._slot],
        ).fetchall()
        found: list[Context | RowChange] = []
        for (payload,) in rows:
            found += self._decode(payload)
        return found

    def contexts(self) -> list[dict[str, Any]]:
        """Return the contexts committed since the last call."""
        return [entry.values for entry in self.read() if isinstance(entry, Context)]

    def _decode(self, payload: bytes) -> list[Context | RowChange]:
        kind = chr(payload[0])
        if kind == "R":
            (oid,) = struct.unpack_from(">I", payload, 1)
            schema, table, _ = payload[5:].split(b"\0", 2)
            self._tables[oid] = f"{schema.decode()}.{table.decode()}"
        elif kind in OPERATIONS:
            (oid,) = struct.unpack_from(">I", payload, 1)
            return [RowChange(OPERATIONS[kind], self._tables[oid])]
        elif kind == "T":
            count, _ = struct.unpack_from(">IB", payload, 1)
            oids = struct.unpack_from(f">{count}I", payload, 6)
            return [RowChange("TRUNCATE", self._tables[oid]) for oid in oids]
        elif kind == "M":
            prefix, rest = payload[10:].split(b"\0", 1)
            if prefix == b"_bemi":
                return [Context(rest[4:].decode())]
        return []
