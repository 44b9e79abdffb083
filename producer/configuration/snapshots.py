"""Settings of snapshots and of the signals that ask for them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from producer.configuration.property import (
    Count,
    Expressions,
    Flag,
    Named,
    Property,
    Word,
    Words,
    each_of,
)
from runtime.settings import StageSettings


class SnapshotSettings(StageSettings):
    """Whether and how the rows that exist already are published."""

    snapshot_mode: Annotated[
        Literal["initial", "always", "initial_only", "no_data", "when_needed"],
        Word,
        Property("snapshot.mode", debezium="initial"),
    ] = Field(
        "no_data",
        description="`initial`, when there is no position yet; `always`, at each start; "
        "`initial_only`, then end; `no_data`, never; `when_needed`, also when the position cannot "
        "be read any more.",
    )
    snapshot_locking_mode: Annotated[
        Literal["none", "shared"], Word, Property("snapshot.locking.mode")
    ] = Field("none", description="`shared` keeps tables from being altered while they are read.")
    snapshot_lock_timeout_ms: Annotated[Count, Property("snapshot.lock.timeout.ms")] = Field(
        10_000, ge=0, description="How long to wait for these locks, in milliseconds."
    )
    snapshot_include_collection_list: Annotated[
        Expressions, Property("snapshot.include.collection.list")
    ] = Field(
        (),
        description="Expressions of the tables to take a snapshot of, `schema.table`; all the "
        "captured ones when empty.",
    )
    snapshot_select_statement_overrides: Annotated[
        Named, Property("snapshot.select.statement.overrides")
    ] = Field(
        {},
        description="What to read of a table in place of all its rows. A file has Debezium's "
        "properties; in the environment it is a JSON object: "
        '`{"public.orders": "SELECT * FROM public.orders WHERE NOT deleted"}`.',
    )
    snapshot_max_threads: Annotated[Count, Property("snapshot.max.threads")] = Field(
        1, ge=1, le=64, description="Chunks of tables that are read at the same time."
    )
    incremental_snapshot_chunk_size: Annotated[
        Count, Property("incremental.snapshot.chunk.size")
    ] = Field(1024, ge=1, description="Rows that an incremental snapshot reads at a time.")
    read_only: Annotated[Flag, Property("read.only")] = Field(
        False,
        description="Write nothing into the log for an incremental snapshot; where nothing else "
        "does, its chunks take longer.",
    )
    signal_data_collection: Annotated[str, Property("signal.data.collection")] = Field(
        "", description="Table that signals are inserted into, `schema.table`."
    )
    signal_enabled_channels: Annotated[
        Words, each_of("source", "kafka", "file"), Property("signal.enabled.channels")
    ] = Field(("source",), description="Where signals come from: source, kafka, file.")
    signal_poll_interval_ms: Annotated[Count, Property("signal.poll.interval.ms")] = Field(
        5_000, ge=1, description="How often the channels are looked at, in milliseconds."
    )
    signal_kafka_topic: Annotated[str, Property("signal.kafka.topic")] = Field(
        "", description="Topic of signals; `{topic.prefix}-signal` when empty."
    )
    signal_kafka_groupid: Annotated[str, Property("signal.kafka.groupId")] = Field(
        "kafka-signal", description="Consumer group that reads them."
    )
    signal_kafka_bootstrap_servers: Annotated[str, Property("signal.kafka.bootstrap.servers")] = (
        Field("", description="Brokers of that topic; the producer's own when empty.")
    )
    signal_file: Annotated[str, Property("signal.file")] = Field(
        "file-signals.txt", description="File of signals, one JSON object a line."
    )
