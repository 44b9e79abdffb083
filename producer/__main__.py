"""Start the producer: `bemi-producer`.

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
from producer.metrics import ProducerMetrics
from producer.settings import CONFIG_FILE, ProducerSettings
from producer.slot_metrics import SlotCollector
from runtime.health import Health
from runtime.kafka_topics import admin_client
from runtime.logs import configure_logs
from runtime.service import collect_garbage_less_often, exit_on_stop, run
from runtime.watching import watched

log = logging.getLogger(__name__)


@click.command()
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
def main(config_files: tuple[Path, ...]) -> None:
    """Publish a PostgreSQL database's changes to Kafka in Debezium's format.

    Settings come from the environment and from the configuration file, which the environment
    goes before: see docs/settings.md. With a file, what it leaves out is as Debezium has it.
    """
    with exit_on_stop():
        settings, notes = ProducerSettings.configured(os.environ, config_files)
    configure_logs(settings.log_level, settings.log_format, "producer")
    for note in notes:
        log.info(note)
    collect_garbage_less_often()
    sys.exit(_capture(settings))


def _capture(settings: ProducerSettings) -> int:
    """Capture until told to stop, watched by whoever asks; return the exit code."""
    health, metrics = Health(settings.health_stalled_seconds), ProducerMetrics()
    slot = SlotCollector(partial(connect_observer, settings), settings.slot_name)
    metrics.ask(slot)
    admin = admin_client(kafka_client(settings))
    with exit_on_stop(), closing(slot), watched(settings, metrics, health, admin):
        return run(lambda stopping: capture(settings, stopping, metrics, health), health)


if __name__ == "__main__":
    main()
