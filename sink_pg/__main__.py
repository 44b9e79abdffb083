"""The sink's command, `bemi-sink`, which runs the sink where no other is named.

kafka_reader -> change_rows -> batch -> pg_writer -> `changes`
"""

from __future__ import annotations

import os
import sys
from functools import partial
from threading import Event

import click

from runtime.health import Health
from runtime.logs import configure_logs
from runtime.service import collect_garbage_less_often, exit_on_stop, run
from schemas.topics import Topics
from sink_pg.batch import BatchLimits
from sink_pg.dead_letter_commands import dead_letters
from sink_pg.delivery import Delivery, apply_migrations
from sink_pg.erase_command import erase_command, erasures_command
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.kafka_reader import KafkaReader
from sink_pg.metrics import SinkMetrics, watching
from sink_pg.pg_writer import PgWriter
from sink_pg.replay_command import replay_command
from sink_pg.settings import SinkSettings
from sink_pg.table_commands import partitions_command, retention_command
from sink_pg.upkeep import Upkeep
from sink_pg.verify_command import verify_command

SWITCH_SECONDS = 0.0005
"""How long one thread may hold up the other. By Python's own 0.005 the one that stores waits for
so long with each piece that it sends, and PostgreSQL with it: 0.76 of the rate of COPY, 0.87 so."""


@click.group(name="bemi-sink", invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Store stitched changes in the table `changes`; `run` where no command is given."""
    if context.invoked_subcommand is None:
        context.invoke(run_command)


@main.command(name="run")
def run_command() -> None:
    """Apply what migrations are missing, then store changes until told to stop."""
    settings = _settings()
    health, metrics = Health(settings.health_stalled_seconds), SinkMetrics()
    deliver = partial(_deliver, metrics, health, settings)
    with exit_on_stop(), watching(settings, metrics, health):
        sys.exit(run(deliver, health))


@main.command(name="migrate")
@click.option(
    "--adopt",
    "is_adopting",
    is_flag=True,
    help="Make the table `changes` of Bemi's worker, stopped before, a partition of the new one.",
)
def migrate_command(is_adopting: bool) -> None:
    """Apply what migrations are missing, with a role that may create tables."""
    settings = _settings()
    sys.exit(run(partial(_migrate, is_adopting, settings)))


def _settings() -> SinkSettings:
    with exit_on_stop():
        settings = SinkSettings.from_environ(os.environ)
    configure_logs(settings.log_level, settings.log_format, "sink")
    collect_garbage_less_often()
    sys.setswitchinterval(SWITCH_SECONDS)
    return settings


def _deliver(metrics: SinkMetrics, health: Health, settings: SinkSettings, stopping: Event) -> None:
    topic = Topics(settings.topic_prefix).changes
    limits = BatchLimits(
        rows=settings.batch_rows,
        bytes=settings.batch_bytes,
        age_seconds=settings.batch_milliseconds / 1000,
    )
    reader = KafkaReader(settings, topic)
    writer, upkeep = PgWriter(settings, topic), Upkeep(settings, stopping)
    erasures = ErasureTopic(settings)
    Delivery(
        reader,
        writer,
        upkeep,
        erasures,
        limits,
        stopping,
        metrics,
        health,
        may_begin_anew=settings.confirm_after == "sink",
    ).run()


def _migrate(is_adopting: bool, settings: SinkSettings, stopping: Event) -> None:
    writer = PgWriter(settings, Topics(settings.topic_prefix).changes)
    apply_migrations(writer, is_adopting, stopping)


main.add_command(partitions_command)
main.add_command(dead_letters)
main.add_command(retention_command)
main.add_command(replay_command)
main.add_command(verify_command)
main.add_command(erase_command)
main.add_command(erasures_command)

if __name__ == "__main__":
    main()
