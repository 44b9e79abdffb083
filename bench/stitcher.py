"""`python -m bench stitcher`: stitch a prepared `.wal` with the worker and with a plain loop.

The plain loop calls the same pure functions between a consumer and a producer of
confluent-kafka and does nothing else, so the ratio is what groups, offsets, acknowledgement and
Faust cost. Two workers share the two partitions in turns of their own; what they reach together is
told beside one's, by the second half of the records, when each has its partition.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench import workload
from bench.contenders import make_slot
from bench.measure import (
    TIMEOUT_SECONDS,
    Drain,
    Usage,
    print_progress,
    print_result,
    print_table,
    ratio,
    usage_of,
    watch_topics,
)
from bench.servers import Servers, running_servers
from bench.stages import start_stage
from deploy.local.process import ChildProcess
from runtime.kafka_topics import TopicSpec, ensure_topics
from schemas.topics import Topics

PREFIX = "stitch"
PARTITIONS = 2
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those who take turns."""

    title: str
    processes: int = 1
    is_plain: bool = False


PLAIN = Contender("a plain loop", is_plain=True)
ONE = Contender("one worker")
TWO = Contender("two workers", processes=2)
CONTENDERS = (ONE, PLAIN, TWO)


def bench_stitcher(rows: int, rounds: int) -> None:
    """Measure and print."""
    drains: dict[Contender, list[Drain]] = {contender: [] for contender in CONTENDERS}
    with running_servers() as servers:
        changes = _write_wal(servers, rows)
        for number in range(rounds):
            for contender in CONTENDERS:
                drain = _turn(servers, contender, changes)
                drains[contender].append(drain)
                print_progress(
                    f"round {number + 1}, {contender.title}: "
                    f"{drain.records_per_second:.0f} changes/s"
                )
    print_table(
        f"{changes} changes of `.wal` in transactions of ten, medians of {rounds}",
        ["", "changes/s", "of the 2nd half", "CPU us/change", "peak memory MB"],
        [
            [
                contender.title,
                f"{median(drain.records_per_second for drain in of):.0f}",
                f"{median(drain.late_records_per_second for drain in of):.0f}",
                f"{median(drain.cpu_us_per_record for drain in of):.1f}",
                f"{median(drain.peak_memory_bytes for drain in of) / 1e6:.0f}",
            ]
            for contender, of in drains.items()
        ],
    )
    late = {c: [drain.late_records_per_second for drain in of] for c, of in drains.items()}
    cpu = {c: [drain.cpu_us_per_record for drain in of] for c, of in drains.items()}
    print_result(
        "stitcher",
        [drain.records_per_second for drain in drains[ONE]],
        [drain.records_per_second for drain in drains[PLAIN]],
        "changes/s",
        per_core_ratio=ratio(cpu[PLAIN], cpu[ONE]),
        two_workers_ratio=ratio(late[TWO], late[ONE]),
    )


def _write_wal(servers: Servers, rows: int) -> int:
    """Fill `.wal` by the producer, and return how many changes it holds."""
    topics = Topics(PREFIX)
    with servers.connect() as connection:
        workload.create(connection)
        make_slot(servers, PREFIX)
        backlog = workload.write(connection, rows)
    environ = {
        **servers.environ,
        "BEMI_TOPIC_PREFIX": PREFIX,
        "BEMI_PRODUCER_SLOT_NAME": PREFIX,
        "BEMI_PRODUCER_PUBLICATION_NAME": "bench",
        "BEMI_PRODUCER_PUBLISH_TABLES": "false",
        "BEMI_PRODUCER_WAL_PARTITIONS": str(PARTITIONS),
    }
    producer = start_stage(servers, "producer", ["bemi-producer"], environ)
    try:
        expected = {topics.wal: backlog.records(topics, with_wal=True)[topics.wal]}
        watch_topics(servers.admin(), expected, time.monotonic())
    finally:
        producer.stop()
    return backlog.changes


def _turn(servers: Servers, contender: Contender, changes: int) -> Drain:
    admin = servers.admin()
    topic = f"{PREFIX}.plain" if contender.is_plain else Topics(PREFIX).changes
    with _running(servers, admin, contender, topic) as processes:
        # By another client: this one still knows the topic of the turn before.
        return watch_topics(
            servers.admin(), {topic: changes}, time.monotonic(), lambda: _usage(processes)
        )


@contextmanager
def _running(
    servers: Servers, admin: AdminClient, contender: Contender, topic: str
) -> Iterator[list[ChildProcess]]:
    _delete(admin, topic)
    argv, environ = ["bemi-stitcher"], {**servers.environ, "BEMI_TOPIC_PREFIX": PREFIX}
    if contender.is_plain:
        ensure_topics(admin, [TopicSpec(topic, PARTITIONS)])
        brokers = servers.kafka.bootstrap_servers
        argv = [sys.executable, "-m", "bench.plain_stitcher", brokers, Topics(PREFIX).wal, topic]
    with ExitStack() as stack:
        processes = []
        for number in range(contender.processes):
            process = start_stage(servers, f"stitcher{number}", argv, environ)
            stack.callback(process.kill if contender.is_plain else process.stop)
            processes.append(process)
        yield processes
    if not contender.is_plain:
        # The next worker is to begin at the beginning.
        _until(lambda: _is_forgotten(admin, f"{PREFIX}.stitcher"))


def _usage(processes: list[ChildProcess]) -> Usage:
    for process in processes:
        if not process.is_running:
            raise RuntimeError(f"{process.name} has ended; its log ends:\n{process.tail()}")
    used = [usage_of(process.pid) for process in processes]
    return Usage(
        sum(each.cpu_seconds for each in used), sum(each.peak_memory_bytes for each in used)
    )


def _delete(admin: AdminClient, topic: str) -> None:
    if topic in admin.list_topics(timeout=10).topics:
        admin.delete_topics([topic])[topic].result()
        _until(lambda: topic not in admin.list_topics(timeout=10).topics)


def _is_forgotten(admin: AdminClient, group: str) -> bool:
    try:
        admin.delete_consumer_groups([group])[group].result()
    except KafkaException:
        return False  # Its members have not left yet.
    return True


def _until(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError("the brokers did not do what was asked")
        time.sleep(POLL_SECONDS)
