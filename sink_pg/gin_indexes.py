"""Build Bemi's GIN indexes, on the partitions that are to have them. Edge: SQL.

An index for `before @> …`, `after @> …` and `context @> …` costs more to keep than all the rest
of storing a change. Built on a partition that gets no more rows, it costs nothing while changes
come in, and is smaller. It is built CONCURRENTLY, so a late change is stored all the same; an
attempt that was cut short leaves an invalid index, which is dropped and built again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg import sql

from sink_pg.partitions import Partition, list_partitions
from sink_pg.pg_connection import Connection, stage_error
from sink_pg.statements import statement

Which = Literal["none", "closed", "all"]
COLUMNS = ("before", "after", "context")

CLOSED_AFTER = timedelta(days=1)
"""How long after its end a partition still gets rows: of a pipeline that lags."""

log = logging.getLogger(__name__)


def build_gin_indexes(
    connection: Connection,
    guard: Connection,
    which: Which,
    now: datetime,
    is_stopping: Callable[[], bool],
) -> int:
    """Build the indexes that are missing and return their number; ends early when stopping.

    Never drops a valid one, also where the setting says otherwise by now. Several sinks may
    try: `guard`, another connection, holds the lock of the one that builds, because an index
    is built outside of transactions.
    """
    built = 0
    try:
        with guard.transaction():
            if not _is_alone(guard):
                return 0
            for partition in list_partitions(connection):
                if not _is_wanted(partition, which, now):
                    continue
                for column in _missing(connection, partition):
                    if is_stopping():
                        return built
                    _build(connection, partition, column)
                    built += 1
    except psycopg.Error as error:
        raise stage_error(error) from error
    return built


def _is_alone(guard: Connection) -> bool:
    cursor = guard.execute(statement("lock_indexes"))
    while cursor.nextset():
        pass
    return cursor.fetchone() == (True,)


def _build(connection: Connection, partition: Partition, column: str) -> None:
    log.info("building the GIN index of %s on %s", column, partition.name)
    connection.execute(
        statement("create_gin_index").format(
            partition=partition.identifier, column=sql.Identifier(column)
        )
    )


def _is_wanted(partition: Partition, which: Which, now: datetime) -> bool:
    if which == "closed":
        return partition.upper is not None and partition.upper <= now - CLOSED_AFTER
    return which == "all"


def _missing(connection: Connection, partition: Partition) -> list[str]:
    found: list[Any] = connection.execute(
        statement("gin_indexes"), {"pg_schema": partition.pg_schema, "name": partition.name}
    ).fetchall()
    for _, index, is_valid in found:
        if not is_valid:
            connection.execute(
                statement("drop_gin_index").format(index=sql.Identifier(partition.pg_schema, index))
            )
    standing = {column for column, _, is_valid in found if is_valid}
    return [column for column in COLUMNS if column not in standing]
