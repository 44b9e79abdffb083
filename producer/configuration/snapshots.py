"""Settings of snapshots and of the signals that ask for them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

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
    snapshot_fetch_size: Annotated[Count, Property("snapshot.fetch.size")] = Field(
        10_240, ge=1, description="Rows of a table that are read at a time."
    )
    snapshot_max_threads: Annotated[Count, Property("snapshot.max.threads")] = Field(
        1, ge=1, le=64, description="Chunks of tables that are read at the same time."
    )
    snapshot_max_threads_multiplier: Annotated[
        Count, Property("snapshot.max.threads.multiplier")
    ] = Field(
        1, ge=1, description="How many times the number of threads a large table is cut into."
    )
    snapshot_tables_order_by_row_count: Annotated[
        Literal["disabled", "ascending", "descending"],
        Word,
        Property("snapshot.tables.order.by.row.count"),
    ] = Field("disabled", description="`ascending` or `descending` order of tables by size.")
    incremental_snapshot_chunk_size: Annotated[
        Count, Property("incremental.snapshot.chunk.size")
    ] = Field(1024, ge=1, description="Rows between two watermarks of an incremental snapshot.")
    incremental_snapshot_watermarking_strategy: Annotated[
        Literal["insert_insert", "insert_delete"],
        Word,
        Property("incremental.snapshot.watermarking.strategy"),
    ] = Field(
        "insert_insert",
        description="How a window is closed in the signal table: by a second row, or by deleting "
        "the first (`insert_delete`), which keeps that table small.",
    )
    incremental_snapshot_allow_schema_changes: Annotated[
        Flag, Property("incremental.snapshot.allow.schema.changes")
    ] = Field(False, description="Read a chunk again when its table was altered meanwhile.")
    read_only: Annotated[Flag, Property("read.only")] = Field(
        False,
        description="Write no watermarks; windows are told by transaction ids instead.",
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
    signal_kafka_poll_timeout_ms: Annotated[Count, Property("signal.kafka.poll.timeout.ms")] = (
        Field(100, ge=0, description="How long one look at that topic may wait, in milliseconds.")
    )
    signal_file: Annotated[str, Property("signal.file")] = Field(
        "file-signals.txt", description="File of signals, one JSON object a line."
    )
    notification_enabled_channels: Annotated[
        Words, each_of("sink", "log"), Property("notification.enabled.channels")
    ] = Field((), description="Where the progress of snapshots is told: sink, log.")
    notification_sink_topic_name: Annotated[str, Property("notification.sink.topic.name")] = Field(
        "", description="Topic of the notifications of channel sink."
    )

    @model_validator(mode="after")
    def _names_the_topic_of_notifications(self) -> SnapshotSettings:
        if "sink" in self.notification_enabled_channels and not self.notification_sink_topic_name:
            raise ValueError("notification.sink.topic.name is missing for the channel sink")
        return self
