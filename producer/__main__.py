"""Start the producer: `bemi-producer`.

PostgreSQL WAL -> replication_stream -> pgoutput -> relations + column_values -> change_events
-> kafka_publisher -> topics; progress flows back to the slot.
"""

from __future__ import annotations

import os
import sys

import click

from producer.capture import capture
from producer.settings import ProducerSettings
from runtime.service import collect_garbage_less_often, configure_logs, exit_on_stop, run


@click.command()
@click.version_option(package_name="bemi-pipeline")
def main() -> None:
    """Publish a PostgreSQL database's changes to Kafka in Debezium's format.

    Settings come from the environment: see docs/settings.md.
    """
    with exit_on_stop():
        settings = ProducerSettings.from_environ(os.environ)
    configure_logs(settings.log_level)
    collect_garbage_less_often()
    sys.exit(run(lambda stopping: capture(settings, stopping)))


if __name__ == "__main__":
    main()
