"""Debezium's connector set to write what ours writes: same topics, same value modes."""

from __future__ import annotations

from bench.servers import DATABASE, Servers
from deploy.local.debezium import LocalDebezium

TUNED_CONNECTOR = {
    "max.batch.size": "20480",
    "max.queue.size": "81920",
    "producer.override.compression.type": "lz4",
    "producer.override.linger.ms": "20",
    "producer.override.batch.size": "524288",
}


def debezium(servers: Servers, prefix: str, slot_name: str, extra: dict[str, str]) -> LocalDebezium:
    """Return a worker, not started, that reads the slot into topics under the prefix."""
    return LocalDebezium(
        servers.folder / prefix,
        servers.kafka.bootstrap_servers,
        {
            "name": prefix,
            "plugin.name": "pgoutput",
            "database.hostname": servers.postgres.host,
            "database.port": str(servers.postgres.port),
            "database.user": servers.postgres.user,
            "database.password": servers.postgres.password,
            "database.dbname": DATABASE,
            "topic.prefix": prefix,
            "slot.name": slot_name,
            "publication.name": "bench",
            "publication.autocreate.mode": "disabled",
            "snapshot.mode": "no_data",
            "provide.transaction.metadata": "true",
            "decimal.handling.mode": "string",
            "time.precision.mode": "isostring",
            "binary.handling.mode": "base64",
            "skipped.operations": "none",
            # Four more headers on each record, which ours does not write.
            "extended.headers.enabled": "false",
            "topic.creation.default.replication.factor": "1",
            "topic.creation.default.partitions": "1",
            **extra,
        },
        {"connector.client.config.override.policy": "All"},
    )
