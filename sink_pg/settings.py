"""What the sink is told by its environment; nothing else here reads it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from runtime.destination import DestinationDatabase
from schemas.topics import Topics


class SinkSettings(DestinationDatabase):
    """Where changes are stored, and how many at a time."""

    own_prefixes: ClassVar[tuple[str, ...]] = (
        *DestinationDatabase.own_prefixes,
        "BEMI_CONFIRM_",
        "BEMI_SINK_",
        "BEMI_RETENTION_",
    )

    confirm_after: Literal["kafka", "sink"] = Field(
        "kafka",
        validation_alias="BEMI_CONFIRM_AFTER",
        description="What the producer has: with `sink` it keeps everything until it is stored, so "
        "a topic that was made anew is read from its beginning; with `kafka` that stops the sink, "
        "since changes may be missing.",
    )
    batch_rows: int = Field(
        5_000,
        validation_alias="BEMI_SINK_BATCH_ROWS",
        ge=1,
        le=1_000_000,
        description="Most records stored in one transaction.",
    )
    batch_bytes: int = Field(
        16 * 1024 * 1024,
        validation_alias="BEMI_SINK_BATCH_BYTES",
        ge=1,
        description="Bytes of records after which a transaction takes no more of them.",
    )
    batch_milliseconds: int = Field(
        20,
        validation_alias="BEMI_SINK_BATCH_MILLISECONDS",
        ge=0,
        le=60_000,
        description="Longest wait, in milliseconds, for more records before storing those read.",
    )
    fetch_bytes: int = Field(
        64 * 1024 * 1024,
        validation_alias="BEMI_SINK_FETCH_BYTES",
        ge=1024 * 1024,
        description="Bytes of records fetched ahead, over all partitions; bounds the memory.",
    )

    partition_by: Literal["day", "week", "month"] = Field(
        "month",
        validation_alias="BEMI_SINK_PARTITION_BY",
        description="What a new partition of `changes` holds: a day, week or month (UTC).",
    )
    gin_indexes: Literal["none", "closed", "all"] = Field(
        "none",
        validation_alias="BEMI_SINK_GIN_INDEXES",
        description="Where to build GIN indexes on `before`, `after` and `context`: nowhere, on"
        " partitions that get no more rows, or on all, which more than halves the rate of storing.",
    )
    retention_days: int | None = Field(
        None,
        validation_alias="BEMI_RETENTION_DAYS",
        ge=1,
        le=36_500,
        description="Age in days after which changes are removed; never where it is not set.",
    )

    seals: bool = Field(
        False,
        validation_alias="BEMI_SINK_SEALS",
        description=(
            "Whether each stored batch is sealed in a hash chain, which `bemi-sink verify --seals`"
            " checks. Once begun, leave it on: rows without a seal count as added by another."
        ),
    )

    @property
    def changes_group(self) -> str:
        """The consumer group: one for all sinks of a pipeline, so that they share it."""
        return Topics(self.topic_prefix).sink_group
