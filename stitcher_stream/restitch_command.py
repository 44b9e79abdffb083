"""The command `bemi-stitcher restitch`: its options, its exit codes. Edge: click."""

from __future__ import annotations

import os

import click

from runtime.logs import configure_logs
from runtime.range_command import ends_option, exit_after, from_time_option, parse_starts
from runtime.service import exit_on_stop
from runtime.topic_ranges import parse_place
from stitcher_stream.settings import StitcherSettings


@click.command(name="restitch")
@click.option(
    "--from-offset",
    "from_offsets",
    multiple=True,
    metavar="P:N",
    help="Begin with the transaction at offset N of partition P of .wal; once for each partition.",
)
@from_time_option
@ends_option
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
        places = (parse_starts(from_offsets, from_time), tuple(map(parse_place, ends)))
    configure_logs(settings.log_level, settings.log_format, "stitcher")
    # What it needs takes a while to import; --help and a wrong setting need not wait for it.
    from stitcher_stream.restitch import RestitchRequest, restitch

    request = RestitchRequest(*places, into_topic)
    exit_after(lambda stopping: restitch(settings, request, stopping).is_whole)
