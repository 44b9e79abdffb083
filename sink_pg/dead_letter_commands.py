"""The commands `bemi-sink dead-letters list|retry|drop`. Edge: click."""

from __future__ import annotations

from collections import Counter
from threading import Event

import click
from rich.filesize import decimal
from rich.table import Table

from sink_pg.command import exit_after, print_table
from sink_pg.dead_letters import (
    Outcome,
    drop_letters,
    find_ids,
    list_letters,
    retry_letter,
)
from sink_pg.pg_connection import Connection
from sink_pg.settings import SinkSettings

which = click.argument("ids", type=click.IntRange(min=1), nargs=-1)
everything = click.option("--all", "is_all", is_flag=True, help="All there are.")


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Records that could not be stored, kept in bemi_dead_letters as they stood in Kafka."""


@dead_letters.command(name="list")
@click.option("--limit", default=50, show_default=True, help="Show at most so many, oldest first.")
def list_command(limit: int) -> None:
    """Show the records put aside and why; their values are not shown."""

    def work(_settings: SinkSettings, connection: Connection, _stopping: Event) -> None:
        letters, total = list_letters(connection, limit)
        table = Table(title=f"{total} dead letters, {len(letters)} shown", title_justify="left")
        for column in ("id", "size", "tried again"):
            table.add_column(column, justify="right")
        for column in ("record", "put aside (UTC)", "reason"):
            table.add_column(column, overflow="fold")
        for letter in letters:
            table.add_row(
                str(letter.id),
                "none" if letter.bytes is None else decimal(letter.bytes),
                str(letter.retries),
                f"{letter.topic} [{letter.partition}] {letter.offset}",
                f"{letter.created_at:%Y-%m-%d %H:%M:%S}",
                letter.reason,
            )
        print_table(table)

    exit_after(work)


@dead_letters.command(name="retry")
@which
@everything
def retry_command(ids: tuple[int, ...], is_all: bool) -> None:
    """Store the records with these IDS after all, as this version can.

    Each is stored and leaves bemi_dead_letters in one transaction, or stays there with its reason
    of today.
    """
    chosen = _chosen(ids, is_all)

    def work(_settings: SinkSettings, connection: Connection, stopping: Event) -> None:
        outcomes: Counter[Outcome] = Counter()
        for identifier in find_ids(connection, chosen):
            if stopping.is_set():
                break
            outcomes[retry_letter(connection, identifier)] += 1
        for outcome in Outcome:
            if count := outcomes[outcome]:
                click.echo(f"{outcome.value}: {count}")

    exit_after(work)


@dead_letters.command(name="drop")
@which
@everything
@click.option("--yes", is_flag=True, help="They are gone from the database for good.")
def drop_command(ids: tuple[int, ...], is_all: bool, yes: bool) -> None:
    """Delete the records with these IDS; Kafka keeps them as long as its topic does."""
    chosen = _chosen(ids, is_all)
    if not yes:
        raise click.UsageError("the records are deleted for good; say --yes to do it")

    def work(_settings: SinkSettings, connection: Connection, _stopping: Event) -> None:
        click.echo(f"dropped: {drop_letters(connection, find_ids(connection, chosen))}")

    exit_after(work)


def _chosen(ids: tuple[int, ...], is_all: bool) -> tuple[int, ...] | None:
    if bool(ids) == is_all:
        raise click.UsageError("name the ids, or say --all")
    return None if is_all else ids
