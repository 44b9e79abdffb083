"""Names of topics and headers, and the partition of a transaction.

A topic's name may hold only letters, digits, `.`, `_` and `-` and 249 characters, so a
table's name is made to fit as Debezium does it: anything else becomes `_`. Two tables may
then share a topic; the event's `source` still names the table exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_TOPIC_LENGTH = 249
_INVALID = re.compile(r"[^A-Za-z0-9._-]")

CONTEXT_PREFIX = "_bemi"
"""The prefix of the logical messages that carry the context of what follows them."""

HEARTBEAT_PREFIX = "_bemi_heartbeat"
"""The prefix of the producer's own messages; they say only that time passes."""

SNAPSHOT_PREFIX = "_bemi_snapshot"
"""The prefix of the messages that only move the log on while tables are read."""

GAP_PREFIX = "_bemi_gap"
"""The prefix of the messages that tell of a gap: a stretch of the source's log that is missing."""

MESSAGES_COLLECTION = "LOGICAL_DECODING_MESSAGE"
"""Under which END counts logical messages among the tables, as Debezium does."""

OWN_TABLES = frozenset(
    {
        "changes",
        "bemi_sink_progress",
        "bemi_dead_letters",
        "bemi_migrations",
        "bemi_seals",
        "bemi_erasures",
        "bemi_erased_changes",
    }
)
"""The sink's tables. Changes to them are never captured, or the trail would track itself."""

OWN_SCHEMA = "public"
"""Where the sink's tables are; tables of these names in other schemas are the application's."""

OWN_PARTITION_PREFIX = "bemi_changes_"
"""What the name of each partition of `changes` begins with."""

HEADER_EPOCH = "epoch"
HEADER_COMMIT_LSN = "commit_lsn"
HEADER_ORDINAL = "ordinal"

Headers = list[tuple[str, bytes]]


def is_own_table(table: str) -> bool:
    """Return whether the table, or partition, is the sink's.

    By its name alone, so it also holds for a partition that was dropped since.
    """
    return table in OWN_TABLES or table.startswith(OWN_PARTITION_PREFIX)


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one pipeline, all under one prefix.

    What else may differ is Debezium's: topic.delimiter, topic.transaction,
    topic.heartbeat.prefix and topic.heartbeat.name.
    """

    prefix: str
    delimiter: str = "."
    transaction_name: str = "transaction"
    heartbeat_prefix: str = "__debezium-heartbeat"
    heartbeat_name: str = ""

    def table(self, pg_schema: str, table: str) -> str:
        """Return the topic of a table's events: `{prefix}.{schema}.{table}`, made to fit."""
        name = self.delimiter.join((self.prefix, pg_schema, table))
        return _INVALID.sub("_", name)[:MAX_TOPIC_LENGTH]

    @property
    def message(self) -> str:
        """The topic of logical messages."""
        return f"{self.prefix}.message"

    @property
    def transaction(self) -> str:
        """The topic of transaction metadata: BEGIN and END."""
        return f"{self.prefix}{self.delimiter}{self.transaction_name}"

    @property
    def heartbeat(self) -> str:
        """The topic of heartbeats."""
        return self.heartbeat_name or f"{self.heartbeat_prefix}{self.delimiter}{self.prefix}"

    @property
    def wal(self) -> str:
        """The topic of everything once more, in WAL order, a transaction in one partition."""
        return f"{self.prefix}.wal"

    @property
    def producer_offsets(self) -> str:
        """The topic in which the producer keeps where it stands."""
        return f"{self.prefix}.producer-offsets"

    @property
    def changes(self) -> str:
        """The topic of stitched changes."""
        return f"{self.prefix}.changes"

    @property
    def stitcher_group(self) -> str:
        """The consumer group of the stitchers; what it has committed in `.wal` is stitched."""
        return f"{self.prefix}.stitcher"

    @property
    def sink_group(self) -> str:
        """The consumer group of the sinks; what it has committed in `.changes` is stored."""
        return f"{self.prefix}-sink"

    @property
    def left_out(self) -> str:
        """The topic that says which changes a rule or a hook left out of `.changes`."""
        return f"{self.prefix}.left-out"

    @property
    def erasures(self) -> str:
        """The topic that says which changes were erased, so that they are not stored again."""
        return f"{self.prefix}.erasures"

    @property
    def dead_letters(self) -> str:
        """The topic of records that a stage could not understand."""
        return f"{self.prefix}.dead-letters"


def transaction_partition(xid: int, partitions: int) -> int:
    """Return the partition of `.wal` that holds the whole transaction.

    A function of the id alone: PostgreSQL sending the transaction again lands it where it
    was. Ids are handed out in sequence, so the remainder spreads them evenly.
    """
    return xid % partitions


def wal_headers(epoch: bytes, commit_lsn: int, ordinal: int | None = None) -> Headers:
    """Return the headers of one record of `.wal`.

    The ordinal is absent on BEGIN; on END it is the number of messages decoded.
    """
    headers = [(HEADER_EPOCH, epoch), (HEADER_COMMIT_LSN, b"%d" % commit_lsn)]
    if ordinal is not None:
        headers.append(ordinal_header(ordinal))
    return headers


def ordinal_header(ordinal: int) -> tuple[str, bytes]:
    """Return the one header in which the records of a transaction differ."""
    return (HEADER_ORDINAL, b"%d" % ordinal)
