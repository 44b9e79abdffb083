"""The servers a bench runs on: PostgreSQL and Kafka of its own, gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres

DATABASE = "bench"
# Durable as installed, but for what lets a bench read the time of any commit.
POSTGRES_SETTINGS = {
    "track_commit_timestamp": "on",
    "max_wal_size": "8GB",
    "shared_buffers": "256MB",
    "max_replication_slots": "50",
}
WARM_UP_RECORDS = 300_000
WARM_UP_TOPIC = "warm-up"
WARM_UP_COMPRESSIONS = ("none", "lz4", "lz4")


@dataclass(frozen=True)
class Servers:
    """Running servers and the environment that leads the stages to them."""

    folder: Path
    postgres: LocalPostgres
    kafka: LocalKafka

    @property
    def dsn(self) -> str:
        """libpq's address of the bench's database."""
        return self.postgres.dsn(DATABASE)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection in autocommit mode."""
        return psycopg.connect(self.dsn, autocommit=True)

    def admin(self) -> AdminClient:
        """Return a client that looks at topics."""
        # It may live a little longer than the broker, and is not to complain of that.
        return AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 2})

    @property
    def environ(self) -> dict[str, str]:
        """What a stage needs to find both."""
        return {
            **postgres_environ(self.postgres),
            "BEMI_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
        }


def postgres_environ(postgres: LocalPostgres) -> dict[str, str]:
    """Return what a stage needs to find the server's database."""
    return {
        "DB_HOST": postgres.host,
        "DB_PORT": str(postgres.port),
        "DB_NAME": DATABASE,
        "DB_USER": postgres.user,
        "DB_PASSWORD": postgres.password,
    }


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both in a temporary folder and remove everything in the end."""
    with running_postgres() as (folder, postgres):
        kafka = LocalKafka(folder / "kafka", free_port())
        try:
            kafka.start()
            _warm_up(kafka)
            yield Servers(folder, postgres, kafka)
        finally:
            kafka.kill()


def _warm_up(kafka: LocalKafka) -> None:
    """Let the broker's virtual machine compile what it runs most: the first turns paid for it.

    Plain batches and compressed ones go different ways there. The same contender made 48,300
    changes/s in the first turn of a run and 85,200 in a later one; with plain batches alone it was
    25,600 and 34,500 of another workload.
    """
    servers = kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 2})
    admin.create_topics([NewTopic(WARM_UP_TOPIC, 4)])[WARM_UP_TOPIC].result()
    for compression in WARM_UP_COMPRESSIONS:
        producer = Producer(
            {
                "bootstrap.servers": servers,
                "log_level": 2,
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": compression,
            }
        )
        for number in range(WARM_UP_RECORDS):
            producer.poll(0)
            while True:
                try:
                    producer.produce(WARM_UP_TOPIC, b"%0400d" % number, b"%d" % number)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
        producer.flush()
    admin.delete_topics([WARM_UP_TOPIC])[WARM_UP_TOPIC].result()


@contextmanager
def running_postgres(
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[Path, LocalPostgres]]:
    """Start PostgreSQL alone, with more settings; the folder is for what belongs to the bench."""
    with tempfile.TemporaryDirectory(prefix="bemi-bench-") as name:
        folder = Path(name)
        # PostgreSQL may run as another user, who must be able to pass.
        folder.chmod(0o755)
        postgres = LocalPostgres(
            folder / "postgres", free_port(), settings=POSTGRES_SETTINGS | dict(settings or {})
        )
        try:
            postgres.start()
            postgres.ensure_database(DATABASE)
            yield folder, postgres
        finally:
            postgres.kill()
