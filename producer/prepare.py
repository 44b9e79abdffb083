"""Make on server and brokers what a producer needs, and end: `bemi-producer prepare`. Edge.

For a role that may do so, before a producer runs by one that may only read the log. What
stands already is looked at and left as it is.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import closing
from functools import partial

import click

from producer.assembly import Assembly, assemble
from producer.connections import avro_serializer, connect_sql, wanted_source
from producer.errors import SlotInUse
from producer.metrics import ProducerMetrics
from producer.opening import Run, open_source
from producer.pipeline_topics import PipelineTopics
from producer.publication import ensure_publication
from producer.retrying import StopRequested, until_it_opens
from producer.settings import ProducerSettings
from runtime.service import run

log = logging.getLogger(__name__)


@click.command(name="prepare")
@click.pass_obj
def prepare_command(settings: ProducerSettings) -> None:
    """Make topics, publication and slot, with a role that may; capture nothing.

    Where the settings ask for a snapshot the slot is not made: the producer makes it, since the
    rows are read as of that moment.
    """
    sys.exit(run(partial(prepare, settings)))


def prepare(settings: ProducerSettings, stopping: threading.Event) -> None:
    """Return when everything is there; raises Stop errors for what needs a person."""
    prepared = Run(ProducerMetrics())

    def attempt() -> None:
        assembly = assemble(
            settings, settings.db_name, prepared.id, partial(avro_serializer, settings)
        )
        topics = PipelineTopics(settings, assembly)
        try:
            if settings.snapshot_mode == "no_data":
                open_source(settings, assembly, topics, prepared, stopping).closing.close()
            else:
                topics.ensure_own()
                _make_publication(settings, assembly)
        except SlotInUse:
            log.info("a producer is at work already")

    try:
        until_it_opens(attempt, settings, stopping)
    except StopRequested:
        return
    log.info("prepared")


def _make_publication(settings: ProducerSettings, assembly: Assembly) -> None:
    wanted = wanted_source(settings, assembly, accept_gap=settings.accept_gap)
    with closing(connect_sql(settings)) as connection:
        ensure_publication(connection, wanted.publication)
