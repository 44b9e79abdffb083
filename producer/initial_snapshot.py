"""Take the snapshot that the settings ask for, before the stream begins. Edge: joins the parts."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import psycopg

from producer.assembly import Assembly, assemble
from producer.catalog import Catalog
from producer.configuration.expressions import compile_expressions, matches_any
from producer.connections import avro_serializer, connection_parameters, kafka_client
from producer.errors import from_psycopg
from producer.offset_store import KeyValues
from producer.pgoutput import Relation
from producer.settings import ProducerSettings
from producer.snapshot.chunks import SnapshotTable
from producer.snapshot.initial import InitialSnapshot, take_snapshot
from producer.snapshot.readers import ReadParts
from producer.snapshot.shared_snapshot import READ_OPTIONS
from producer.snapshot.state import SnapshotStore
from producer.source import PreparedSource
from producer.table_shape import TableShape
from schemas.topics import OWN_SCHEMA, is_own_table


def take_initial_snapshot(
    settings: ProducerSettings,
    assembly: Assembly,
    prepared: PreparedSource,
    store: KeyValues,
    ensure_topic: Callable[[str], None],
    stopping: threading.Event,
) -> bool:
    """Publish the rows that are there; returns False when asked to stop before the end."""
    wanted_tables = compile_expressions(settings.snapshot_include_collection_list)

    def is_wanted(pg_schema: str, table: str) -> bool:
        if pg_schema == OWN_SCHEMA and is_own_table(table):
            return False
        name = f"{pg_schema}.{table}"
        return assembly.filters.captures_table(pg_schema, table) and (
            not wanted_tables or matches_any(wanted_tables, name)
        )

    def ensure_topics(tables: list[SnapshotTable]) -> None:
        for table in tables:
            ensure_topic(assembly.topics.table(table.relation.pg_schema, table.relation.table))

    is_locking = settings.snapshot_locking_mode == "shared"
    wanted = InitialSnapshot(
        publication=settings.publication_name,
        lsn=prepared.offset.lsn,
        of_new_slot=prepared.snapshot_name,
        is_wanted=is_wanted,
        overrides=settings.snapshot_select_statement_overrides,
        make_parts=functools.partial(read_parts, settings, assembly.run_id),
        ensure_topics=ensure_topics,
        readers=settings.snapshot_max_threads,
        lock_timeout_ms=settings.snapshot_lock_timeout_ms if is_locking else None,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )
    return take_snapshot(
        wanted,
        functools.partial(_connect, settings),
        SnapshotStore(store, settings.slot_name),
        stopping,
    )


def read_parts(settings: ProducerSettings, run_id: str) -> ReadParts:
    """Make what a reader of a snapshot works with, in its own process."""
    assembly = assemble(settings, settings.db_name, run_id, lambda: avro_serializer(settings))
    assert assembly.tables is not None  # noqa: S101 - without them no snapshot is taken.
    connection = _connect(settings)
    catalog = Catalog(connection, takes_partial_keys=settings.debezium_values)

    def describe(relation: Relation) -> TableShape:
        return assembly.shapes(relation, catalog.facts(relation))[0]

    return ReadParts(
        connection,
        {
            **kafka_client(settings),
            **settings.kafka_properties,
            "compression.type": settings.compression_type,
            "message.max.bytes": settings.kafka_max_message_bytes,
        },
        assembly.tables,
        describe,
        assembly.topics.table,
        headers=assembly.output.headers,
    )


def _connect(settings: ProducerSettings) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(
            **connection_parameters(settings, "snapshot"), options=READ_OPTIONS, autocommit=True
        )
    except psycopg.Error as error:
        raise from_psycopg(error) from error
