"""The command `bemi-producer status`. Edge: click, rich."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from producer.settings import ProducerSettings
from runtime.service import exit_on_stop

if TYPE_CHECKING:
    from rich.console import RenderableType

    from producer.status.glance import Look

FIRST_PAUSE_SECONDS = 1.0


@click.command(name="status")
@click.option("--once", is_flag=True, help="Print it once and end, instead of going on.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object and end.")
@click.option("--interval", default=2.0, show_default=True, help="Seconds between two looks.")
@click.pass_obj
def status_command(settings: ProducerSettings, once: bool, is_json: bool, interval: float) -> None:
    """Show how far each stage is: in the source's slot, in Kafka, in the destination.

    Needs no stage to run and no metrics. The destination is that of the sink, DESTINATION_DB_*.
    Exits with 1 where something did not answer.
    """
    # Here, because what it needs is a tenth of the producer's start.
    from rich.console import Console
    from rich.live import Live

    from producer.status.glance import stages
    from producer.status.reading import Reading
    from runtime.destination import DestinationDatabase

    with exit_on_stop():
        destination = DestinationDatabase.from_environ(os.environ)
    with closing(Reading(settings, destination)) as reading:
        before = reading.look()
        time.sleep(FIRST_PAUSE_SECONDS)  # Rates need two looks.
        now = reading.look()
        if is_json:
            lines = [asdict(stage) for stage in stages(now, before)]
            click.echo(json.dumps(asdict(now) | {"stages": lines}, indent=2, default=float))
        elif once:
            width = None if sys.stdout.isatty() else 100
            Console(width=width, highlight=False).print(view(now, before))
        else:
            try:
                with Live(view(now, before), refresh_per_second=4) as live:
                    while True:
                        time.sleep(interval)
                        before, now = now, reading.look()
                        live.update(view(now, before))
            except KeyboardInterrupt:
                pass
    sys.exit(1 if now.problems else 0)


def view(now: Look, before: Look | None) -> RenderableType:
    """Return the view: a line a stage, and below it what waits and what did not answer."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from producer.status.glance import UNKNOWN, stages

    table = Table(box=None, pad_edge=False)
    for name in ("stage", "state"):
        table.add_column(name)
    for name in ("behind", "rate", "caught up in"):
        table.add_column(name, justify="right")
    for stage in stages(now, before):
        table.add_row(
            stage.name,
            stage.state,
            "-" if stage.behind is None else f"{stage.behind:,} {stage.unit}",
            "-" if stage.rate is None else f"{stage.rate:,.0f} {stage.unit}/s",
            "-" if stage.seconds is None else f"{stage.seconds:,.0f} s",
        )
    kept = "-" if now.retained_bytes is None else f"{now.retained_bytes / 1024**2:,.1f} MiB"
    no_slot = UNKNOWN if "source" in now.unanswered else "no slot"
    newest = now.newest_change_seconds
    lines = [
        f"log kept for the slot {kept} ({now.wal_status or no_slot})",
        f"newest change committed {'-' if newest is None else f'{newest:,.1f} s ago'}",
        f"dead letters: {_or_dash(now.dead_letters)} in the table, "
        f"{_or_dash(now.put_aside)} in the topic",
    ]
    wrong = [Text(problem, style="red") for problem in now.problems]
    return Group(table, Text("\n" + "\n".join(lines)), *wrong)


def _or_dash(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
