"""Run one command on the sink's database: settings, logs, a connection, the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from threading import Event

from rich.console import Console
from rich.table import Table

from runtime.logs import configure_logs
from runtime.service import exit_on_stop, run
from sink_pg.pg_connection import Connection, connect
from sink_pg.settings import SinkSettings

WIDTH_OF_A_FILE = 160

Work = Callable[[SinkSettings, Connection, Event], None]


def exit_after(work: Work) -> None:
    """Do the work on a connection of its own, then end the process with its exit code.

    The event tells the work to end early, between two transactions.
    """
    with exit_on_stop():
        settings = SinkSettings.from_environ(os.environ)
    configure_logs(settings.log_level, settings.log_format, "sink")

    def connected(stopping: Event) -> None:
        with closing(connect(settings)) as connection:
            work(settings, connection, stopping)

    sys.exit(run(connected))


def print_table(table: Table) -> None:
    """Show the table; where nobody looks, wide enough that a line stays a line."""
    width = None if sys.stdout.isatty() else WIDTH_OF_A_FILE
    console = Console(markup=False, width=width)
    console.print(table)
