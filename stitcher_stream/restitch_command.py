"""The command `bemi-stitcher restitch`: its options, its exit codes. Edge: click."""

from __future__ import annotations

import os
import sys
from threading import Event

import click

from runtime.service import configure_logs, exit_on_stop, run
from runtime.topic_ranges import Place, parse_offset, parse_place, parse_time
from stitcher_stream.settings import StitcherSettings

EXIT_INTERRUPTED = 130
"""As shells have it after Ctrl-C: not everything that was asked for is done."""


@click.command(name="restitch")
@click.option(
    "--from-offset",
    "from_offsets",
    multiple=True,
    metavar="P:N",
    help="Begin with the transaction at offset N of partition P of .wal; once for each partition.",
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
    "--into-topic",
    metavar="TOPIC",
    help="Write to this topic instead of .changes; made with as many partitions where missing.",
)
def restitch_command(
    from_offsets: tuple[str, ...],
    from_time: str | None,
    ends: tuple[str, ...],
    into_topic: str | None,
) -> None:
    """Stitch transactions of the topic .wal again, with the rules that are set now.

    Appends the changes, each with the id it had; a running sink passes over them. May run
    beside the stitchers and be stopped by Ctrl-C at any time.
    """
    with exit_on_stop():
        settings = StitcherSettings.from_environ(os.environ)
        starts: list[Place] = [parse_offset(text) for text in from_offsets]
        if from_time is not None:
            starts.append(parse_time(from_time))
        places = (tuple(starts), tuple(map(parse_place, ends)))
    configure_logs(settings.log_level)
    # What it needs takes a while to import; --help and a wrong setting need not wait for it.
    from stitcher_stream.restitch import RestitchRequest, restitch

    is_whole = False

    def work(stopping: Event) -> None:
        nonlocal is_whole
        is_whole = restitch(settings, RestitchRequest(*places, into_topic), stopping).is_whole

    code = run(work)
    sys.exit(code if code or is_whole else EXIT_INTERRUPTED)
