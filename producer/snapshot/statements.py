"""The SQL that reads a chunk. Edge only in that psycopg quotes the names."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from producer.snapshot.chunks import Chunk, SnapshotTable
from producer.snapshot.copied_rows import CopiedColumn

_OPTIONS = (
    "(FORMAT csv, DELIMITER E'\\x1f', QUOTE '\"', ESCAPE E'\\\\', NULL 'null', ENCODING 'UTF8'{})"
)


def copy_chunk(table: SnapshotTable, chunk: Chunk, columns: Sequence[CopiedColumn]) -> sql.Composed:
    """Return the COPY that writes the chunk's rows as `copied_rows` reads them."""
    texts = [
        sql.Identifier(column.name)
        for column in columns
        if column.form is not None and column.form.is_quoted
    ]
    quoted = (
        sql.SQL(", FORCE_QUOTE ({})").format(sql.SQL(", ").join(texts)) if texts else sql.SQL("")
    )
    names = sql.SQL(", ").join(_selected(column) for column in columns)
    return sql.SQL("COPY (SELECT {} {}) TO STDOUT {}").format(
        names, _from(table, chunk), sql.SQL(_OPTIONS).format(quoted)
    )


def _selected(column: CopiedColumn) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.form is None:
        return name
    return sql.SQL("{} AS {}").format(sql.SQL(column.form.expression).format(name), name)


def has_rows(table: SnapshotTable, chunk: Chunk) -> sql.Composed:
    """Return the query that tells whether the chunk has any row."""
    return sql.SQL("SELECT EXISTS (SELECT {})").format(_from(table, chunk))


def _from(table: SnapshotTable, chunk: Chunk) -> sql.Composable:
    heap = chunk.heap
    if heap is None:
        override = sql.SQL(table.override or "")  # The operator's own SQL.
        return sql.SQL("FROM ({}) AS rows_to_read").format(override)
    conditions = []
    if chunk.first_page:
        conditions.append(sql.SQL(f"ctid >= '({chunk.first_page},0)'"))
    if chunk.end_page is not None:
        conditions.append(sql.SQL(f"ctid < '({chunk.end_page},0)'"))
    if chunk.changed_since is not None:
        conditions.append(sql.SQL(f"age(xmin) <= age('{chunk.changed_since}'::xid8::xid)"))
    if table.row_filter is not None:
        conditions.append(sql.SQL(f"({table.row_filter})"))
    where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(conditions))
    return sql.SQL("FROM ONLY {}{}").format(
        sql.Identifier(heap.pg_schema, heap.table), where if conditions else sql.SQL("")
    )
