"""What commands that read a stretch of a topic again have in common: options, exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from threading import Event
from typing import NoReturn

import click

from runtime.service import run
from runtime.topic_ranges import Place, parse_offset, parse_time

EXIT_INTERRUPTED = 130
"""As shells have it after Ctrl-C: not everything that was asked for is done."""

from_time_option = click.option(
    "--from-time",
    metavar="TIME",
    help="Begin where Kafka has records of this time, as 2026-01-31T08:00:00Z; UTC without a zone.",
)
ends_option = click.option(
    "--to",
    "ends",
    multiple=True,
    metavar="P:N|TIME",
    help="End before this offset or time; the topic's end of this moment where not given.",
)


def parse_starts(from_offsets: Iterable[str], from_time: str | None) -> tuple[Place, ...]:
    """Return the places that --from-offset and --from-time name; raises as their parsers do."""
    starts: list[Place] = [parse_offset(text) for text in from_offsets]
    if from_time is not None:
        starts.append(parse_time(from_time))
    return tuple(starts)


def exit_after(work: Callable[[Event], bool]) -> NoReturn:
    """Run the work, which returns whether all of it is done, and end the process by that."""
    is_whole = False

    def note(stopping: Event) -> None:
        nonlocal is_whole
        is_whole = work(stopping)

    code = run(note)
    sys.exit(code if code or is_whole else EXIT_INTERRUPTED)
