"""`python -m bench pipeline`: from the source's commit to the row in `changes`.

Rows a second: changes are written as fast as the server takes them while all stages run; the
time is from the first commit to the last row stored. The peers are Debezium alone, with its
defaults and tuned, from the first commit to the last record in its topic, in turns with ours.
Ours writes the tables' topics as well, as Debezium does, and in a turn of its own it does not, for
whoever only wants `changes`. What each stage needs of the processor for a change tells which of
them limits, also where others use the machine.

Latency: at a fixed 500 rows a second, each row's own commit time against the commit time of
the transaction that stored its change (track_commit_timestamp), by one server's clock. The
first seconds are not counted, in which topics and partitions are made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median, quantiles

from bench import workload
from bench.debezium import TUNED_CONNECTOR, debezium
from bench.measure import (
    TIMEOUT_SECONDS,
    print_progress,
    print_result,
    print_table,
    ratio,
    usage_of,
    watch_drain,
)
from bench.servers import Servers, running_servers
from bench.stages import start_stage
from deploy.local.process import ChildProcess
from schemas.topics import Topics

LATENCY_ROWS_PER_SECOND = 500
WARM_UP_SECONDS = 3
# One alone commits no faster than the disk writes; several share a write.
WRITERS = 4
READY_SECONDS = 60.0
EVERYTHING = "ours, to the table"
CHANGES_ALONE = "ours, without the tables' topics"
OURS: dict[str, dict[str, str]] = {
    EVERYTHING: {},
    CHANGES_ALONE: {"BEMI_PRODUCER_PUBLISH_TABLES": "false"},
}
DEFAULTS = "Debezium, defaults, to its topic"
TUNED = "Debezium, tuned, to its topic"
DEBEZIUM: dict[str, dict[str, str]] = {DEFAULTS: {}, TUNED: TUNED_CONNECTOR}
STAGES = {
    "producer": ["bemi-producer"],
    "stitcher": ["bemi-stitcher"],
    "sink": ["bemi-sink"],
}


def bench_pipeline(rows: int, rounds: int, seconds: int) -> None:
    """Measure and print."""
    rates: dict[str, list[float]] = {name: [] for name in (*OURS, *DEBEZIUM)}
    latencies_ms: list[float] = []
    cpu_us: dict[str, list[float]] = {name: [] for name in STAGES}
    for number in range(rounds):
        for name, settings in OURS.items():
            with _servers() as servers, _stages(servers, f"p{number}", settings) as stages:
                # First, because a server that was just loaded still vacuums and checkpoints.
                waited = _latency(servers, seconds if name == EVERYTHING else WARM_UP_SECONDS)
                before = {name: usage_of(stage.pid) for name, stage in stages.items()}
                rates[name].append(_throughput(servers, rows))
                if name == EVERYTHING:
                    latencies_ms += waited
                    for each, stage in stages.items():
                        used = usage_of(stage.pid).cpu_seconds - before[each].cpu_seconds
                        cpu_us[each].append(used / rows * 1e6)
            print_progress(f"round {number + 1}, {name}: {rates[name][-1]:.0f} changes/s")
        for name, settings in DEBEZIUM.items():
            with _servers() as servers:
                rates[name].append(_debezium_alone(servers, rows, settings))
            print_progress(f"round {number + 1}, {name}: {rates[name][-1]:.0f} changes/s")
    percent = quantiles(latencies_ms, n=100)
    cpu = ", ".join(f"{median(each):.0f}" for each in cpu_us.values())
    told = {EVERYTHING: [f"{percent[49]:.0f}", f"{percent[98]:.0f}", cpu]}
    print_table(
        f"commit -> changes, {rows} changes, medians of {rounds}",
        ["", "changes/s", "latency p50 ms", "p99 ms", "CPU us/change: " + ", ".join(STAGES)],
        [[name, f"{median(of):.0f}", *told.get(name, ["", "", ""])] for name, of in rates.items()],
    )
    print_result(
        "pipeline",
        rates[EVERYTHING],
        rates[DEFAULTS],
        "changes/s",
        tuned_ratio=ratio(rates[EVERYTHING], rates[TUNED]),
        changes_alone_ratio=ratio(rates[CHANGES_ALONE], rates[DEFAULTS]),
        changes_alone_tuned_ratio=ratio(rates[CHANGES_ALONE], rates[TUNED]),
        latency_p50_ms=round(percent[49], 1),
        latency_p99_ms=round(percent[98], 1),
        latency_rows_per_second=LATENCY_ROWS_PER_SECOND,
        cpu_us_per_change={name: round(median(each), 1) for name, each in cpu_us.items()},
    )


@contextmanager
def _servers() -> Iterator[Servers]:
    """Run servers of their own for a turn, with the table in them."""
    with running_servers() as servers:
        with servers.connect() as connection:
            workload.create(connection)
        yield servers


@contextmanager
def _stages(
    servers: Servers, prefix: str, settings: Mapping[str, str]
) -> Iterator[Mapping[str, ChildProcess]]:
    stages = _start(servers, prefix, settings)
    try:
        yield stages
    finally:
        for stage in stages.values():
            stage.stop()


def _start(
    servers: Servers, prefix: str, settings: Mapping[str, str]
) -> Mapping[str, ChildProcess]:
    environ = {**servers.environ, "BEMI_TOPIC_PREFIX": prefix}
    stages = {}
    for name, argv in STAGES.items():
        # The other stages refuse the producer's settings.
        own = {**environ, **settings} if name == "producer" else environ
        stage = start_stage(servers, name, argv, own)
        stages[name] = stage
        deadline = time.monotonic() + READY_SECONDS
        while "ready" not in stage.output():
            if time.monotonic() > deadline or not stage.is_running:
                raise RuntimeError(f"{name} is not ready: {stage.tail()}")
            time.sleep(0.1)
    return stages


def _stored(servers: Servers) -> int:
    with servers.connect() as connection:
        row = connection.execute("SELECT count(*) FROM changes").fetchone()
    return int(str(row[0])) if row else 0


def _wait_stored(servers: Servers, expected: int) -> float:
    """Return the time (of time.monotonic) at which so many changes are stored.

    Asks the sink's watermarks, each change being one record: counting the rows ten times a second
    took a good part of a core.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with servers.connect() as connection:
        while _handled(connection) < expected:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{_stored(servers)} of {expected} changes are stored")
            time.sleep(0.1)
    stored_at = time.monotonic()
    if (stored := _stored(servers)) != expected:
        raise RuntimeError(f"{stored} changes are stored instead of {expected}")
    return stored_at


def _handled(connection: workload.Connection) -> int:
    row = connection.execute("SELECT sum(next_offset) FROM bemi_sink_progress").fetchone()
    return int(str(row[0])) if row and row[0] is not None else 0


def _throughput(servers: Servers, rows: int) -> float:
    before = _stored(servers)
    started_at = time.monotonic()
    with servers.connect() as connection:
        changes = workload.write(connection, rows).changes
    return changes / (_wait_stored(servers, before + changes) - started_at)


def _latency(servers: Servers, seconds: int) -> list[float]:
    """Write rows at the fixed rate; return each one's milliseconds from commit to commit."""
    before = _stored(servers)
    each = (WARM_UP_SECONDS + seconds) * LATENCY_ROWS_PER_SECOND // WRITERS
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda number: _write_at_rate(servers, each, number), range(WRITERS)))
    _wait_stored(servers, before + each * WRITERS)
    with servers.connect() as connection:
        found = connection.execute(
            "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - committed_at) * 1000"
            " FROM changes WHERE committed_at > %s * interval '1 second'"
            " + (SELECT min(committed_at) FROM changes)",
            [WARM_UP_SECONDS],
        ).fetchall()
    return [float(str(row[0])) for row in found]


def _write_at_rate(servers: Servers, rows: int, number: int) -> None:
    with servers.connect() as connection:
        connection.execute(
            "CALL write_at_rate(%s, %s, %s)",
            [rows, LATENCY_ROWS_PER_SECOND / WRITERS, number / LATENCY_ROWS_PER_SECOND],
        )


def _debezium_alone(servers: Servers, rows: int, settings: Mapping[str, str]) -> float:
    with servers.connect() as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('peer', 'pgoutput')")
    worker = debezium(servers, "peer", "peer", dict(settings))
    worker.start()
    try:
        admin = servers.admin()
        with servers.connect() as connection:
            topics = Topics("peer")
            topic = topics.table(*workload.TABLE)
            expected = workload.write(connection, 1000).records(topics)[topic]
            watch_drain(admin, topic, expected, time.monotonic())
            started_at = time.monotonic()
            backlog = workload.write(connection, rows)
        expected += backlog.records(topics)[topic]
        watch_drain(admin, topic, expected, started_at)
        return backlog.changes / (time.monotonic() - started_at)
    finally:
        worker.kill()
