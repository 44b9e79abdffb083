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


class SourceParts(NamedTuple):
    """What the source blocks of one transaction share, as JSON around what differs.

    `f'{head}{lsn}{times}{place_of(schema, table)}{xid}{lsn}{tail}'` is a block. As Text: see
    `row_codec`.
    """

    head: str
    times: str
    xid: str
    tail: str


def place_of(pg_schema: str, table: str) -> str:
    """Return the part of a source block that names the table."""
    return f'"schema":{_text(pg_schema)},"table":{_text(table)},"txId":'


def source_parts(server: Server, source: Source) -> SourceParts:
    """Return the parts of the blocks that differ from this in table and LSN only."""
    last = "null" if source.last_commit_lsn is None else f'\\"{source.last_commit_lsn}\\"'
    head = (
        f'{{"version":"{VERSION}","connector":"{CONNECTOR}","name":{_text(server.topic_prefix)},'
        f'"ts_ms":{source.ts_us // 1000},"snapshot":"{source.snapshot}",'
        f'"db":{_text(server.database)},"sequence":"[{last},\\"'
    )
    times = f'\\"]","ts_us":{source.ts_us},"ts_ns":{source.ts_us}000,'
    if source.origin is None:
        origin = '"origin":null,"origin_lsn":null'
    else:
        origin = f'"origin":{_text(source.origin.name)},"origin_lsn":{source.origin.origin_lsn}'
    return SourceParts(
        head,
        times,
        f'{_number(source.xid)},"lsn":',
        f',"xmin":{_number(source.xmin)},{origin}}}',
    )


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
