"""Debezium's and Connect's properties that are no settings here, each with the reason. Pure.

Ignoring a property in silence is only right where events stay the same; what would change them
is refused, so that nobody finds out by the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Unused:
    """A property, or a family of them (`openlineage.*`), that the producer does not act on.

    A value among the accepted ones asks for what is done anyway; None accepts every value,
    with a line in the log.
    """

    name: str
    reason: str
    accepted: tuple[str, ...] | None = ()

    def matches(self, name: str) -> bool:
        """Tell whether this entry is about the property."""
        return name == self.name or (self.name.endswith("*") and name.startswith(self.name[:-1]))

    def accepts(self, value: str) -> bool:
        """Tell whether the value changes nothing."""
        if self.accepted is None or not value.strip():
            return True
        return value.strip().lower() in {accepted.lower() for accepted in self.accepted}


def ignored(reason: str, *names: str) -> Iterable[Unused]:
    """Return entries that accept every value."""
    return (Unused(name, reason, accepted=None) for name in names)


_RENAMED: Final = {
    "database.server.name": "topic.prefix",
    "schema.whitelist": "schema.include.list",
    "schema.blacklist": "schema.exclude.list",
    "table.whitelist": "table.include.list",
    "table.blacklist": "table.exclude.list",
    "column.whitelist": "column.include.list",
    "column.blacklist": "column.exclude.list",
    "toasted.value.placeholder": "unavailable.value.placeholder",
    "slot.drop_on_stop": "slot.drop.on.stop",
    "sanitize.field.names": "field.name.adjustment.mode",
    "event.deserialization.failure.handling.mode": "event.processing.failure.handling.mode",
}

_CODE = "it names Java code, which does not run here"
_NO_WORKER = "it belongs to the Connect worker, and there is none"
_WAITING = "there is no queue between threads that this could bound or pace"

REFUSED: Final = (
    *ignored(
        "moving the slot is one message, which the server does not answer",
        "lsn.flush.timeout.ms",
        "lsn.flush.timeout.action",
    ),
    *(
        Unused(old, f"Debezium has not read it since version 2; it is called {new}")
        for old, new in _RENAMED.items()
    ),
    Unused(
        "heartbeat.topics.prefix",
        "Debezium has not read it since version 2; it is called topic.heartbeat.prefix",
        ("__debezium-heartbeat",),
    ),
    Unused(
        "connector.class",
        "only the configuration of Debezium's PostgreSQL connector can be read",
        (
            "io.debezium.connector.postgresql.PostgresConnector",
            "PostgresConnector",
            "Postgres",
        ),
    ),
    Unused(
        "plugin.name",
        "changes are read through pgoutput alone: decoderbufs has to be installed on the server "
        "and carries less; leave the property out or set it to pgoutput",
        ("pgoutput",),
    ),
    Unused(
        "transforms*",
        "events are published as they are and leaving transformations out would change them; "
        "filter by the lists of tables and columns, and transform downstream",
    ),
    Unused(
        "event.processing.failure.handling.mode",
        "a change that cannot be made an event stops the producer: left out, it would be missing "
        "from the trail without a trace",
        ("fail",),
    ),
    Unused("predicates*", "it belongs to transforms, which are refused"),
    Unused(
        "converters",
        f"{_CODE}; the value modes and bemi.column.rules change values here",
    ),
    Unused(
        "post.processors",
        f"{_CODE}; for unchanged TOAST values set REPLICA IDENTITY FULL "
        "(replica.identity.autoset.values) in place of reselecting columns",
    ),
    Unused(
        "topic.naming.strategy",
        f"{_CODE}; topics are named as SchemaTopicNamingStrategy does",
        ("io.debezium.schema.SchemaTopicNamingStrategy",),
    ),
    Unused(
        "sourceinfo.struct.maker",
        f"{_CODE}; `source` is as the connector makes it by default",
        ("io.debezium.connector.postgresql.PostgresSourceInfoStructMaker",),
    ),
    Unused(
        "transaction.metadata.factory",
        f"{_CODE}; transactions are described as by default",
        ("io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory",),
    ),
    Unused(
        "database.sslfactory",
        f"{_CODE}; database.sslmode=require encrypts without checking the certificate, as "
        "NonValidatingFactory does",
    ),
    Unused(
        "database.connection.factory.class",
        f"{_CODE}; give the role a password or a client certificate",
    ),
    Unused("database.include.list", "one database is captured, database.dbname"),
    Unused("database.exclude.list", "one database is captured, database.dbname"),
    Unused("database.*", "it is no setting of the connection here; libpq is used, not pgjdbc"),
    Unused("driver.*", "it sets pgjdbc, and libpq is used"),
    Unused("snapshot.mode.custom.name", f"{_CODE}; snapshot.mode has five modes of its own"),
    Unused(
        "snapshot.mode.configuration.based.*",
        "the modes initial, always, initial_only, no_data and when_needed cover its combinations",
        ("false",),
    ),
    Unused(
        "snapshot.query.mode",
        f"{_CODE}; rows are chosen by snapshot.select.statement.overrides",
        ("select_all",),
    ),
    Unused("snapshot.query.mode.custom.name", _CODE),
    Unused("snapshot.locking.mode.custom.name", _CODE),
    Unused(
        "notification.enabled.channels",
        "the progress of snapshots is told in the log alone",
        ("log",),
    ),
    Unused(
        "include.schema.comments",
        "comments are not read; the schemas' `doc` would be filled with them",
        ("false",),
    ),
    Unused(
        "guardrail.collections.max",
        "the number of tables is not limited; choose them by table.include.list",
        ("0",),
    ),
    Unused(
        "queue.provider.type",
        "there is no queue between threads to put elsewhere",
        ("memory",),
    ),
    Unused(
        "exactly.once.support",
        "records are delivered at least once: at the same position a consumer sees the same "
        "`source.lsn` again, and the stages of this pipeline drop repetitions",
        ("requested",),
    ),
    Unused(
        "errors.tolerance",
        "a record that cannot be written stops the producer; leaving it out would lose a change",
        ("none",),
    ),
    Unused(
        "topic.creation.enable",
        "topics are made as topic.creation.* and the brokers say",
        ("true",),
    ),
    Unused(
        "header.converter",
        "headers are written as SimpleHeaderConverter does, Connect's default",
        ("org.apache.kafka.connect.storage.SimpleHeaderConverter",),
    ),
    Unused("header.converter.*", "SimpleHeaderConverter has no properties"),
    Unused("internal.*", "it is internal to Debezium"),
)

IGNORED: Final = (
    *ignored("the producer is one process with one reader", "tasks.max", "tasks.max.enforce"),
    *ignored("a label of the connector; topic.prefix names the events", "name"),
    *ignored(
        "all rows are read in one exported snapshot, which is as strict as any of its levels "
        "asks for",
        "snapshot.isolation.mode",
    ),
    *ignored(
        "a table's rows are streamed by COPY, without being fetched in parts",
        "snapshot.fetch.size",
    ),
    *ignored(
        "tables are cut into chunks by their pages, however many threads read them",
        "snapshot.max.threads.multiplier",
    ),
    *ignored(
        "tables are read in the order of their names; each one's topic is the same in any order",
        "snapshot.tables.order.by.row.count",
    ),
    *ignored(
        "the windows of an incremental snapshot close by positions in the log, without rows in "
        "the signal table",
        "incremental.snapshot.watermarking.strategy",
    ),
    *ignored(
        "a chunk whose table is altered meanwhile is always read again",
        "incremental.snapshot.allow.schema.changes",
    ),
    *ignored("the topic of signals is looked at without waiting", "signal.kafka.poll.timeout.ms"),
    *ignored("no notification is published", "notification.sink.topic.name"),
    *ignored(
        "it says when work is done, not what is published",
        "snapshot.delay.ms",
        "streaming.delay.ms",
        "legacy.snapshot.max.threads",
        "internal.legacy.snapshot.max.threads",
    ),
    *ignored(
        _WAITING,
        "max.batch.size",
        "max.queue.size",
        "poll.interval.ms",
        "poll.dispatch.interval.ms",
        "query.fetch.size",
        "topic.cache.size",
    ),
    *ignored(
        "a table's columns come with its changes, in the order of the changes",
        "schema.refresh.mode",
    ),
    *ignored(
        "it concerns the Java process",
        "executor.shutdown.timeout.ms",
        "statistics.metrics.enabled",
        "custom.metric.tags",
        "memory.management.*",
        "internal.advanced.metrics.enable",
        "guardrail.collections.limit.action",
    ),
    *ignored("signals are read by the producer's own Kafka settings", "signal.consumer.*"),
    *ignored("values of settings are never logged", "custom.sanitize.pattern"),
    *ignored("lineage is not reported", "openlineage.*"),
    *ignored(
        "the connector for PostgreSQL keeps no history of schemas",
        "include.schema.changes",
        "schema.history.internal*",
        "database.history*",
    ),
    *ignored(
        "the slot's position is always compared with the server's at the start",
        "internal.log.position.check.enable",
    ),
    *ignored(
        _NO_WORKER,
        "group.id",
        "config.storage.*",
        "status.storage.*",
        "offset.storage*",
        "offsets.storage.*",
        "offset.flush.timeout.ms",
        "plugin.*",
        "rest.*",
        "listeners*",
        "admin.listeners*",
        "access.control.*",
        "response.http.headers.config",
        "internal.key.converter*",
        "internal.value.converter*",
        "task.shutdown.graceful.timeout.ms",
        "topic.tracking.*",
        "connector.client.config.override.policy",
        "connector.plugin.version",
        "key.converter.plugin.version",
        "value.converter.plugin.version",
        "config.action.reload",
        "scheduled.rebalance.max.delay.ms",
        "worker.*",
        "metrics.*",
        "metric.reporters",
        "errors.retry.*",
        "errors.log.*",
        "transaction.boundary*",
        "exactly.once.source.support",
        "inter.worker.*",
        "session.timeout.ms",
        "rebalance.timeout.ms",
        "request.timeout.ms",
        "retry.backoff.*",
        "reconnect.backoff.*",
        "metadata.*",
        "connections.max.idle.ms",
        "socket.*",
        "send.buffer.bytes",
        "receive.buffer.bytes",
        "acks",
        "consumer.*",
        "admin.*",
        "connect.protocol",
    ),
)

UNUSED: Final = (*IGNORED, *REFUSED)


def find(name: str) -> Unused | None:
    """Return what is known of a property that is no setting; an exact name goes first."""
    exact = (entry for entry in UNUSED if entry.name == name)
    return next(exact, None) or next((entry for entry in UNUSED if entry.matches(name)), None)
