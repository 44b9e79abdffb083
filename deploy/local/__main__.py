"""`python -m deploy.local up` runs the whole pipeline here; `clean` removes what it kept.

Exit codes: 0 after Ctrl-C or SIGTERM, 1 on a defect, 2 when a person must act.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from deploy.local import interrupts
from deploy.local.interrupts import Interrupted
from deploy.local.paths import STATE
from deploy.local.report import Report
from deploy.local.stack import Stack
from deploy.local.state import State
from deploy.local.supervisor import Supervisor
from runtime.errors import Stop
from runtime.service import EXIT_PERSON_MUST_ACT

TEND_EVERY_SECONDS = 0.5


@click.group()
def main() -> None:
    """Run the pipeline on this machine, without containers."""


state_option = click.option(
    "--state",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE,
    help="Folder of all that is kept between runs; .bemi in the repository if not given.",
)


@main.command()
@state_option
def up(folder: Path) -> None:
    """Start everything, watch over it, and stop it at Ctrl-C or SIGTERM."""
    interrupts.raise_on_signals()
    report = Report()
    try:
        with State(folder).owned() as state:
            _run(Stack(state, os.environ, report), report)
    except Interrupted:
        report.line("stopped")
    except Stop as error:
        report.problem(str(error))
        sys.exit(EXIT_PERSON_MUST_ACT)


@main.command()
@state_option
def clean(folder: Path) -> None:
    """Remove everything that earlier runs have kept: databases, topics, logs, programs."""
    report = Report()
    try:
        State(folder).remove()
    except Stop as error:
        report.problem(str(error))
        sys.exit(EXIT_PERSON_MUST_ACT)


def _run(stack: Stack, report: Report) -> None:
    try:
        stack.start()
        report.line("all is running; Ctrl-C stops it")
        supervisor = Supervisor(stack.parts, report)
        while True:
            supervisor.tend(time.monotonic())
            time.sleep(TEND_EVERY_SECONDS)
    except Interrupted as interrupted:
        report.line(f"stopping, because of {interrupted}")
        raise
    finally:
        # Signals that come now wait until all is stopped.
        with interrupts.held():
            stack.stop()


if __name__ == "__main__":
    main()
