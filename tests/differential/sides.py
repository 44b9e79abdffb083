"""Run SQL while Debezium and the producer read the same database, then take their topics. Edge.

Each configuration has a pair: a connector in the worker and a process of the producer, with
slots of the same start and topic prefixes of the same length. A message through the WAL, the
barrier, tells when both have come as far as the SQL.
"""

from __future__ import annotations

import functools
import subprocess
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local.debezium import LocalDebezium, properties_text
from deploy.local.process import CannotStart
from runtime.kafka_topics import TopicSpec, ensure_topics
from tests.differential.avro import AvroReader
from tests.differential.column_kinds import OPTIONAL_EXTENSIONS, SETUP
from tests.differential.comparison import RECORD, Difference, compare_topics
from tests.differential.configurations import Configuration
from tests.differential.records import Record, new_consumer, read_topics, topics_with
from tests.differential.script import StatementLog, Step
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, plain_environ

PRODUCER = ("bemi-producer",)
BARRIER = "differential.barrier"
BARRIER_SECONDS = 120.0
READY_SECONDS = 60.0


@dataclass(slots=True)
class Pair:
    """Both sides of one configuration."""

    configuration: Configuration
    prefix: str
    process: StageProcess
    barriers: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Why a side ended before the SQL did, by the side's name."""

    @property
    def prefixes(self) -> tuple[str, str]:
        """Return the topic prefixes of Debezium and of the producer."""
        return f"{self.prefix}d", f"{self.prefix}o"

    @property
    def is_waited_for(self) -> bool:
        """Tell whether both sides still run."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one configuration."""

    configuration: Configuration
    differences: Sequence[Difference]
    failures: dict[str, str]
    records: int
    """How many records of Debezium's were compared."""
    statements: StatementLog


class SideBySide:
    """A database with a pair of readers for each configuration."""

    def __init__(
        self,
        database: Database,
        bootstrap_servers: str,
        worker: LocalDebezium,
        folder: Path,
        configurations: Sequence[Configuration],
        *,
        producer: Sequence[str] = PRODUCER,
        registry_url: str | None = None,
    ) -> None:
        self._database = database
        self._producer = tuple(producer)
        self._avro = None if registry_url is None else AvroReader(registry_url)
        self._servers = bootstrap_servers
        self._worker = worker
        self._folder = folder
        run = uuid.uuid4().hex[:6]
        self.pairs = [
            self._pair(configuration, f"run{run}n{number:02d}")
            for number, configuration in enumerate(configurations)
        ]
        self.statements = StatementLog()
        self.errors: list[tuple[str, str]] = []
        """Statements that PostgreSQL refused, and why."""
        self._barriers = 0
        self._connectors: list[str] = []
        self._connection = database.connect()
        self._consumer = new_consumer(bootstrap_servers)

    def start(self) -> None:
        """Start everything; returns when both sides of each configuration read their slots."""
        self._connection.execute("CREATE PUBLICATION differential FOR ALL TABLES")
        topics = [f"{prefix}.message" for pair in self.pairs for prefix in pair.prefixes]
        ensure_topics(
            AdminClient({"bootstrap.servers": self._servers}),
            [TopicSpec(topic, partitions=1) for topic in topics],
        )
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in topics])
        slots: list[str] = []
        for pair in self.pairs:
            slots += pair.prefixes
            if not pair.configuration.takes_snapshot:
                for slot in pair.prefixes:
                    self._connection.execute(
                        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot]
                    )
        for pair in self.pairs:
            pair.process.start()
        for pair in self.pairs:
            self._connectors.append(pair.prefixes[0])
            try:
                self._worker.add(self._properties(pair.configuration, pair.prefixes[0]))
            except CannotStart as error:
                pair.failures["debezium"] = str(error)
        self._wait_for_slots(slots)
        self.barrier()

    def prepare(self, steps: Iterable[Step]) -> None:
        """Run the steps before anybody reads, for a snapshot to find what they leave."""
        for step in steps:
            self._execute(step.sql)

    def run(self, steps: Iterable[Step], until: float | None = None) -> int:
        """Run the steps, those left out that come after the time; return how many were run.

        A statement that PostgreSQL refuses is noted and the next one is run.
        """
        count = 0
        was_change = False
        for step in steps:
            if until is not None and time.monotonic() > until:
                break
            if step.changes_schema and not was_change:
                self.barrier()
            was_change = step.changes_schema
            self._execute(step.sql)
            count += 1
        return count

    def barrier(self) -> None:
        """Return when all that still run have published everything up to here."""
        self._barriers += 1
        self._connection.execute(
            "SELECT pg_logical_emit_message(true, %s, %s)", [BARRIER, str(self._barriers)]
        )
        deadline = time.monotonic() + BARRIER_SECONDS
        checked = time.monotonic()
        while waiting := self._behind():
            message = self._consumer.poll(0.05)
            if message is not None and message.error() is None:
                self._count(str(message.topic()).partition(".")[0], message.key() or b"")
            if time.monotonic() - checked > 1.0:
                checked = time.monotonic()
                self._look_for_failures(waiting)
                if checked > deadline:
                    for pair, side in waiting:
                        pair.failures[side] = f"did not reach barrier {self._barriers} in time"

    def counts(self, table: str) -> list[int]:
        """Return how many records each side has written to the table's topic by now."""
        topics = [f"{prefix}.{table}" for pair in self.pairs for prefix in pair.prefixes]
        known = {name for pair in self.pairs for name in topics_with(self._servers, pair.prefix)}
        found = read_topics(self._servers, [topic for topic in topics if topic in known])
        return [len(found.get(topic, ())) for topic in topics]

    def finish(self) -> Iterator[Outcome]:
        """Stop both sides and yield what each configuration came to."""
        if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self._connection.execute("ROLLBACK")
        # What was sent before the first is stored when the second is: requests keep order.
        self.barrier()
        self.barrier()
        self._stop()
        for pair in self.pairs:
            theirs, mine = (self._topics(prefix) for prefix in pair.prefixes)
            found = list(compare_topics(theirs, mine, pair.prefixes))
            if pair.failures:
                # What a side that ended did not write any more says nothing of its own.
                found = [difference for difference in found if difference.path != RECORD]
            yield Outcome(
                pair.configuration,
                found,
                pair.failures,
                sum(map(len, theirs.values())),
                self.statements,
            )

    def _topics(self, prefix: str) -> dict[str, list[Record]]:
        topics = read_topics(self._servers, topics_with(self._servers, prefix))
        if self._avro is None:
            return topics
        return {
            topic: [self._avro.readable(record) for record in records]
            for topic, records in topics.items()
        }

    def close(self) -> None:
        """Let go of everything; the database's slots go with it."""
        self._stop()
        self._consumer.close()
        self._connection.close()

    def _stop(self) -> None:
        for pair in self.pairs:
            pair.process.terminate()
        for name in self._connectors:
            self._worker.remove(name)
        self._connectors.clear()
        for pair in self.pairs:
            pair.process.stop()

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement.encode())
        except psycopg.Error as error:
            self.errors.append((statement, str(error)))
        if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            row = self._connection.execute(
                "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
            ).fetchone()
            assert row is not None
            self.statements.add(statement, int(str(row[0])))

    def _pair(self, configuration: Configuration, prefix: str) -> Pair:
        own_prefix = f"{prefix}o"
        properties = self._properties(configuration, own_prefix)
        environ = {"BEMI_KAFKA_BOOTSTRAP_SERVERS": self._servers}
        argv = self._producer
        if takes_configuration_file(argv):
            path = self._folder / f"{own_prefix}.properties"
            path.touch(mode=0o600)
            path.write_text(properties_text(properties))
            argv = (*argv, "--config", str(path))
        else:
            environ |= self._database.environ | _as_environment(properties)
        log_path = self._folder / f"{own_prefix}.log"
        process = StageProcess(own_prefix, argv, plain_environ() | environ, log_path)
        return Pair(configuration, prefix, process)

    def _properties(self, configuration: Configuration, prefix: str) -> dict[str, str]:
        environ = self._database.environ
        return {
            **configuration.properties,
            "name": prefix,
            "topic.prefix": prefix,
            "slot.name": prefix,
            "database.hostname": environ["DB_HOST"],
            "database.port": environ["DB_PORT"],
            "database.dbname": environ["DB_NAME"],
            "database.user": environ["DB_USER"],
            "database.password": environ["DB_PASSWORD"],
        }

    def _wait_for_slots(self, slots: Sequence[str]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        query = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = ANY(%s) AND active"
        while True:
            row = self._connection.execute(query, [list(slots)]).fetchone()
            ended = [(p, s) for p in self.pairs for s in ("debezium", "ours")]
            self._look_for_failures(ended)
            failed = sum(len(pair.failures) for pair in self.pairs)
            assert row is not None
            if int(str(row[0])) + failed >= len(slots):
                return
            assert time.monotonic() < deadline, f"only {row[0]} of {len(slots)} slots are read"
            time.sleep(0.05)

    def _behind(self) -> list[tuple[Pair, str]]:
        return [
            (pair, side)
            for pair in self.pairs
            if pair.is_waited_for
            for side, prefix in zip(("debezium", "ours"), pair.prefixes, strict=True)
            if pair.barriers.get(prefix, 0) < self._barriers
        ]

    def _count(self, prefix: str, key: str | bytes) -> None:
        content = key.encode() if isinstance(key, str) else key
        if BARRIER.encode() in content:
            for pair in self.pairs:
                if prefix in pair.prefixes:
                    pair.barriers[prefix] = pair.barriers.get(prefix, 0) + 1

    def _look_for_failures(self, waiting: Iterable[tuple[Pair, str]]) -> None:
        for pair, side in waiting:
            if side in pair.failures:
                continue
            if side == "ours" and not pair.process.is_running:
                pair.failures[side] = pair.process.tail(3)
            if side == "debezium" and (trace := self._worker.failure(pair.prefixes[0])):
                pair.failures[side] = _causes(trace)


@contextmanager
def side_by_side(
    database: Database,
    bootstrap_servers: str,
    worker: LocalDebezium,
    folder: Path,
    configurations: Sequence[Configuration],
    *,
    producer: Sequence[str] = PRODUCER,
    registry_url: str | None = None,
) -> Iterator[SideBySide]:
    """Make the sides, not started yet, and close them in the end."""
    sides = SideBySide(
        database,
        bootstrap_servers,
        worker,
        folder,
        configurations,
        producer=producer,
        registry_url=registry_url,
    )
    try:
        yield sides
    finally:
        sides.close()


def install(database: Database) -> set[str]:
    """Make the types the kinds need; return the optional extensions that there are."""
    available = set()
    with closing(database.connect()) as connection:
        for extension in OPTIONAL_EXTENSIONS:
            try:
                connection.execute(f"CREATE EXTENSION {extension}")
            except psycopg.errors.FeatureNotSupported:
                continue
            available.add(extension)
        for statement in SETUP:
            connection.execute(statement)
    return available


@functools.cache
def takes_configuration_file(producer: tuple[str, ...]) -> bool:
    """Tell whether the producer reads a Debezium configuration."""
    shown = subprocess.run(
        [*producer, "--help"],
        env=plain_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    return "--config" in shown.stdout


def _causes(trace: str) -> str:
    """Return what a Java trace says without where it happened, but for the last cause."""
    lines = trace.splitlines()
    causes = [number for number, line in enumerate(lines) if not line.startswith("\t")]
    last = causes[-1] if causes else 0
    return "\n".join([*(lines[number] for number in causes), *lines[last + 1 : last + 6]])


def _as_environment(properties: dict[str, str]) -> dict[str, str]:
    """Return the settings of the environment for the few properties that have some."""
    return {
        "BEMI_TOPIC_PREFIX": properties["topic.prefix"],
        "BEMI_PRODUCER_SLOT_NAME": properties["slot.name"],
        "BEMI_PRODUCER_PUBLICATION_NAME": properties["publication.name"],
        "BEMI_PRODUCER_PUBLISH_WAL": "false",
        "BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS": "0",
        "BEMI_PRODUCER_TOMBSTONES_ON_DELETE": properties.get("tombstones.on.delete", "true"),
        "BEMI_PRODUCER_PROVIDE_TRANSACTION_METADATA": properties.get(
            "provide.transaction.metadata", "false"
        ),
    }
