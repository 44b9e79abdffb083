"""The producer's settings; `docs/settings.md` is made from them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runtime.settings import SourceDatabase


class ProducerSettings(SourceDatabase):
    """What the producer is told by its environment."""

    own_prefixes: ClassVar[tuple[str, ...]] = (*SourceDatabase.own_prefixes, "BEMI_PRODUCER_")

    slot_name: str = Field(
        "bemi",
        validation_alias="BEMI_PRODUCER_SLOT_NAME",
        pattern="^[a-z0-9_]{1,63}$",
        description="Replication slot; made once, never dropped (Debezium's slot.name).",
    )
    publication_name: str = Field(
        "bemi",
        validation_alias="BEMI_PRODUCER_PUBLICATION_NAME",
        min_length=1,
        max_length=63,
        description="Publication of all tables; made once (Debezium's publication.name).",
    )
    wal_partitions: int = Field(
        4,
        validation_alias="BEMI_PRODUCER_WAL_PARTITIONS",
        ge=1,
        le=1000,
        description="Partitions of `.wal` when it is made: the most stitchers and sinks at work.",
    )
    publish_tables: bool = Field(
        True,
        validation_alias="BEMI_PRODUCER_PUBLISH_TABLES",
        description="Publish Debezium's topics: tables, `.message`, `.transaction`.",
    )
    publish_wal: bool = Field(
        True,
        validation_alias="BEMI_PRODUCER_PUBLISH_WAL",
        description="Publish `.wal`, which the stitcher reads.",
    )
    tombstones_on_delete: bool = Field(
        True,
        validation_alias="BEMI_PRODUCER_TOMBSTONES_ON_DELETE",
        description="Follow each delete by a tombstone (Debezium's tombstones.on.delete).",
    )
    transaction_metadata: bool = Field(
        True,
        validation_alias="BEMI_PRODUCER_TRANSACTION_METADATA",
        description="Publish `.transaction` and fill each event's `transaction` block "
        "(Debezium's provide.transaction.metadata).",
    )
    status_interval_seconds: float = Field(
        10.0,
        validation_alias="BEMI_PRODUCER_STATUS_INTERVAL_SECONDS",
        gt=0,
        le=60,
        description="Longest time between two reports to the server, in seconds.",
    )
    heartbeat_interval_seconds: float = Field(
        10.0,
        validation_alias="BEMI_PRODUCER_HEARTBEAT_INTERVAL_SECONDS",
        ge=0,
        description="Time between heartbeats through the WAL, in seconds; 0 sends none.",
    )
    linger_ms: float = Field(
        5.0,
        validation_alias="BEMI_PRODUCER_LINGER_MS",
        ge=0,
        description="How long a record may wait for others to share a request, in milliseconds.",
    )
    compression_type: str = Field(
        "lz4",
        validation_alias="BEMI_PRODUCER_COMPRESSION_TYPE",
        pattern="^(none|gzip|snappy|lz4|zstd)$",
        description="Compression of record batches.",
    )
    accept_gap: bool = Field(
        False,
        validation_alias="BEMI_PRODUCER_ACCEPT_GAP",
        description="Make a new slot although changes since the lost one are missing.",
    )
