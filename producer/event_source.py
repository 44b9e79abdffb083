"""Where an event comes from: Debezium's `source` block. Pure.

Built once a transaction and table; only the row's own LSN changes within.

Shape: Debezium's `PostgresSourceInfoStructMaker`; schema: `envelope_schema.SOURCE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from producer.pgoutput import Origin
from schemas.change_id import Lsn

VERSION = "0.1.0"
CONNECTOR = "postgresql"

NOT_SNAPSHOT = "false"


@dataclass(frozen=True, slots=True)
class Server:
    """What all events of a stream share."""

    topic_prefix: str
    database: str


class Source(NamedTuple):
    """The place of an event, except for its LSN."""

    ts_us: int
    """When the transaction committed; for a snapshot, when the table's reading began."""
    pg_schema: str = ""
    table: str = ""
    snapshot: str = NOT_SNAPSHOT
    last_commit_lsn: Lsn | None = None
    xid: int | None = None
    xmin: int | None = None
    origin: Origin | None = None


class SourceText:
    """Writes source blocks as JSON Text (see `row_codec`); what events share is made once."""

    def __init__(self, server: Server) -> None:
        self._server_fields = (
            f'{{"version":"{VERSION}","connector":"{CONNECTOR}",'
            f'"name":{_text(server.topic_prefix)},"ts_ms":'
        )
        self._database_field = f'"db":{_text(server.database)},"sequence":"['
        self._head = self._times = self._xid = self._tail = ""

    def begin(
        self,
        ts_us: int,
        last_commit_lsn: Lsn | None,
        xid: int | None,
        xmin: int | None,
        origin: Origin | None,
    ) -> None:
        """Take what the next blocks have in common: see Source."""
        last = "null" if last_commit_lsn is None else f'\\"{last_commit_lsn}\\"'
        self._head = (
            f'{self._server_fields}{ts_us // 1000},"snapshot":"{NOT_SNAPSHOT}",'
            f'{self._database_field}{last},\\"'
        )
        self._times = f'\\"]","ts_us":{ts_us},"ts_ns":{ts_us}000,'
        self._xid = f'{_number(xid)},"lsn":'
        self._tail = _PLAIN_TAIL
        if xmin is not None or origin is not None:
            from_elsewhere = _NO_ORIGIN
            if origin is not None:
                from_elsewhere = f'"origin":{_text(origin.name)},"origin_lsn":{origin.origin_lsn}}}'
            self._tail = f',"xmin":{_number(xmin)},{from_elsewhere}'

    def block(self, place: str, lsn: str) -> str:
        """Return the block of an event at the LSN, about the table of the `place`."""
        return f"{self._head}{lsn}{self._times}{place}{self._xid}{lsn}{self._tail}"


_NO_ORIGIN = '"origin":null,"origin_lsn":null}'
_PLAIN_TAIL = f',"xmin":null,{_NO_ORIGIN}'


def place_of(pg_schema: str, table: str) -> str:
    """Return the part of a source block that names the table."""
    return f'"schema":{_text(pg_schema)},"table":{_text(table)},"txId":'


def source_value(server: Server, source: Source, lsn: int | None) -> dict[str, Any]:
    """Return the block as a Connect value."""
    sequence = [
        None if source.last_commit_lsn is None else str(source.last_commit_lsn),
        None if lsn is None else str(lsn),
    ]
    return {
        "version": VERSION,
        "connector": CONNECTOR,
        "name": server.topic_prefix,
        "ts_ms": source.ts_us // 1000,
        "snapshot": source.snapshot,
        "db": server.database,
        "sequence": orjson.dumps(sequence).decode(),
        "ts_us": source.ts_us,
        "ts_ns": source.ts_us * 1000,
        "schema": source.pg_schema,
        "table": source.table,
        "txId": source.xid,
        "lsn": lsn,
        "xmin": source.xmin,
        "origin": None if source.origin is None else source.origin.name,
        "origin_lsn": None if source.origin is None else source.origin.origin_lsn,
    }


@lru_cache(maxsize=1000)
def _text(value: str) -> str:
    return orjson.dumps(value).decode("latin-1")


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)
