"""A program that takes a snapshot as the producer does before it streams, and ends.

Its arguments are JSON: dsn, kafka, prefix, slot, publication and what InitialSnapshot is told.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
from typing import Any

import psycopg
from confluent_kafka.admin import AdminClient

from producer.catalog import Catalog
from producer.column_types.column_type import READABLE, ValueModes
from producer.event_source import Server
from producer.event_writer import WriterOptions
from producer.json_events import JsonEvents
from producer.offset_store import OffsetStore
from producer.pgoutput import Relation
from producer.snapshot.chunks import SnapshotTable
from producer.snapshot.initial import InitialSnapshot, take_snapshot
from producer.snapshot.readers import ReadParts
from producer.snapshot.shared_snapshot import READ_OPTIONS, Connection
from producer.snapshot.state import SnapshotStore, Step
from producer.table_shape import TableRules, TableShape, shape
from runtime.kafka_topics import TopicSpec, ensure_topics
from runtime.logs import configure_logs
from schemas.change_id import parse_lsn
from schemas.topics import Topics


def connect(dsn: str) -> Connection:
    """Open a connection as readers have them."""
    return psycopg.connect(dsn, autocommit=True, options=READ_OPTIONS)


def read_parts(dsn: str, kafka: str, prefix: str, modes: ValueModes = READABLE) -> ReadParts:
    """Make what a reader works with: JSON without schemas."""
    connection = connect(dsn)
    catalog = Catalog(connection)

    def describe(relation: Relation) -> TableShape:
        return shape(relation, catalog.facts(relation), modes, TableRules())

    writer = JsonEvents(WriterOptions(Server(prefix, connection.info.dbname), modes))
    return ReadParts(
        connection, {"bootstrap.servers": kafka}, writer, describe, Topics(prefix).table
    )


def make_slot(dsn: str, slot: str) -> tuple[Connection, str, str]:
    """Make the slot; return the connection that holds its snapshot, its position and name."""
    connection = psycopg.connect(dsn, autocommit=True, replication="database")
    row = connection.execute(
        f"CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput EXPORT_SNAPSHOT"
    ).fetchone()
    assert row is not None
    return connection, row[1], row[2]


def main(arguments: dict[str, Any]) -> None:
    """Take the snapshot; the slot is made if the store knows of no snapshot yet."""
    dsn, kafka, prefix, slot = (arguments[n] for n in ("dsn", "kafka", "prefix", "slot"))
    store = SnapshotStore(
        OffsetStore.open({"bootstrap.servers": kafka}, f"{prefix}.producer-offsets"), slot
    )
    is_new = store.status is None
    if store.decide("initial") is not Step.TAKE:
        print("nothing to do")
        return
    holder, lsn, snapshot_name = None, "0/1", None
    if is_new:
        holder, lsn, snapshot_name = make_slot(dsn, slot)

    def ensure(tables: list[SnapshotTable]) -> None:
        names = [Topics(prefix).table(t.relation.pg_schema, t.relation.table) for t in tables]
        ensure_topics(
            AdminClient({"bootstrap.servers": kafka}), [TopicSpec(name, 1) for name in names]
        )

    wanted = InitialSnapshot(
        publication=arguments["publication"],
        lsn=parse_lsn(lsn),
        of_new_slot=snapshot_name,
        is_wanted=lambda _schema, table: table not in arguments.get("excluded", ()),
        overrides=arguments.get("overrides", {}),
        make_parts=functools.partial(read_parts, dsn, kafka, prefix),
        ensure_topics=ensure,
        readers=arguments.get("readers", 1),
    )
    take_snapshot(wanted, functools.partial(connect, dsn), store, threading.Event())
    if holder is not None:
        holder.close()
    print("complete")


if __name__ == "__main__":
    configure_logs("INFO")
    main(json.loads(sys.argv[1]))
