"""The sink's command: `bemi-sink [run|migrate]`.

kafka_reader -> change_rows -> batch -> pg_writer -> `changes`
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import Event

import click

from runtime.service import collect_garbage_less_often, configure_logs, exit_on_stop, run
from schemas.topics import Topics
from sink_pg.batch import BatchLimits
from sink_pg.delivery import Delivery, apply_migrations
from sink_pg.kafka_reader import KafkaReader
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings


@click.group(name="bemi-sink", invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Store stitched changes in the table `changes`; `run` where no command is given."""
    if context.invoked_subcommand is None:
        context.invoke(run_command)


@main.command(name="run")
def run_command() -> None:
    """Apply what migrations are missing, then store changes until told to stop."""
    _exit_after(_deliver)


@main.command(name="migrate")
def migrate_command() -> None:
    """Apply what migrations are missing, with a role that may create tables."""
    _exit_after(_migrate)


def _exit_after(work: Callable[[SinkSettings, Event], None]) -> None:
    with exit_on_stop():
        settings = SinkSettings.from_environ(os.environ)
    configure_logs(settings.log_level)
    collect_garbage_less_often()
    sys.exit(run(lambda stopping: work(settings, stopping)))


def _deliver(settings: SinkSettings, stopping: Event) -> None:
    topic = Topics(settings.topic_prefix).changes
    limits = BatchLimits(
        rows=settings.batch_rows,
        bytes=settings.batch_bytes,
        age_seconds=settings.batch_milliseconds / 1000,
    )
    reader = KafkaReader(settings, topic)
    Delivery(reader, PgWriter(settings, topic), limits, stopping).run()


def _migrate(settings: SinkSettings, stopping: Event) -> None:
    apply_migrations(PgWriter(settings, Topics(settings.topic_prefix).changes), stopping)


if __name__ == "__main__":
    main()
