"""Settings of the connection, the slot and the publication."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from producer.configuration.property import Adopted, Count, Flag, Property, Word, checked
from producer.configuration.table_filters import parse_replica_identities
from runtime.settings import SourceDatabase


class SourceSettings(SourceDatabase):
    """Where the changes come from."""

    database_tcpkeepalive: Annotated[Flag, Property("database.tcpKeepAlive")] = Field(
        True, description="Notice a connection that died by TCP keep-alive probes."
    )
    database_query_timeout_ms: Annotated[Count, Property("database.query.timeout.ms")] = Field(
        600_000,
        ge=0,
        description="How long a query may take, in milliseconds, besides a snapshot's; 0 is no "
        "limit.",
    )
    connection_validation_timeout_ms: Annotated[
        Count, Property("connection.validation.timeout.ms")
    ] = Field(
        60_000,
        ge=1000,
        description="How long the server may be silent although it is asked to answer, in "
        "milliseconds: the connection is dead then and made again.",
    )
    database_initial_statements: Annotated[str, Property("database.initial.statements")] = Field(
        "",
        description="SQL for each session before anything else, separated by `;`; `;;` is one "
        "semicolon within a statement.",
    )
    slot_name: Annotated[str, Property("slot.name", debezium="debezium")] = Field(
        "bemi",
        pattern="^[a-z0-9_]{1,63}$",
        description="Replication slot; made once.",
    )
    slot_drop_on_stop: Annotated[Flag, Property("slot.drop.on.stop")] = Field(
        False,
        description="Drop the slot when the producer ends in order: what is changed until it runs "
        "again is lost. For tests.",
    )
    slot_failover: Annotated[Flag, Property("slot.failover")] = Field(
        False,
        description="Make the slot one that standbys take over: PostgreSQL 17 and later.",
    )
    slot_max_retries: Annotated[
        Count, Property("slot.max.retries", debezium=6, adopted=Adopted.NEVER)
    ] = Field(
        -1,
        ge=-1,
        description="How often to try again while another reader holds the slot; -1 is for ever.",
    )
    slot_retry_delay_ms: Annotated[Count, Property("slot.retry.delay.ms")] = Field(
        10_000, ge=0, description="Time between these attempts, in milliseconds."
    )
    slot_stream_params: Annotated[str, Property("slot.stream.params")] = Field(
        "",
        description="More options for pgoutput, `name=value`, separated by `;`: origin=none.",
    )
    publication_name: Annotated[str, Property("publication.name", debezium="dbz_publication")] = (
        Field("bemi", min_length=1, max_length=63, description="Publication; made once.")
    )
    publication_autocreate_mode: Annotated[
        Literal["all_tables", "disabled", "filtered", "no_tables"],
        Word,
        Property("publication.autocreate.mode"),
    ] = Field(
        "all_tables",
        description="What a publication that is missing is made for: `all_tables`; `filtered`, "
        "the tables that the filters let through, brought up to date at each start; `no_tables`; "
        "`disabled` makes none and stops.",
    )
    publish_via_partition_root: Annotated[Flag, Property("publish.via.partition.root")] = Field(
        False,
        description="Publish a partition's changes as those of its root; counts when the "
        "publication is made.",
    )
    replica_identity_autoset_values: Annotated[
        str, checked(parse_replica_identities), Property("replica.identity.autoset.values")
    ] = Field(
        "",
        description="Replica identities to give tables at the start: "
        "`schema.table:FULL,other[.].*:DEFAULT`; also NOTHING and INDEX index_name.",
    )
    xmin_fetch_interval_ms: Annotated[Count, Property("xmin.fetch.interval.ms")] = Field(
        0,
        ge=0,
        description="How often the slot's xmin is read for `source.xmin`, in milliseconds; 0 "
        "leaves that null.",
    )
    offset_mismatch_strategy: Annotated[
        Literal["no_validation", "trust_offset", "trust_slot", "trust_greater_lsn"],
        Word,
        Property("offset.mismatch.strategy", debezium="no_validation", adopted=Adopted.NEVER),
    ] = Field(
        "trust_offset",
        description="What to do when the slot is not where the producer's own record says: "
        "`trust_offset` stops when the slot is ahead, for changes are missing then; `trust_slot` "
        "and `trust_greater_lsn` go on from the slot and record the gap; `no_validation` is the "
        "same as `trust_offset`.",
    )
    accept_gap: Annotated[Flag, Property("bemi.accept.gap")] = Field(
        False,
        description="Go on although changes are missing, and record the gap in the stream.",
    )
