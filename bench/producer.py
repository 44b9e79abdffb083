"""`python -m bench producer`: drain one prepared backlog of WAL with ours and with Debezium.

Each turn has a slot of its own, made before the backlog is written, so all read the same WAL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import psycopg
from confluent_kafka.admin import AdminClient

from bench import workload
from bench.debezium import TUNED_CONNECTOR, debezium
from bench.measure import Drain, Usage, print_result, print_table, usage_of, watch_drain
from bench.servers import Servers, running_servers
from bench.stages import start_stage

SLOT_FREE_SECONDS = 60.0
PEERS: dict[str, dict[str, str]] = {"Debezium, defaults": {}, "Debezium, tuned": TUNED_CONNECTOR}
OURS: dict[str, dict[str, str]] = {
    "ours": {"BEMI_PRODUCER_PUBLISH_WAL": "false"},
    "ours with .wal": {},
}


def bench_producer(rows: int, rounds: int) -> None:
    """Measure and print."""
    with running_servers() as servers:
        with servers.connect() as connection:
            workload.create(connection)
            slots = {
                (name, number): f"turn_{index}_{number}"
                for index, name in enumerate([*OURS, *PEERS])
                for number in range(rounds)
            }
            for slot in slots.values():
                connection.execute(
                    "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot]
                )
            changes = workload.write(connection, rows)
        expected = changes * workload.TABLE_RECORDS_A_TRANSACTION // workload.CHANGES_A_TRANSACTION
        results: dict[str, list[tuple[Drain, Usage]]] = {name: [] for name in [*OURS, *PEERS]}
        for (name, _number), slot in sorted(slots.items(), key=lambda item: item[0][1]):
            turn = _ours if name in OURS else _debezium
            results[name].append(turn(servers, slot, expected, (OURS | PEERS)[name]))
            with servers.connect() as connection:
                _drop_when_free(connection, slot)
    share = workload.CHANGES_A_TRANSACTION / workload.TABLE_RECORDS_A_TRANSACTION
    rates = {
        name: [drain.records_per_second * share for drain, _ in turns]
        for name, turns in results.items()
    }
    print_table(
        f"{changes} changes drained, medians of {rounds}",
        ["", "changes/s", "CPU us/change", "peak memory MB", "first record s"],
        [
            [
                name,
                f"{median(rates[name]):.0f}",
                f"{median(u.cpu_seconds for _, u in turns) / changes * 1e6:.1f}",
                f"{median(u.peak_memory_bytes for _, u in turns) / 1e6:.0f}",
                f"{median(d.first_record_seconds for d, _ in turns):.1f}",
            ]
            for name, turns in results.items()
        ],
    )
    print_result(
        "producer",
        rates["ours"],
        rates["Debezium, defaults"],
        "changes/s",
        tuned_ratio=round(median(rates["ours"]) / median(rates["Debezium, tuned"]), 2),
        wal_tuned_ratio=round(
            median(rates["ours with .wal"]) / median(rates["Debezium, tuned"]), 2
        ),
    )


def _ours(servers: Servers, slot: str, expected: int, extra: dict[str, str]) -> tuple[Drain, Usage]:
    environ = {
        **servers.environ,
        "BEMI_TOPIC_PREFIX": slot,
        "BEMI_PRODUCER_SLOT_NAME": slot,
        "BEMI_PRODUCER_PUBLICATION_NAME": "bench",
        **extra,
    }
    started_at = time.monotonic()
    stage = start_stage(servers, "producer", ["bemi-producer"], environ)
    return _watch(servers, slot, expected, started_at, lambda: stage.pid, stage.kill)


def _debezium(
    servers: Servers, slot: str, expected: int, extra: dict[str, str]
) -> tuple[Drain, Usage]:
    worker = debezium(servers, slot, slot, extra)
    started_at = time.monotonic()
    worker.start()
    return _watch(servers, slot, expected, started_at, lambda: worker.pid, worker.kill)


def _watch(
    servers: Servers,
    prefix: str,
    expected: int,
    started_at: float,
    pid: Callable[[], int],
    end: Callable[[], None],
) -> tuple[Drain, Usage]:
    admin = AdminClient({"bootstrap.servers": servers.kafka.bootstrap_servers})
    try:
        drain = watch_drain(admin, f"{prefix}.public.bench_row", expected, started_at)
        return drain, usage_of(pid())
    finally:
        end()


def _drop_when_free(connection: psycopg.Connection[tuple[object, ...]], slot: str) -> None:
    """Drop the slot once the server has noticed that its reader has ended."""
    deadline = time.monotonic() + SLOT_FREE_SECONDS
    while True:
        try:
            connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
