"""Remove what is older than it has to be. Edge: SQL.

A partition goes whole, and only once its upper bound is old enough: no row in it can be younger
then. PostgreSQL refuses DETACH CONCURRENTLY beside a default partition (manual, "ALTER TABLE"),
so a partition is detached and dropped in one transaction that gives up after a few seconds
without its lock. Old rows of the default partition are deleted in batches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import sql

from sink_pg.partitions import (
    Partition,
    default_partition,
    list_partitions,
    maintaining,
    timestamp,
)
from sink_pg.pg_connection import Connection, stage_error
from sink_pg.seals import seal_removal
from sink_pg.statements import statement

ROWS_PER_DELETE = 5_000

log = logging.getLogger(__name__)


class Expired(NamedTuple):
    """What is older than the cutoff: whole partitions, and rows of the default partition."""

    partitions: list[Partition]
    default_rows: int


def find_expired(connection: Connection, cutoff: datetime) -> Expired:
    """Return what `remove_expired` would remove; changes nothing."""
    default = default_partition(connection)
    rows = 0
    if default is not None:
        try:
            found = connection.execute(
                statement("count_older").format(
                    partition=default.identifier, cutoff=timestamp(cutoff)
                )
            ).fetchone()
        except psycopg.Error as error:
            raise stage_error(error) from error
        rows = int(str(found[0])) if found else 0
    return Expired(_expired_partitions(connection, cutoff), rows)


def remove_expired(
    connection: Connection, cutoff: datetime, is_stopping: Callable[[], bool]
) -> Expired:
    """Remove it and return what was removed; ends early, between two steps, when stopping.

    Safe to run in several sinks at once.
    """
    dropped = []
    for partition in _expired_partitions(connection, cutoff):
        if is_stopping():
            break
        with maintaining(connection):
            # Another sink may have been first, and bounds are looked at under the lock.
            if partition.name not in {p.name for p in _expired_partitions(connection, cutoff)}:
                continue
            connection.execute(statement("drop_partition").format(partition=partition.identifier))
            seal_removal(connection, cutoff)
        log.info("dropped partition %s, all older than %s", partition.name, cutoff.isoformat())
        dropped.append(partition)
    return Expired(dropped, _delete_from_default(connection, cutoff, is_stopping))


def _expired_partitions(connection: Connection, cutoff: datetime) -> list[Partition]:
    return [
        partition
        for partition in list_partitions(connection)
        if not partition.is_default and partition.upper is not None and partition.upper <= cutoff
    ]


def _delete_from_default(
    connection: Connection, cutoff: datetime, is_stopping: Callable[[], bool]
) -> int:
    default = default_partition(connection)
    deleted = 0
    while default is not None and not is_stopping():
        with maintaining(connection):
            count = connection.execute(
                statement("delete_older").format(
                    partition=default.identifier,
                    cutoff=timestamp(cutoff),
                    limit=sql.Literal(ROWS_PER_DELETE),
                )
            ).rowcount
            if count and not deleted:
                seal_removal(connection, cutoff)
        deleted += count
        if count < ROWS_PER_DELETE:
            break
    if deleted:
        log.info("deleted %d rows of the default partition older than %s", deleted, cutoff)
    return deleted
