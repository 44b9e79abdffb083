"""`python -m bench profile`: what a change costs between reading it and handing it to Kafka.

The messages of a small backlog are recorded, the server ends, and they are replayed again and
again into the same parts as the producer's. The least CPU time counts: what disturbs only adds.
For comparing two states of the code; `producer` says what it is worth.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass

import psycopg

from bench import workload
from bench.measure import print_table
from bench.servers import DATABASE, postgres_environ, running_postgres
from bench.workload import ONE_ROW, TEN_ROWS, Backlog, Workload
from producer import pgoutput
from producer.assembly import Assembly, assemble
from producer.catalog import Catalog
from producer.change_events import ChangeEvents, Record
from producer.connections import avro_serializer, connect_sql, connect_stream
from producer.copy_messages import PAYLOAD_AT, XLOG_DATA
from producer.progress import InFlight, Progress
from producer.replication_stream import MOST_MESSAGES
from producer.settings import ProducerSettings
from producer.stream_publisher import StreamPublisher
from producer.table_shape import CatalogFacts
from runtime.service import collect_garbage_less_often
from schemas.change_id import Epoch, Lsn

NOW_US = 1_700_000_000_000_000
WAL_PARTITIONS = 4
READ_SECONDS = 1.0

_COMMIT = ord("C")

OUTPUTS = {
    "tables": {"BEMI_PRODUCER_PUBLISH_WAL": "false"},
    "tables_and_wal": {},
    "wal": {"BEMI_PRODUCER_PUBLISH_TABLES": "false"},
    "tables_with_schemas": {
        "BEMI_PRODUCER_PUBLISH_WAL": "false",
        "BEMI_PRODUCER_KEY_FORMAT": "json_schemas",
        "BEMI_PRODUCER_VALUE_FORMAT": "json_schemas",
    },
}


@dataclass(frozen=True, slots=True)
class Recording:
    """The messages of a backlog as the server sent them, apart from what describes the table."""

    backlog: Backlog
    messages: list[bytes]
    relations: list[tuple[pgoutput.Relation, CatalogFacts]]


def bench_profile(rows: int, rounds: int) -> None:
    """Measure and print."""
    recordings = {each: _record(each, rows) for each in (TEN_ROWS, ONE_ROW)}
    collect_garbage_less_often()
    microseconds = {
        chosen.name: {
            name: round(_least_us(recording, environ, rounds), 3)
            for name, environ in OUTPUTS.items()
        }
        for chosen, recording in recordings.items()
    }
    print_table(
        f"CPU us/change for decoding and events, least of {rounds}",
        ["", *OUTPUTS],
        [
            [chosen.title, *(f"{value:.2f}" for value in microseconds[chosen.name].values())]
            for chosen in recordings
        ],
    )
    ours = microseconds[TEN_ROWS.name]["tables"]
    print(json.dumps({"name": "profile", "ours": ours, "unit": "us/change", **microseconds}))


def _record(chosen: Workload, rows: int) -> Recording:
    with running_postgres() as (_, postgres):
        with psycopg.connect(postgres.dsn(DATABASE), autocommit=True) as connection:
            workload.create(connection)
            connection.execute("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')")
            backlog = workload.write(connection, rows, chosen)
        settings, _ = ProducerSettings.configured(postgres_environ(postgres))
        messages: list[bytes] = []
        relations = []
        with closing(connect_stream(settings)) as stream, closing(connect_sql(settings)) as sql:
            catalog = Catalog(sql)
            stream.start("bench", "bench", Lsn(0))
            commits = 0
            while commits < backlog.transactions:
                for data in stream.read(READ_SECONDS):
                    if data[0] != XLOG_DATA:
                        continue
                    commits += data[PAYLOAD_AT] == _COMMIT
                    message = pgoutput.decode(data[PAYLOAD_AT:])
                    if isinstance(message, pgoutput.Relation):
                        relations.append((message, catalog.facts(message)))
                    else:
                        messages.append(data)
    return Recording(backlog, messages, relations)


def _least_us(recording: Recording, environ: dict[str, str], rounds: int) -> float:
    """Return the microseconds of CPU a change of the fastest replay."""
    settings, _ = ProducerSettings.configured(environ)
    assembly = assemble(settings, DATABASE, "bench", lambda: avro_serializer(settings))
    seconds = []
    for _ in range(rounds):
        replay = _Replay(assembly, recording)
        started = time.process_time()
        records = replay.run()
        seconds.append(time.process_time() - started)
        replay.check(records)
    return min(seconds) / recording.backlog.changes * 1e6


class _Replay:
    """One run of the producer's middle over a recording."""

    def __init__(self, assembly: Assembly, recording: Recording) -> None:
        epoch = Epoch(1, 1, WAL_PARTITIONS, "bench", DATABASE)
        self._assembly = assembly
        events = ChangeEvents(
            assembly.topics, epoch, assembly.output, assembly.tables, assembly.wal
        )
        self._recording = recording
        # Once for all rows, so not a part of what a row costs.
        for relation, facts in recording.relations:
            events.describe(*assembly.shapes(relation, facts))
        self._records = 0
        self._outgoing = StreamPublisher(
            events, self._count, Progress(Lsn(0)), None, _describe, confirms_keepalives=False
        )

    def run(self) -> int:
        """Make the records of every message and return how many they are."""
        messages = self._recording.messages
        for start in range(0, len(messages), MOST_MESSAGES):
            self._outgoing.take(messages[start : start + MOST_MESSAGES], NOW_US)
        return self._records

    def _count(self, records: list[Record], _transaction: InFlight) -> None:
        self._records += len(records)

    def check(self, records: int) -> None:
        """Raise RuntimeError unless the replay made the records that belong to the backlog."""
        backlog, assembly = self._recording.backlog, self._assembly
        by_topic = backlog.records(assembly.topics, with_wal=assembly.wal is not None)
        if assembly.tables is None:
            by_topic = {assembly.topics.wal: by_topic[assembly.topics.wal]}
        if records != (expected := sum(by_topic.values())):
            raise RuntimeError(f"{records} records instead of {expected}")


def _describe(relation: pgoutput.Relation) -> None:
    raise RuntimeError(f"{relation.table} was described in the middle of the recording")
