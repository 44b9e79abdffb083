"""The producer's command: `bemi-producer [run|doctor|prepare|status]`; `run` where none is given.

PostgreSQL WAL -> replication_stream -> pgoutput -> relations + column_types -> change_events
-> kafka_publisher -> topics; progress flows back to the slot.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import click

from producer.capture import capture
from producer.connections import connect_observer, kafka_client
from producer.doctor.command import doctor_command
from producer.metrics import ProducerMetrics
from producer.prepare import prepare_command
from producer.settings import CONFIG_FILE, ProducerSettings
from producer.slot_metrics import SlotCollector
from producer.status.command import status_command
from runtime.health import Health
from runtime.kafka_client import Admin
from runtime.logs import configure_logs
from runtime.service import collect_garbage_less_often, exit_on_stop, run
from runtime.watching import watched

log = logging.getLogger(__name__)


@click.group(name="bemi-producer", invoke_without_command=True)
@click.option(
    "--config",
    "config_files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Configuration of a Debezium connector or Debezium Server: Java properties or JSON. "
    "May be given again, a Connect worker's file before the connector's. "
    f"Also by {CONFIG_FILE}.",
)
@click.version_option(package_name="bemi-pipeline")
@click.pass_context
def main(context: click.Context, config_files: tuple[Path, ...]) -> None:
    """Publish a PostgreSQL database's changes to Kafka in Debezium's format.

    Settings come from the environment and from the configuration file, which the environment
    goes before: see docs/settings.md. With a file, what it leaves out is as Debezium has it.
    """
    with exit_on_stop():
        settings, notes = ProducerSettings.configured(os.environ, config_files)
    configure_logs(settings.log_level, settings.log_format, "producer")
    for note in notes:
        log.info(note)
    context.obj = settings
    if context.invoked_subcommand is None:
        context.invoke(run_command)


@main.command(name="run")
@click.pass_obj
def run_command(settings: ProducerSettings) -> None:
    """Capture until told to stop."""
    collect_garbage_less_often()
    health, metrics = Health(settings.health_stalled_seconds), ProducerMetrics()
    slot = SlotCollector(partial(connect_observer, settings), settings.slot_name)
    metrics.ask(slot)
    admin = Admin(kafka_client(settings))
    with exit_on_stop(), closing(slot), watched(settings, metrics, health, admin):
        sys.exit(run(lambda stopping: capture(settings, stopping, metrics, health), health))


main.add_command(doctor_command)
main.add_command(prepare_command)
main.add_command(status_command)


if __name__ == "__main__":
    main()
