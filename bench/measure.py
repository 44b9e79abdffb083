"""Watch what is measured: records in topics, memory and CPU of a process; print the result."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from rich.console import Console
from rich.table import Table

POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 600.0

_JUST_MADE = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used until now."""

    cpu_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Drain:
    """How a backlog went away."""

    records_per_second: float  # Between the first record and the last.
    first_record_seconds: float  # From the start of the process.
    late_records_per_second: float  # Of the second half, when a virtual machine is warm.
    cpu_us_per_record: float = 0.0  # From the first record on.
    peak_memory_bytes: int = 0  # Since the start of the process.


class RecordCounts:
    """How many records topics have."""

    def __init__(self, admin: AdminClient, topics: Collection[str]) -> None:
        self._admin = admin
        self._missing = set(topics)
        self._partitions: list[TopicPartition] = []

    def read(self) -> dict[str, int]:
        """Return the number by topic, of those that are there by now."""
        if self._missing:
            found = self._admin.list_topics(timeout=10).topics
            for topic in self._missing & found.keys():
                self._partitions += (
                    TopicPartition(topic, partition) for partition in found[topic].partitions
                )
            self._missing -= found.keys()
        if not self._partitions:
            return {}
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        request = dict.fromkeys(self._partitions, latest)
        counts: dict[str, int] = {}
        for partition, answer in self._admin.list_offsets(request).items():
            try:
                offset = answer.result().offset
            except KafkaException as error:
                if error.args[0].code() not in _JUST_MADE:
                    raise
                offset = 0
            counts[partition.topic] = counts.get(partition.topic, 0) + offset
        return counts


def record_count(admin: AdminClient, topic: str) -> int:
    """Return how many records the topic has, 0 while it is not there."""
    return RecordCounts(admin, [topic]).read().get(topic, 0)


def watch_drain(admin: AdminClient, topic: str, expected: int, started_at: float) -> Drain:
    """Return when the topic has all expected records; times are of time.monotonic()."""
    return watch_topics(admin, {topic: expected}, started_at)


def watch_topics(
    admin: AdminClient,
    expected: Mapping[str, int],
    started_at: float,
    usage: Callable[[], Usage] = lambda: Usage(0.0, 0),
) -> Drain:
    """Return when each topic has the records expected of it.

    `usage` is asked at the first record and in the end, and between them again and again: it may
    raise to end the watch.
    """
    counts = RecordCounts(admin, expected)
    total = sum(expected.values())
    deadline = started_at + TIMEOUT_SECONDS
    first: tuple[float, int, Usage] | None = None
    half: tuple[float, int] | None = None
    while True:
        found = counts.read()
        now, used = time.monotonic(), usage()
        count = sum(min(number, found.get(topic, 0)) for topic, number in expected.items())
        if count and first is None:
            first = now, count, used
        if count >= total / 2 and half is None:
            half = now, count
        if count == total and first is not None and half is not None:
            return Drain(
                (count - first[1]) / max(now - first[0], POLL_SECONDS),
                first[0] - started_at,
                (count - half[1]) / max(now - half[0], POLL_SECONDS),
                (used.cpu_seconds - first[2].cpu_seconds) / max(count - first[1], 1) * 1e6,
                used.peak_memory_bytes,
            )
        if now > deadline:
            raise TimeoutError(f"after {TIMEOUT_SECONDS} s there are {found} of {dict(expected)}")
        time.sleep(POLL_SECONDS)


def usage_of(pid: int) -> Usage:
    """Return the process's CPU time and peak memory, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(peak) * 1024)


def print_progress(line: str) -> None:
    """Print a line for who waits, apart from the results."""
    print(line, file=sys.stderr, flush=True)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table of results."""
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def ratio(ours: list[float], peer: list[float]) -> float:
    """Return the median of the ratios of the rounds."""
    return round(median(one / other for one, other in zip(ours, peer, strict=True)), 3)


def print_result(
    name: str, ours: list[float], peer: list[float], unit: str, **more: object
) -> None:
    """Print the last line: one JSON object with medians and the median ratio of the rounds."""
    result = {
        "name": name,
        "ours": round(median(ours), 3),
        "peer": round(median(peer), 3),
        "ratio": ratio(ours, peer),
        "unit": unit,
        **more,
    }
    print(json.dumps(result))
