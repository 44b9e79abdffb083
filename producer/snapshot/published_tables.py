"""Ask the catalogue which tables a publication has, and plan how to read them. Edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from producer.errors import from_psycopg
from producer.pgoutput import Column, Relation, ReplicaIdentity
from producer.snapshot.chunks import Chunk, Heap, HeapProgress, Plan, SnapshotTable, cut
from producer.snapshot.marks import Mark
from producer.snapshot.statements import has_rows

_TABLES = files("producer").joinpath("sql/snapshot_tables.sql").read_text()
COLUMN_LISTS_AND_ROW_FILTERS = 150_000

Connection = psycopg.Connection[tuple[Any, ...]]


def published_tables(
    connection: Connection,
    publication: str,
    *,
    is_wanted: Callable[[str, str], bool],
    overrides: Mapping[str, str],
) -> list[SnapshotTable]:
    """Return the wanted tables of the publication, in the order of their names."""
    has_both = connection.info.server_version >= COLUMN_LISTS_AND_ROW_FILTERS
    query = sql.SQL(_TABLES).format(
        row_filter=sql.SQL("p.rowfilter" if has_both else "NULL"),
        is_published=sql.SQL("a.attname = ANY (p.attnames)" if has_both else "true"),
    )
    try:
        rows = connection.execute(query, {"publication": publication}).fetchall()
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    tables = []
    for oid, pg_schema, table, replica_identity, row_filter, columns, heaps in rows:
        if not is_wanted(pg_schema, table):
            continue
        relation = Relation(
            oid,
            pg_schema,
            table,
            ReplicaIdentity(replica_identity),
            tuple(
                Column(name, type_oid, modifier, is_identity or replica_identity == "f")
                for name, type_oid, modifier, is_identity in columns
            ),
        )
        override = overrides.get(f"{pg_schema}.{table}")
        tables.append(SnapshotTable(relation, tuple(Heap(*h) for h in heaps), row_filter, override))
    return tables


def plan_chunks(
    connection: Connection,
    tables: list[SnapshotTable],
    progress: Mapping[int, HeapProgress],
) -> Plan:
    """Return what is left to read, marked where the snapshot and each table begin and end.

    Empty chunks at a table's ends are left out, because marks need rows that carry them.
    """
    planned = []
    try:
        for table in tables:
            chunks = cut(table, dict(progress))
            while chunks and not _has_rows(connection, table, chunks[-1]):
                chunks.pop()
            while chunks and not _has_rows(connection, table, chunks[0]):
                chunks.pop(0)
            if chunks:
                planned.append(chunks)
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    return mark(planned, is_whole=not progress)


def mark(planned: list[list[Chunk]], *, is_whole: bool) -> Plan:
    """Return the chunks of all tables with the marks that their first and last rows carry.

    Where a part was read before, only the last row of all is marked: the others' were.
    """
    plan = Plan()
    for number, chunks in enumerate(planned):
        is_last = number == len(planned) - 1
        if is_whole:
            first_mark = Mark.FIRST if number == 0 else Mark.FIRST_OF_TABLE
            chunks[0] = replace(chunks[0], first_mark=first_mark)
        if is_whole or is_last:
            last_mark = Mark.LAST if is_last else Mark.LAST_OF_TABLE
            chunks[-1] = replace(chunks[-1], last_mark=last_mark)
        plan.chunks += chunks
    return plan


def _has_rows(connection: Connection, table: SnapshotTable, chunk: Chunk) -> bool:
    row = connection.execute(has_rows(table, chunk)).fetchone()
    return bool(row and row[0])
