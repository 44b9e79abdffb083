"""The commands `bemi-sink partitions` and `bemi-sink retention`. Edge: click."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from threading import Event

import click
from rich.filesize import decimal
from rich.table import Table

from sink_pg.command import exit_after, print_table
from sink_pg.errors import NoRetention
from sink_pg.partitions import AHEAD, Partition, list_partitions, make, times_in_default
from sink_pg.periods import Period, upcoming
from sink_pg.pg_connection import Connection
from sink_pg.retention import find_expired, remove_expired
from sink_pg.settings import SinkSettings
from sink_pg.upkeep import cutoff_of


@click.command(name="partitions")
@click.option("--list", "is_list", is_flag=True, help="Only show them; change nothing.")
def partitions_command(is_list: bool) -> None:
    """Make the partitions that `changes` lacks, and show all of them.

    Makes those of the present and the next periods, and one for each period of which the default
    partition holds rows, which are moved into it. Who reads `changes` waits during a move. For a
    role that owns the tables, where the sink's own role may not create any.
    """

    def work(settings: SinkSettings, connection: Connection, _stopping: Event) -> None:
        if not is_list:
            period = Period(settings.partition_by)
            now = datetime.now(timezone.utc)
            make(
                connection,
                period,
                [*upcoming(period, now, AHEAD), *times_in_default(connection)],
            )
        _print_partitions("partitions of changes", list_partitions(connection))

    exit_after(work)


@click.command(name="retention")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
def retention_command(dry_run: bool) -> None:
    """Remove the changes that are older than BEMI_RETENTION_DAYS.

    Drops each partition that holds nothing younger, and deletes what is older from the default
    partition. A partition that a long query still reads is left for the next time.
    """

    def work(settings: SinkSettings, connection: Connection, stopping: Event) -> None:
        cutoff = cutoff_of(settings, datetime.now(timezone.utc))
        if cutoff is None:
            raise NoRetention
        if dry_run:
            expired, done = find_expired(connection, cutoff), "would be removed"
        else:
            expired = remove_expired(connection, cutoff, stopping.is_set)
            done = "removed"
        _print_partitions(f"{done}: all before {cutoff:%Y-%m-%d %H:%M:%S}Z", expired.partitions)
        click.echo(f"rows of the default partition {done}: {expired.default_rows}")

    exit_after(work)


def _print_partitions(title: str, partitions: Iterable[Partition]) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("partition", "from (UTC)", "to (UTC)"):
        table.add_column(column, no_wrap=True, overflow="fold")
    table.add_column("rows, about", justify="right")
    table.add_column("size", justify="right")
    for each in partitions:
        lower, upper = (
            ("all else", "") if each.is_default else (_bound(each.lower), _bound(each.upper))
        )
        table.add_row(each.name, lower, upper, f"{each.rows:,}", decimal(each.bytes))
    print_table(table)


def _bound(time: datetime | None) -> str:
    if time is None:
        return "without bound"
    return f"{time:%Y-%m-%d %H:%M:%S.%f}".removesuffix(".000000").removesuffix(" 00:00:00")
