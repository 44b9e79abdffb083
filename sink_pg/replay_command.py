"""The command `bemi-sink replay`: its options, its exit codes. Edge: click."""

from __future__ import annotations

import os

import click

from runtime.logs import configure_logs
from runtime.range_command import ends_option, exit_after, from_time_option, parse_starts
from runtime.service import exit_on_stop
from runtime.topic_ranges import parse_place
from sink_pg.replay import ReplayRequest, replay
from sink_pg.settings import SinkSettings


@click.command(name="replay")
@click.option(
    "--from-offset",
    "from_offsets",
    multiple=True,
    metavar="P:N",
    help="Begin at offset N of partition P; once for each partition to be read.",
)
@from_time_option
@ends_option
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="SCHEMA.TABLE",
    help="Only changes of these tables; * and ? stand for any text.",
)
@click.option(
    "--into",
    metavar="[SCHEMA.]TABLE",
    help="Store into this table instead of `changes`; made like it where it is missing.",
)
@click.option(
    "--replace",
    "is_replacing",
    is_flag=True,
    help="Give stored changes the before, after and context that are read: for changes that"
    " were stitched again with other rules or a better context.",
)
def replay_command(
    from_offsets: tuple[str, ...],
    from_time: str | None,
    ends: tuple[str, ...],
    tables: tuple[str, ...],
    into: str | None,
    is_replacing: bool,
) -> None:
    """Read changes again from the topic and store what the table lacks.

    Stores nothing twice, and may run beside the sink and be stopped by Ctrl-C at any time. Without
    --from-offset or --from-time it begins with the oldest record of each partition.
    """
    with exit_on_stop():
        settings = SinkSettings.from_environ(os.environ)
        request = ReplayRequest(
            parse_starts(from_offsets, from_time),
            tuple(map(parse_place, ends)),
            tables,
            into,
            is_replacing,
        )
    configure_logs(settings.log_level, settings.log_format, "sink")
    exit_after(lambda stopping: replay(settings, request, stopping).is_whole)
