"""`python -m bench sink`: from the topic into `changes`, against COPY of the same lines.

Ours is the sink's process, which reads a topic that holds everything already; the time is from
its first batch to its last. The peer is one connection that sends lines made before by COPY,
as many in a transaction, into the same table with the same indexes. Both begin with it empty.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any

import psycopg
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from bench.measure import (
    TIMEOUT_SECONDS,
    print_progress,
    print_result,
    print_table,
    usage_of,
)
from bench.servers import DATABASE, Servers, running_servers
from bench.stages import start_stage
from schemas.change_id import Epoch, change_uuid, transaction_seed
from schemas.topics import Topics
from sink_pg.change_rows import Record, change_row
from sink_pg.partitions import make_upcoming
from sink_pg.periods import Period
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings
from sink_pg.statements import copy_into

PREFIX = "sink"
PARTITION = 0
ROWS_PER_TRANSACTION = 10
POLL_SECONDS = 0.02
EPOCH = Epoch(7_300_000_000_000_000_001, 1, 1, "bemi", DATABASE)
GIN = (
    "CREATE INDEX ON changes USING gin (before jsonb_path_ops);"
    "CREATE INDEX ON changes USING gin (after jsonb_path_ops);"
    "CREATE INDEX ON changes USING gin (context jsonb_path_ops);"
)
INDEXES = {
    "none": "ALTER TABLE changes DROP CONSTRAINT changes_pkey;"
    "DROP INDEX changes_committed_at_idx, changes_primary_key_idx;",
    "default": "",
    "gin": GIN,
}

_RECORD = (
    '{"id":"%s","database":"bench","schema":"public","table":"bench_row","primary_key":"%d",'
    '"operation":"UPDATE","before":%s,"after":%s,"context":{"user_id":%d,"endpoint":"/orders/%d",'
    '"method":"POST","SQL":"UPDATE bench_row SET amount = %%s, updated = %%s WHERE id = %%s"},'
    '"committed_at":"%s","queued_at":"%s","transaction_id":%d,"position":%d,"commit_lsn":%d,'
    '"ordinal":%d,"epoch":"%s","context_error":null}'
)
_ROW = (
    '{"id":%d,"account":%d,"name":"Name of account %d","email":"account%d@example.org",'
    '"amount":"%d.25","active":true,"note":"A note of some length, as people write them, %d",'
    '"updated":"%s"}'
)


def values(first: int, count: int, start: datetime, step: timedelta) -> Iterator[bytes]:
    """Yield changes as the stitcher writes them, about 900 bytes each.

    Ten to a transaction, over 100,000 rows; the transactions are `step` apart.
    """
    for number in range(first, first + count):
        transaction, ordinal = divmod(number, ROWS_PER_TRANSACTION)
        committed_at = start + transaction * step
        seed = transaction_seed(
            EPOCH.source_id, transaction, int(committed_at.timestamp() * 1_000_000)
        )
        time_ = f"{committed_at:%Y-%m-%dT%H:%M:%S.%fZ}"
        key = number * 7_919 % 100_000
        before, after = (
            _ROW % (key, key % 997, key, key, number + change, number, time_) for change in (0, 1)
        )
        yield (
            _RECORD
            % (
                change_uuid(seed, ordinal), key, before, after, transaction % 500, transaction,
                time_, time_, transaction, number, transaction, ordinal, EPOCH,
            )
        ).encode()  # fmt: skip


def bench_sink(rows: int, rounds: int, indexes: str) -> None:
    """Measure and print."""
    ours: list[float] = []
    peer: list[float] = []
    cpu_us: list[float] = []
    now = datetime.now(timezone.utc)
    contents = list(values(0, rows, now - timedelta(minutes=1), timedelta(microseconds=50)))
    lines = [
        change_row(Record("", PARTITION, offset, None, value)).line
        for offset, value in enumerate(contents)
    ]
    with running_servers() as servers, servers.connect() as connection:
        settings = SinkSettings.from_environ(servers.environ)
        writer = PgWriter(settings, Topics(PREFIX).changes)
        writer.migrate()
        writer.close()
        make_upcoming(connection, Period.MONTH, now)
        if INDEXES[indexes]:
            connection.execute(INDEXES[indexes])
        _publish(servers, contents)
        for _ in range(rounds):
            _empty(connection)
            rate, us = _sink(servers, connection, rows)
            ours.append(rate)
            cpu_us.append(us)
            _empty(connection)
            peer.append(_copy(connection, lines, settings.batch_rows))
            print_progress(f"sink {ours[-1]:.0f}, COPY {peer[-1]:.0f} rows/s")
    size = sum(map(len, contents)) / rows
    print_table(
        f"{rows} changes of {size:.0f} bytes, indexes: {indexes}, medians of {rounds}",
        ["", "rows/s", "CPU us/row"],
        [
            ["sink, from the topic", f"{median(ours):.0f}", f"{median(cpu_us):.1f}"],
            ["COPY of the same lines", f"{median(peer):.0f}", ""],
        ],
    )
    print_result(
        "sink", ours, peer, "rows/s", indexes=indexes, cpu_us_per_row=round(median(cpu_us), 1)
    )


def _publish(servers: Servers, contents: list[bytes]) -> None:
    topic = Topics(PREFIX).changes
    admin = servers.admin()
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=30.0)
    publisher = Producer(
        {
            "bootstrap.servers": servers.kafka.bootstrap_servers,
            "linger.ms": 50,
            "compression.type": "lz4",
            "log_level": 2,
        }
    )
    for value in contents:
        while True:
            try:
                publisher.produce(topic, value, b"key", PARTITION)
                break
            except BufferError:
                publisher.poll(0.1)
    publisher.flush()


def _empty(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute("TRUNCATE changes, bemi_sink_progress")
    connection.execute("CHECKPOINT")


def _sink(
    servers: Servers, connection: psycopg.Connection[tuple[object, ...]], rows: int
) -> tuple[float, float]:
    """Return rows a second and the sink's own CPU a row, both from its first batch on."""
    stage = start_stage(
        servers, "sink", ["bemi-sink"], {**servers.environ, "BEMI_TOPIC_PREFIX": PREFIX}
    )
    deadline = time.monotonic() + TIMEOUT_SECONDS
    first: tuple[float, int, float] | None = None
    try:
        while True:
            found: list[Any] = connection.execute(
                "SELECT next_offset FROM bemi_sink_progress"
            ).fetchall()
            now, done = time.monotonic(), found[0][0] if found else 0
            if done and first is None:
                first = now, done, usage_of(stage.pid).cpu_seconds
            if done == rows and first is not None:
                cpu = usage_of(stage.pid).cpu_seconds - first[2]
                return (rows - first[1]) / (now - first[0]), cpu / (rows - first[1]) * 1e6
            if now > deadline or not stage.is_running:
                raise RuntimeError(f"the sink has stored {done} of {rows}: {stage.tail()}")
            time.sleep(POLL_SECONDS)
    finally:
        stage.stop()


def _copy(
    connection: psycopg.Connection[tuple[object, ...]], lines: list[bytes], batch: int
) -> float:
    """Return rows a second of COPY, as many rows a transaction as the sink's."""
    batches = [b"".join(lines[start : start + batch]) for start in range(0, len(lines), batch)]
    started_at = time.monotonic()
    for content in batches:
        with connection.cursor().copy(copy_into("public", "changes")) as copy:
            copy.write(content)
    return len(lines) / (time.monotonic() - started_at)
