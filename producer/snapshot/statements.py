"""The SQL that reads a chunk. Edge only in that psycopg quotes the names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from producer.snapshot.chunks import Chunk, SnapshotTable
from producer.snapshot.copied_rows import CopiedColumn

_OPTIONS = (
    "(FORMAT csv, DELIMITER E'\\x1f', QUOTE '\"', ESCAPE E'\\\\', NULL 'null', ENCODING 'UTF8'{})"
)


def copy_chunk(table: SnapshotTable, chunk: Chunk, columns: Sequence[CopiedColumn]) -> sql.Composed:
    """Return the COPY that writes the chunk's rows as `copied_rows` reads them."""
    return _copy(columns, _from(table, chunk))


def _copy(columns: Sequence[CopiedColumn], source: sql.Composable) -> sql.Composed:
    quoted = [
        sql.Identifier(column.name)
        for column in columns
        if column.form is not None and column.form.is_quoted
    ]
    force = sql.SQL(", FORCE_QUOTE ({})").format(sql.SQL(", ").join(quoted))
    return sql.SQL("COPY (SELECT {} {}) TO STDOUT {}").format(
        sql.SQL(", ").join(_selected(column) for column in columns),
        source,
        sql.SQL(_OPTIONS).format(force if quoted else sql.SQL("")),
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


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Rows by their key, behind `after` and up to `last`; texts as PostgreSQL writes them."""

    columns: tuple[str, ...]
    after: tuple[str, ...] | None = None
    last: tuple[str, ...] | None = None


def key_at(
    table: SnapshotTable, keys: KeyRange, condition: str | None, *, rows: int | None
) -> sql.Composed:
    """Return the query for the key of the range's n-th row, or of its last where that is None."""
    texts = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) for name in keys.columns
    )
    direction = sql.SQL(" DESC" if rows is None else "")
    order = sql.SQL(", ").join(_column(table, name) + direction for name in keys.columns)
    return sql.SQL("SELECT {} {} ORDER BY {} LIMIT 1 OFFSET {}").format(
        texts, _from_keys(table, keys, condition), order, sql.Literal((rows or 1) - 1)
    )


def copy_keys(
    table: SnapshotTable,
    keys: KeyRange,
    condition: str | None,
    columns: Sequence[CopiedColumn],
) -> sql.Composed:
    """Return the COPY of the range's rows in the order of their keys."""
    order = sql.SQL(", ").join(_column(table, name) for name in keys.columns)
    return _copy(
        columns, _from_keys(table, keys, condition) + sql.SQL(" ORDER BY {}").format(order)
    )


def _column(table: SnapshotTable, name: str) -> sql.Identifier:
    # By the table's name: a name alone would mean what is selected, which is text.
    return sql.Identifier(table.relation.table, name)


def _from_keys(table: SnapshotTable, keys: KeyRange, condition: str | None) -> sql.Composed:
    relation = table.relation
    names = sql.SQL(", ").join(sql.Identifier(name) for name in keys.columns)
    conditions = []
    for operator, bound in ((">", keys.after), ("<=", keys.last)):
        if bound is not None:
            values = sql.SQL(", ").join(sql.Literal(text) for text in bound)
            conditions.append(sql.SQL("({}) {} ({})").format(names, sql.SQL(operator), values))
    for given in (table.row_filter, condition):
        if given is not None:
            conditions.append(sql.SQL("({})").format(sql.SQL(given)))
    return sql.SQL("FROM {}{}{}").format(
        # A published root's rows are in its partitions.
        sql.SQL("" if table.is_partitioned else "ONLY "),
        sql.Identifier(relation.pg_schema, relation.table),
        sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(conditions))
        if conditions
        else sql.SQL(""),
    )
