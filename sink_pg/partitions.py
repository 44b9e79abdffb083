"""The partitions of `changes`: list them, make those that are missing. Edge: SQL.

A partition is made apart, takes the rows of its range that stand in the default partition, and
is attached, all in one transaction: no row is ever missing or there twice. Attaching stops no
other partition's readers or writers; the default partition is locked for that moment, and for
as long as rows are moved.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from runtime.errors import StageError
from sink_pg.errors import DatabaseRefused, TooManyRowsToMove
from sink_pg.periods import Period, PlannedPartition, Range, planned, upcoming
from sink_pg.pg_connection import Connection, stage_error
from sink_pg.statements import statement

AHEAD = 3
"""Periods after the present one that have a partition before anything is written to them."""

MOST_ROWS_MOVED = 100_000
"""Rows that a running sink moves out of the default partition at once: some seconds' work."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Within Python's years by a margin that any arithmetic here may use.
_EARLIEST, _LATEST = (
    (datetime(year, 1, 1, tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1)
    for year in (2, 9998)
)

log = logging.getLogger(__name__)


class Partition(NamedTuple):
    """A partition as the catalogue has it; rows are PostgreSQL's estimate."""

    pg_schema: str
    name: str
    is_default: bool
    lower: datetime | None
    upper: datetime | None
    rows: int
    bytes: int

    @property
    def range(self) -> Range:
        """The times it holds; of the default partition what no other does."""
        return Range(self.lower, self.upper)

    @property
    def identifier(self) -> sql.Identifier:
        """Its name for a statement."""
        return sql.Identifier(self.pg_schema, self.name)


@contextmanager
def maintaining(connection: Connection) -> Iterator[None]:
    """Run one transaction of maintenance, alone of all sinks.

    Raises what a failed statement means for the sink; nothing of it has happened then.
    """
    try:
        with connection.transaction():
            connection.execute(statement("begin_maintenance"))
            yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseRefused(
            f"the sink's role may not change the partitions ({error.diag.message_primary}); rows"
            " without one go to the default partition. Run `bemi-sink partitions`, and where"
            " changes are removed by age `bemi-sink retention`, with the role that owns the"
            " tables, now and then, or give the tables to the sink's role"
        ) from error
    except psycopg.Error as error:
        raise stage_error(error) from error


def list_partitions(connection: Connection) -> list[Partition]:
    """Return the partitions of `changes`, the oldest first and the default one last."""
    try:
        with connection.transaction():
            connection.execute(statement("plain_times"))
            rows: list[Any] = connection.execute(statement("list_partitions")).fetchall()
    except psycopg.Error as error:
        raise stage_error(error) from error
    return [
        Partition(pg_schema, name, is_default, _time(lower), _time(upper), count, size)
        for pg_schema, name, is_default, lower, upper, count, size in rows
    ]


def make_upcoming(connection: Connection, period: Period, now: datetime) -> list[str]:
    """Make the partitions of the present and the next periods; return the names of the new."""
    return make(connection, period, upcoming(period, now, AHEAD), MOST_ROWS_MOVED)


def make(
    connection: Connection,
    period: Period,
    times: Iterable[datetime],
    most_rows_moved: int | None = None,
) -> list[str]:
    """Make the partitions that are missing for the times; return the names of the new.

    Each is a transaction of its own. One whose rows in the default partition are more than may
    be moved is left out, the others are made, and TooManyRowsToMove is raised in the end.
    """
    made = []
    left_out: StageError | None = None
    for partition in planned(period, times, _ranges(connection)):
        try:
            with maintaining(connection):
                if any(partition.range.overlaps(range_) for range_ in _ranges(connection)):
                    continue  # Another sink was first.
                moved = _make(connection, partition, most_rows_moved)
        except TooManyRowsToMove as error:
            left_out = error
            continue
        made.append(partition.name)
        log.info("made partition %s, moved %d rows into it", partition.name, moved)
    if left_out is not None:
        raise left_out
    return made


def times_in_default(connection: Connection) -> list[datetime]:
    """Return a time in each day of which the default partition has rows."""
    default = default_partition(connection)
    if default is None:
        return []
    try:
        rows: list[Any] = connection.execute(
            statement("times_in_default").format(partition=default.identifier)
        ).fetchall()
    except psycopg.Error as error:
        raise stage_error(error) from error
    return [_EPOCH + timedelta(microseconds=microseconds) for (microseconds,) in rows]


def default_partition(connection: Connection) -> Partition | None:
    """Return the partition that takes what no other does, if it was left in place."""
    return next((each for each in list_partitions(connection) if each.is_default), None)


def _make(connection: Connection, partition: PlannedPartition, most_rows: int | None) -> int:
    target = sql.Identifier("public", partition.name)
    lower, upper = timestamp(partition.lower), timestamp(partition.upper)
    connection.execute(statement("create_partition").format(partition=target))
    moved = 0
    if default := default_partition(connection):
        source = default.identifier
        # From here on nobody can put another row of the range there.
        connection.execute(statement("lock_partition").format(partition=source))
        if most_rows is not None:
            found = connection.execute(
                statement("rows_in_range").format(
                    partition=source, lower=lower, upper=upper, limit=sql.Literal(most_rows + 1)
                )
            ).fetchone()
            if found is None or int(str(found[0])) > most_rows:
                raise TooManyRowsToMove(
                    f"partition {partition.name} is not made: the default partition holds more"
                    f" than {most_rows} rows of its range; run `bemi-sink partitions` in a quiet"
                    " hour, readers of `changes` wait while it moves them"
                )
        moved = connection.execute(
            statement("move_rows").format(
                source=source,
                target=target,
                columns=_columns(connection),
                lower=lower,
                upper=upper,
            )
        ).rowcount
    connection.execute(
        statement("attach_partition").format(partition=target, lower=lower, upper=upper)
    )
    return moved


def _ranges(connection: Connection) -> list[Range]:
    return [each.range for each in list_partitions(connection) if not each.is_default]


def _columns(connection: Connection) -> sql.Composed:
    names = connection.execute(statement("changes_columns")).fetchall()
    return sql.SQL(", ").join(sql.Identifier(str(name)) for (name,) in names)


def timestamp(time: datetime) -> sql.Composed:
    """Return the time as a constant, which is all that a bound of a partition may be."""
    return sql.SQL("{}::timestamptz").format(sql.Literal(time.isoformat()))


def _time(microseconds: int | None) -> datetime | None:
    if microseconds is None:
        return None
    return _EPOCH + timedelta(microseconds=max(_EARLIEST, min(_LATEST, microseconds)))
