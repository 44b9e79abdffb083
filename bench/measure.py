"""Watch what is measured: records in topics, memory and CPU of a process; print the result."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from rich.console import Console
from rich.table import Table

POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Drain:
    """How a backlog went away."""

    records_per_second: float  # Between the first record and the last.
    first_record_seconds: float  # From the start of the process.


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used until now."""

    cpu_seconds: float
    peak_memory_bytes: int


def record_count(admin: AdminClient, topic: str) -> int:
    """Return how many records the topic has, 0 while it is not there."""
    found = admin.list_topics(timeout=10).topics.get(topic)
    if found is None:
        return 0
    request = {
        TopicPartition(topic, partition): OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for partition in found.partitions
    }
    return sum(answer.result().offset for answer in admin.list_offsets(request).values())


def watch_drain(admin: AdminClient, topic: str, expected: int, started_at: float) -> Drain:
    """Return when the topic has all expected records; times are of time.monotonic()."""
    first_at, first_count = 0.0, 0
    deadline = started_at + TIMEOUT_SECONDS
    while True:
        count = record_count(admin, topic)
        now = time.monotonic()
        if count and not first_at:
            first_at, first_count = now, count
        if count >= expected:
            seconds = max(now - first_at, POLL_SECONDS)
            return Drain((count - first_count) / seconds, first_at - started_at)
        if now > deadline:
            raise TimeoutError(
                f"{topic} has {count} of {expected} records after {TIMEOUT_SECONDS} s"
            )
        time.sleep(POLL_SECONDS)


def usage_of(pid: int) -> Usage:
    """Return the process's CPU time and peak memory, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(peak) * 1024)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table of results."""
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def print_result(
    name: str, ours: list[float], peer: list[float], unit: str, **more: object
) -> None:
    """Print the last line: one JSON object with medians and the median ratio of the rounds."""
    ratios = [one / other for one, other in zip(ours, peer, strict=True)]
    result = {
        "name": name,
        "ours": round(median(ours), 3),
        "peer": round(median(peer), 3),
        "ratio": round(median(ratios), 2),
        "unit": unit,
        **more,
    }
    print(json.dumps(result))
