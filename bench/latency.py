"""`python -m bench latency`: from a commit to the moment a consumer has the record.

Transactions of one row are written at a fixed rate. A consumer that is there from the beginning
notes when it has each record; each row's commit time is read from the server afterwards
(track_commit_timestamp), by the clock of the same machine. The server takes that time as it
begins to commit, so waiting for the disk counts, for all alike.

The first seconds are not counted: a virtual machine compiles then.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median, quantiles

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench import workload
from bench.contenders import (
    CONTENDERS,
    DEFAULTS,
    OURS_WITH_WAL,
    TUNED,
    Contender,
    Running,
    make_slot,
)
from bench.measure import print_progress, print_result, print_table, ratio, watch_topics
from bench.servers import Servers, running_servers
from schemas.topics import Topics

WARM_UP_SECONDS = 10
# One alone commits no faster than the disk writes; several share a write.
WRITERS = 4
LATE_SECONDS = 60.0
READ_SECONDS = 0.1
AS_SHIPPED = OURS_WITH_WAL

_COMMITTED = """
SELECT id, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1e6)::bigint
FROM bench_row WHERE id > %s ORDER BY 2
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the records of one turn took."""

    p50_ms: float
    p99_ms: float
    transactions_per_second: float  # As they were committed.


Latencies = dict[Contender, list[Latency]]


def bench_producer_latency(rate: int, rounds: int, seconds: int) -> None:
    """Measure and print."""
    latencies: Latencies = {contender: [] for contender in CONTENDERS}
    with running_servers() as servers:
        with servers.connect() as connection:
            workload.create(connection)
        for number in range(rounds):
            for contender in CONTENDERS:
                slot = f"l{number}_{contender.name}"
                make_slot(servers, slot)
                with contender.running(servers, slot) as process:
                    turn = _measure(servers, slot, process, rate, seconds)
                latencies[contender].append(turn)
                print_progress(
                    f"round {number + 1}, {contender.title}: p50 {turn.p50_ms:.1f} ms, "
                    f"p99 {turn.p99_ms:.1f} ms"
                )
    print_table(
        f"commit -> record read, {seconds} s at {rate} transactions/s, medians of {rounds}",
        ["", "p50 ms", "p99 ms", "transactions/s"],
        [
            [
                contender.title,
                f"{median(turn.p50_ms for turn in turns):.1f}",
                f"{median(turn.p99_ms for turn in turns):.1f}",
                f"{median(turn.transactions_per_second for turn in turns):.0f}",
            ]
            for contender, turns in latencies.items()
        ],
    )
    _print_result(latencies)


def _print_result(latencies: Latencies) -> None:
    p50 = {each: [turn.p50_ms for turn in turns] for each, turns in latencies.items()}
    p99 = {each: [turn.p99_ms for turn in turns] for each, turns in latencies.items()}
    print_result(
        "latency",
        p50[AS_SHIPPED],
        p50[DEFAULTS],
        "ms",
        of="producer",
        # The slowest turn: a disk may not take as many as were asked for.
        transactions_per_second=round(
            min(turn.transactions_per_second for turns in latencies.values() for turn in turns)
        ),
        tuned_ratio=ratio(p50[AS_SHIPPED], p50[TUNED]),
        p99_ratio=ratio(p99[AS_SHIPPED], p99[DEFAULTS]),
        p99_tuned_ratio=ratio(p99[AS_SHIPPED], p99[TUNED]),
        p50_ms={each.name: round(median(p50[each]), 2) for each in latencies},
        p99_ms={each.name: round(median(p99[each]), 2) for each in latencies},
    )


def _measure(servers: Servers, prefix: str, process: Running, rate: int, seconds: int) -> Latency:
    topic = Topics(prefix).table(*workload.TABLE)
    with servers.connect() as connection:
        before = _last_id(connection)
        # Makes the topic.
        connection.execute("CALL write_at_rate(1, 1, 0)")
        watch_topics(servers.admin(), {topic: 1}, time.monotonic(), process.usage)
        with ThreadPoolExecutor(WRITERS) as pool:
            written_by_each = rate * (WARM_UP_SECONDS + seconds) // WRITERS
            writing = [
                pool.submit(_write, servers, written_by_each, rate, number)
                for number in range(WRITERS)
            ]
            read_at_us = _read(servers, topic, 1 + written_by_each * WRITERS, process)
            for writer in writing:
                writer.result()
        rows = connection.execute(_COMMITTED, [before]).fetchall()
    committed = [(int(str(at_us)), int(str(id_))) for id_, at_us in rows]
    # The first row stands alone.
    counted_from_us = committed[1][0] + WARM_UP_SECONDS * 1_000_000
    counted = [(at_us, id_) for at_us, id_ in committed if at_us >= counted_from_us]
    percents = quantiles(((read_at_us[id_] - at_us) / 1000 for at_us, id_ in counted), n=100)
    lasted_us = counted[-1][0] - counted[0][0]
    return Latency(percents[49], percents[98], (len(counted) - 1) / lasted_us * 1e6)


def _write(servers: Servers, transactions: int, rate: int, number: int) -> None:
    with servers.connect() as connection:
        connection.execute(
            "CALL write_at_rate(%s, %s, %s)", [transactions, rate / WRITERS, number / rate]
        )


def _last_id(connection: workload.Connection) -> int:
    row = connection.execute("SELECT coalesce(max(id), 0) FROM bench_row").fetchone()
    return int(str(row[0])) if row else 0


def _read(servers: Servers, topic: str, count: int, process: Running) -> dict[int, int]:
    """Return when each of so many records was there, in microseconds, by the row's id."""
    consumer = Consumer({"bootstrap.servers": servers.kafka.bootstrap_servers, "group.id": "bench"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[bytes | None, int]] = []
    heard_at = time.monotonic()
    try:
        while len(found) < count:
            message = consumer.poll(READ_SECONDS)
            if message is None:
                process.usage()
                if time.monotonic() - heard_at > LATE_SECONDS:
                    raise TimeoutError(f"{topic} has {len(found)} of {count} records")
                continue
            heard_at = time.monotonic()
            if error := message.error():
                raise KafkaException(error)
            # Keys are read afterwards: what is done here delays the next record.
            found.append((message.key(), time.time_ns() // 1000))
    finally:
        consumer.close()
    return {json.loads(key or b"{}")["id"]: at for key, at in found}
