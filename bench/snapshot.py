"""`python -m bench snapshot`: publish the rows of one table, with ours and with Debezium.

Each turn begins without slot and topics, so all read the same rows. The time is from the first
record in the topic to the last: what a start takes is a column of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from confluent_kafka.admin import AdminClient

from bench import workload
from bench.contenders import Contender, Running
from bench.debezium import TUNED_CONNECTOR
from bench.measure import (
    Drain,
    Usage,
    print_result,
    print_table,
    ratio,
    usage_of,
    watch_topics,
)
from bench.servers import Servers, running_servers
from schemas.topics import Topics

_INITIAL = {"snapshot.mode": "initial"}
_OURS = {"BEMI_PRODUCER_PUBLISH_WAL": "false", "BEMI_PRODUCER_SNAPSHOT_MODE": "initial"}
OURS = Contender("ours", "ours", _OURS, is_ours=True)
OURS_BY_TWO = Contender(
    "ours_2",
    "ours, two readers",
    {**_OURS, "BEMI_PRODUCER_SNAPSHOT_MAX_THREADS": "2"},
    is_ours=True,
)
DEFAULTS = Contender("defaults", "Debezium, defaults", _INITIAL, is_ours=False)
TUNED = Contender("tuned", "Debezium, tuned", {**_INITIAL, **TUNED_CONNECTOR}, is_ours=False)
CONTENDERS = (OURS, DEFAULTS, OURS_BY_TWO, TUNED)

_FILL = """
INSERT INTO bench_row (account, name, email, amount, active, note, updated)
SELECT i %% 100000, 'Name of account ' || i, 'account' || i || '@example.org', i * 1.25, i %% 2 = 0,
       'A note of some length, as people write them about an order, number ' || i,
       CASE WHEN i %% 5 < 4 THEN localtimestamp END
FROM generate_series(1, %(rows)s::integer) AS i
"""


def bench_snapshot(rows: int, rounds: int) -> None:
    """Measure and print."""
    drains: dict[Contender, list[Drain]] = {contender: [] for contender in CONTENDERS}
    with running_servers() as servers:
        with servers.connect() as connection:
            workload.create(connection)
            connection.execute(_FILL, {"rows": rows})
            connection.execute("VACUUM ANALYZE bench_row")
            connection.execute("CHECKPOINT")
        for number in range(rounds):
            for contender in CONTENDERS:
                slot = f"{contender.name}_{number}"
                drains[contender].append(_turn(servers, contender, slot, rows))
    rates = {c: [drain.records_per_second for drain in drains[c]] for c in CONTENDERS}
    print_table(
        f"snapshot of {rows} rows, medians of {rounds}",
        ["", "rows/s", "CPU us/row", "peak memory MB", "first record s"],
        [
            [
                contender.title,
                f"{median(rates[contender]):.0f}",
                f"{median(drain.cpu_us_per_record for drain in found):.1f}",
                f"{median(drain.peak_memory_bytes for drain in found) / 1e6:.0f}",
                f"{median(drain.first_record_seconds for drain in found):.1f}",
            ]
            for contender, found in drains.items()
        ],
    )
    print_result(
        "snapshot",
        rates[OURS],
        rates[DEFAULTS],
        "rows/s",
        tuned_ratio=ratio(rates[OURS], rates[TUNED]),
        two_readers=round(median(rates[OURS_BY_TWO])),
        two_readers_tuned_ratio=ratio(rates[OURS_BY_TWO], rates[TUNED]),
        memory_ratio=ratio(
            [float(drain.peak_memory_bytes) for drain in drains[OURS]],
            [float(drain.peak_memory_bytes) for drain in drains[DEFAULTS]],
        ),
    )


def _turn(servers: Servers, contender: Contender, slot: str, rows: int) -> Drain:
    admin = AdminClient({"bootstrap.servers": servers.kafka.bootstrap_servers})
    topic = Topics(slot).table(*workload.TABLE)
    started_at = time.monotonic()
    with contender.running(servers, slot) as process:
        return watch_topics(admin, {topic: rows}, started_at, _Family(process).usage)


@dataclass(slots=True)
class _Family:
    """A process and those that it has started."""

    process: Running
    peak_memory_bytes: int = 0
    ended_cpu_seconds: dict[int, float] = field(default_factory=dict)

    def usage(self) -> Usage:
        """Return what all have used until now; memory is the most they had together."""
        own = self.process.usage()
        memory = own.peak_memory_bytes
        for pid in _children(self.process.pid):
            try:
                used = usage_of(pid)
            except (OSError, ValueError):
                continue  # It has just ended.
            self.ended_cpu_seconds[pid] = used.cpu_seconds
            memory += used.peak_memory_bytes
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory)
        cpu_seconds = own.cpu_seconds + sum(self.ended_cpu_seconds.values())
        return Usage(cpu_seconds, self.peak_memory_bytes)


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []
