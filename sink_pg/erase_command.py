"""The commands `bemi-sink erase` and `bemi-sink erasures`. Edge: click."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from uuid import UUID

import click
from rich.table import Table

from runtime.errors import Retry, Stop
from runtime.service import exit_on_stop
from runtime.topic_ranges import parse_moment
from schemas.erasure import Part
from sink_pg.command import Work, exit_after, print_table
from sink_pg.dead_letters import list_letters
from sink_pg.erase import (
    ChosenTable,
    Eraser,
    ErasureRequest,
    changes_on_the_way,
)
from sink_pg.erasure_selection import Selection, parse_member
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.erasures import load_erasures
from sink_pg.pg_connection import Connection
from sink_pg.schema_migrations import migrate
from sink_pg.settings import SinkSettings

MOST_REASON = 500


@click.command(name="erase")
@click.option("--table", metavar="SCHEMA.TABLE", help="Of this table; * stands for any text.")
@click.option("--primary-key", metavar="KEY", help="Of the row with this key, of one --table.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=VALUE",
    help="Whose `before` or `after` has this value.",
)
@click.option(
    "--context",
    "contexts",
    multiple=True,
    metavar="NAME=VALUE",
    help="Whose context has this value; dots lead into it: user.id=7.",
)
@click.option("--id", "ids", multiple=True, type=click.UUID, help="The change with this id.")
@click.option("--from-time", metavar="TIME", help="Committed from then on.")
@click.option("--to-time", metavar="TIME", help="Committed before then.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice([part.value for part in Part]),
    help="What is erased of them. Where rows are named: values. Where only --context is: context.",
)
@click.option(
    "--member",
    "members",
    multiple=True,
    metavar="NAME",
    help="Only these columns, or members of the context; all where none is named.",
)
@click.option("--reason", metavar="TEXT", help="Why; kept for ever, so without any personal data.")
@click.option("--dry-run", is_flag=True, help="Only show what would be erased.")
@click.option("--yes", is_flag=True, help="It cannot be undone.")
@click.option(
    "--recorded",
    "is_recorded",
    is_flag=True,
    help="Erase once more what is on record: after the database was restored from a backup.",
)
def erase_command(
    table: str | None,
    primary_key: str | None,
    columns: tuple[str, ...],
    contexts: tuple[str, ...],
    ids: tuple[UUID, ...],
    from_time: str | None,
    to_time: str | None,
    parts: tuple[str, ...],
    members: tuple[str, ...],
    reason: str | None,
    dry_run: bool,
    yes: bool,
    is_recorded: bool,
) -> None:
    """Erase what stored changes tell of a person; all that is given has to be true of a change.

    Values become "[erased]"; the changes stay, with their table, operation and time. The record
    of it keeps replays from bringing them back. The topics of Kafka are another matter: see
    docs/privacy.md. Needs a role that owns `changes`.
    """
    if is_recorded:
        exit_after(_told(_erase_recorded))
    with exit_on_stop():
        selection = Selection(
            table,
            primary_key,
            tuple(parse_member(text, is_path=False) for text in columns),
            tuple(parse_member(text, is_path=True) for text in contexts),
            ids,
            None if from_time is None else parse_moment(from_time),
            None if to_time is None else parse_moment(to_time),
        )
    usual = Part.VALUES if selection.is_about_rows else Part.CONTEXT
    chosen_parts = tuple(Part(part) for part in dict.fromkeys(parts)) or (usual,)
    if not dry_run:
        if not reason or len(reason) > MOST_REASON:
            raise click.UsageError(f"--reason is missing, or longer than {MOST_REASON} characters")
        if not yes:
            raise click.UsageError(
                "values are erased for good; look by --dry-run, then say --yes to do it"
            )
    request = ErasureRequest(selection, chosen_parts, members or None, reason or "")

    def work(settings: SinkSettings, connection: Connection, stopping: Event) -> None:
        migrate(connection)
        eraser = Eraser(connection, ErasureTopic(settings))
        tables = eraser.choose(request)
        _print_tables("to erase" if dry_run else "erasing", chosen_parts, tables)
        if tables and not dry_run:
            erased = eraser.erase(request, stopping)
            click.echo(f"erased: {erased.changes} changes, erasure {erased.erasure}")
            if not erased.is_whole:
                click.echo("stopped before the end; run the same command again for the rest")
        _print_what_is_left(settings, connection, request)

    exit_after(_told(work))


@click.command(name="erasures")
def erasures_command() -> None:
    """Show what was erased and why."""

    def work(settings: SinkSettings, connection: Connection, _stopping: Event) -> None:
        recorded = Eraser(connection, ErasureTopic(settings)).recorded()
        table = Table(title=f"{len(recorded)} erasures", title_justify="left")
        for column in ("erasure", "at (UTC)", "by", "of", "reason"):
            table.add_column(column, overflow="fold")
        table.add_column("changes", justify="right")
        for each in recorded:
            of = ", ".join(each.parts)
            if each.members is not None:
                of += f": {', '.join(each.members)}"
            table.add_row(
                each.id, each.erased_at, each.erased_by, of, each.reason, f"{each.changes:,}"
            )
        print_table(table)

    exit_after(work)


def _told(work: Work) -> Work:
    """Return the work, ending with what to do where Kafka or PostgreSQL is away for a moment."""

    def told(settings: SinkSettings, connection: Connection, stopping: Event) -> None:
        try:
            work(settings, connection, stopping)
        except Retry as error:
            raise Stop(
                f"{error}. What was erased until then is on record; run the command again"
            ) from error

    return told


def _erase_recorded(settings: SinkSettings, connection: Connection, stopping: Event) -> None:
    migrate(connection)
    topic = ErasureTopic(settings)
    load_erasures(connection, topic)
    done = list(Eraser(connection, topic).erase_recorded(stopping))
    click.echo(f"erased once more: {sum(each.changes for each in done)} changes")


def _print_tables(title: str, parts: Sequence[Part], tables: Sequence[ChosenTable]) -> None:
    if not tables:
        click.echo("no change that is stored has anything to erase")
        return
    of = ", ".join(part.value for part in parts)
    table = Table(title=f"{title}: {of}", title_justify="left")
    for column in ("table", "committed from", "to"):
        table.add_column(column, overflow="fold")
    table.add_column("changes", justify="right")
    for each in tables:
        name = f"{each.pg_schema}.{each.table}"
        table.add_row(name, each.oldest, each.newest, f"{each.changes:,}")
    print_table(table)


def _print_what_is_left(
    settings: SinkSettings, connection: Connection, request: ErasureRequest
) -> None:
    """Say what this command cannot reach."""
    if waiting := changes_on_the_way(settings, connection):
        click.echo(f"{waiting} changes are on their way and were not looked at: run it again then")
    _, letters = list_letters(connection, 0)
    if letters:
        click.echo(f"{letters} dead letters were not looked at: `bemi-sink dead-letters list`")
    if Part.PRIMARY_KEY not in request.parts and request.selection.primary_key is not None:
        click.echo("the key itself stays in primary_key; --part primary-key erases it, too")
