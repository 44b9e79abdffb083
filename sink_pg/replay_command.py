"""The command `bemi-sink replay`: its options, its exit codes. Edge: click."""

from __future__ import annotations

import os
import sys
from threading import Event

import click

from runtime.service import configure_logs, exit_on_stop, run
from runtime.topic_ranges import Place, parse_offset, parse_place, parse_time
from sink_pg.replay import ReplayRequest, replay
from sink_pg.settings import SinkSettings

EXIT_INTERRUPTED = 130
"""As shells have it after Ctrl-C: not everything that was asked for is done."""


@click.command(name="replay")
@click.option(
    "--from-offset",
    "from_offsets",
    multiple=True,
    metavar="P:N",
    help="Begin at offset N of partition P; once for each partition to be read.",
)
@click.option(
    "--from-time",
    metavar="TIME",
    help="Begin where Kafka has records of this time, as 2026-01-31T08:00:00Z; UTC without a zone.",
)
@click.option(
    "--to",
    "ends",
    multiple=True,
    metavar="P:N|TIME",
    help="End before this offset or time; the topic's end of this moment where not given.",
)
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
        starts: list[Place] = [parse_offset(text) for text in from_offsets]
        if from_time is not None:
            starts.append(parse_time(from_time))
        request = ReplayRequest(
            tuple(starts), tuple(map(parse_place, ends)), tables, into, is_replacing
        )
    configure_logs(settings.log_level)
    is_whole = False

    def work(stopping: Event) -> None:
        nonlocal is_whole
        is_whole = replay(settings, request, stopping).is_whole

    code = run(work)
    sys.exit(code if code or is_whole else EXIT_INTERRUPTED)
