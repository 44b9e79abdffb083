"""Fill the table `changes` with what really happened, by the pipeline's own parts without Kafka.

The log is read by SQL, decoded and made into events by the producer's middle, stitched and
written as the stages do it; so the trail's values have the forms that a site meets.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import psycopg

from producer import pgoutput
from producer.assembly import assemble
from producer.catalog import Catalog
from producer.change_events import ChangeEvents, Record
from producer.connections import avro_serializer, connect_sql
from producer.settings import ProducerSettings
from producer.sql_connection import TEXT_OPTIONS
from schemas.change_id import Epoch, parse_lsn
from sink_pg.change_rows import Record as ChangeRecord
from sink_pg.change_rows import change_row
from sink_pg.statements import copy_into
from stitcher_stream.change_records import change_key, encode_change
from stitcher_stream.stitch import START, WalRecord, stitch
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.conftest import make_changes_table

SLOT = "recorder"
PUBLICATION = "recorder"
_ROWS = frozenset(b"IUD")


class Recorder:
    """The pipeline of one database, for as long as its connection lives."""

    def __init__(self, database: Database, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._database = database
        make_changes_table(connection)
        connection.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES".encode())
        connection.execute(
            "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [_slot(database)]
        )

    def record(self) -> None:
        """Store what was committed since the last time."""
        settings, _ = ProducerSettings.configured(self._database.environ)
        assembly = assemble(
            settings, self._database.name, "recorder", lambda: avro_serializer(settings)
        )
        events = ChangeEvents(
            assembly.topics,
            Epoch(1, 1, 1, "recorder", self._database.name),
            assembly.output,
            None,
            assembly.wal,
        )
        records: list[Record] = []
        with closing(connect_sql(settings)) as sql:
            catalog = Catalog(sql)
            for lsn_text, payload in self._messages():
                lsn, now_us = parse_lsn(lsn_text), time.time_ns() // 1000
                if payload[0] in _ROWS:
                    records += events.row(payload, 0, lsn, now_us)
                    continue
                message = pgoutput.decode(payload)
                if isinstance(message, pgoutput.Begin):
                    events.begin(message, lsn)
                elif isinstance(message, pgoutput.Commit):
                    records += events.commit(message, lsn)
                elif isinstance(message, pgoutput.LogicalMessage):
                    records += events.message(message, lsn, now_us)
                elif isinstance(message, pgoutput.Truncate):
                    records += events.truncate(message, lsn, now_us)
                elif isinstance(message, pgoutput.Relation):
                    events.describe(*assembly.shapes(message, catalog.facts(message)))
        self._store(records)

    def _messages(self) -> list[tuple[str, bytes]]:
        # As the producer's stream has it: the session decides on the text of values.
        with psycopg.connect(self._database.dsn, options=TEXT_OPTIONS) as connection:
            return connection.execute(
                """
                SELECT lsn::text, data FROM pg_logical_slot_get_binary_changes(
                    %s, NULL, NULL,
                    'proto_version', '1', 'publication_names', %s, 'messages', 'true'
                )
                """,
                [_slot(self._database), PUBLICATION],
            ).fetchall()

    def _store(self, records: list[Record]) -> None:
        state = START
        with self._connection.cursor().copy(copy_into("public", "changes")) as copy:
            for offset, (topic, key, value, headers, partition) in enumerate(records):
                state, change = stitch(state, WalRecord(key, value, headers or [], offset))
                if change is not None:
                    record = ChangeRecord(
                        topic, partition, offset, change_key(change), encode_change(change)
                    )
                    copy.write(change_row(record).line)


def _slot(database: Database) -> str:
    return f"{SLOT}_{database.name}"
