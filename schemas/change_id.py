"""The identity of a change: which source, which transaction, which message in it.

(source id, commit LSN, ordinal) names a change for ever. The row's own LSN does not: the
rows of a COPY or a multi-row INSERT share it. The transaction id does not either: it wraps.

The ordinal counts every decoded message of a transaction, before any filter of ours, so
PostgreSQL sending a transaction again after a crash gives the same ordinals again.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NewType
from uuid import UUID

Lsn = NewType("Lsn", int)
"""A position in the write-ahead log, in bytes from its beginning."""

Xid = NewType("Xid", int)
"""A transaction id as pgoutput gives it: 32 bits, reused after a wrap."""

_LOW_BITS = 62
_LOW_MASK = (1 << _LOW_BITS) - 1


def format_lsn(lsn: int) -> str:
    """Return the position as PostgreSQL writes it: two hexadecimal halves."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> Lsn:
    """Return the position PostgreSQL wrote as `16/B374D848`.

    Raises ValueError on any other form.
    """
    high, _, low = text.partition("/")
    return Lsn((int(high, 16) << 32) | int(low, 16))


TOPIC_ID_LENGTH: Final = 8
"""How much of a topic's id is told with each record: 48 bits tell it from its namesakes."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch of history in which (commit LSN, ordinal) only grows in each partition.

    A restored server, a promoted standby, another slot, another partition count of `.wal` or
    topics that were made anew begin a new one. Positions are compared within one epoch only;
    across epochs the change's id decides.
    """

    system_identifier: int
    timeline: int
    wal_partitions: int
    slot_name: str
    database: str
    topics: str = ""
    """The beginning of the id that Kafka gave `.wal` when it was made, and of that of `.changes`
    where the slot waits for the sink."""

    @property
    def wal_topic(self) -> str:
        """Which topic of the name `.wal` it is of; "" where that is not known."""
        return self.topics[:TOPIC_ID_LENGTH]

    @property
    def source_id(self) -> str:
        """The part that names the source for ever: its system identifier and database."""
        return f"{self.system_identifier}.{self.database}"

    def __str__(self) -> str:
        wal = f"{self.wal_partitions}-{self.topics}" if self.topics else self.wal_partitions
        return f"{self.system_identifier}.{self.timeline}.{wal}.{self.slot_name}.{self.database}"

    @classmethod
    def parse(cls, text: str) -> Epoch:
        """Read the form that `str()` writes; a slot name has no dot, a database may.

        Raises ValueError on any other form.
        """
        parts = text.split(".", 4)
        if len(parts) != 5:
            raise ValueError(f"not an epoch: {text!r}")
        system_identifier, timeline, wal, slot_name, database = parts
        # Ids may hold a `-`, too, as no number does.
        wal_partitions, _, topics = wal.partition("-")
        return cls(
            int(system_identifier),
            int(timeline),
            int(wal_partitions),
            slot_name,
            database,
            topics,
        )


def connector_epoch(name: str, database: str, wal_partitions: int) -> Epoch:
    """Return the epoch of a Debezium connector's stream, made of what the connector is called.

    It tells neither server nor timeline.
    """
    # The slot's part of an epoch has no dot.
    return Epoch(0, 0, wal_partitions, name.replace(".", "_"), database)


def transaction_seed(source_id: str, commit_lsn: int, commit_time_us: int) -> int:
    """Return the part of a change's id that its whole transaction shares.

    Time comes first (milliseconds, then microseconds), so the ids of later transactions
    sort later; the rest is a hash of source and commit LSN. Computed once a transaction,
    then handed to `change_uuid` with each ordinal.
    """
    milliseconds, microseconds = divmod(commit_time_us, 1000)
    digest = blake2b(f"{source_id}/{commit_lsn}".encode(), digest_size=8).digest()
    return (
        ((milliseconds & 0xFFFFFFFFFFFF) << 80)
        | (0x8 << 76)  # Version 8: custom (RFC 9562, section 5.8).
        | (microseconds << 64)
        | (0b10 << _LOW_BITS)  # The RFC's variant.
        | (int.from_bytes(digest, "big") & _LOW_MASK)
    )


def change_uuid(seed: int, ordinal: int) -> UUID:
    """Return the id of one change: the same in every replay, distinct within a transaction."""
    low = (seed + ordinal) & _LOW_MASK
    return UUID(int=(seed & ~_LOW_MASK) | low)
