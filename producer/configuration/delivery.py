"""Settings of what is written to Kafka and when the slot moves on."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from producer.configuration.expressions import compile_expressions
from producer.configuration.property import Adopted, Count, Flag, Named, Property, Word, checked
from runtime.settings import StageSettings

_GROUPS = "topic.creation.groups"
Format = Literal["json", "json_schemas", "avro"]


_GROUP = re.compile(r"topic\.creation\.([^.]+)\.(.+)")


def _check_topic_creation(creation: dict[str, str]) -> None:
    groups = {"default", *(name.strip() for name in creation.get(_GROUPS, "").split(","))}
    for name, value in creation.items():
        match = _GROUP.fullmatch(name)
        if name == _GROUPS:
            continue
        if match is None or match[1] not in groups:
            raise ValueError(f"{name} belongs to no group of {_GROUPS}")
        if match[2] in ("partitions", "replication.factor"):
            if re.fullmatch(r"-1|[1-9]\d*", value.strip()) is None:
                raise ValueError(f"{name} is no number")
        elif match[2] in ("include", "exclude"):
            compile_expressions(value.split(","))


class DeliverySettings(StageSettings):
    """Topics, formats, and how the producer deals with a slow or broken peer."""

    publish_tables: Annotated[Flag, Property("bemi.publish.tables")] = Field(
        True, description="Publish Debezium's topics: tables, `.message`, `.transaction`."
    )
    publish_wal: Annotated[Flag, Property("bemi.publish.wal", debezium=False)] = Field(
        True, description="Publish `.wal`, which the stitcher reads."
    )
    wal_partitions: Annotated[Count, Property("bemi.wal.partitions")] = Field(
        4,
        ge=1,
        le=1000,
        description="Partitions of `.wal` when it is made: the most stitchers and sinks at work.",
    )
    topic_delimiter: Annotated[str, Property("topic.delimiter")] = Field(
        ".", min_length=1, description="Stands between the parts of a topic's name."
    )
    topic_transaction: Annotated[str, Property("topic.transaction")] = Field(
        "transaction", min_length=1, description="Last part of the name of the transaction topic."
    )
    topic_heartbeat_prefix: Annotated[str, Property("topic.heartbeat.prefix")] = Field(
        "__debezium-heartbeat", description="First part of the name of the heartbeat topic."
    )
    topic_heartbeat_name: Annotated[str, Property("topic.heartbeat.name")] = Field(
        "", description="Name of the heartbeat topic, in place of one made of the two prefixes."
    )
    topic_creation: Annotated[
        Named, checked(_check_topic_creation), Property("bemi.topic.creation")
    ] = Field(
        {},
        description="Connect's properties topic.creation.*, for the topics that are made. A file "
        "has each by its own name; in the environment they are one JSON object.",
    )
    key_format: Annotated[Format, Word, Property("bemi.key.format", debezium="json_schemas")] = (
        Field(
            "json",
            description="Format of keys: `json`, `json_schemas` or `avro`; a file says it by "
            "key.converter and its properties.",
        )
    )
    value_format: Annotated[
        Format, Word, Property("bemi.value.format", debezium="json_schemas")
    ] = Field("json", description="Format of values; a file says it by value.converter.")
    replace_null_with_default: Annotated[
        Flag,
        Property(
            "bemi.replace.null.with.default", debezium=True, adopted=Adopted.WITH_DEBEZIUM_VALUES
        ),
    ] = Field(
        False,
        description="Write a stored NULL as the column's default, as Connect's converters do "
        "(replace.null.with.default).",
    )
    schema_registry_url: Annotated[str, Property("bemi.schema.registry.url")] = Field(
        "",
        description="Where Avro schemas are registered, by Confluent's API. A file says this and "
        "the next ones by key.converter.* and value.converter.*.",
    )
    schema_registry_user_info: Annotated[SecretStr, Property("bemi.schema.registry.user.info")] = (
        Field(SecretStr(""), description="`user:password` for the registry.")
    )
    schema_registry_auto_register: Annotated[
        Flag, Property("bemi.schema.registry.auto.register")
    ] = Field(True, description="Register schemas that are new.")
    schema_registry_normalize: Annotated[Flag, Property("bemi.schema.registry.normalize")] = Field(
        False, description="Let the registry take schemas for the same that differ in order only."
    )
    schema_registry_ca_location: Annotated[str, Property("bemi.schema.registry.ca.location")] = (
        Field("", description="PEM file of the authorities that sign the registry's certificate.")
    )
    schema_registry_certificate_location: Annotated[
        str, Property("bemi.schema.registry.certificate.location")
    ] = Field("", description="PEM file of the certificate shown to the registry.")
    schema_registry_key_location: Annotated[str, Property("bemi.schema.registry.key.location")] = (
        Field("", description="PEM file of its key, where that is apart.")
    )
    schema_registry_key_password: Annotated[
        SecretStr, Property("bemi.schema.registry.key.password")
    ] = Field(SecretStr(""), description="Password of that key.")
    avro_schema_directory: Annotated[str, Property("bemi.avro.schema.directory")] = Field(
        "",
        description="Folder of Avro schemas and their ids, in place of a registry.",
    )
    heartbeat_interval_ms: Annotated[Count, Property("heartbeat.interval.ms", debezium=0)] = Field(
        10_000, ge=0, description="Time between heartbeats, in milliseconds; 0 sends none."
    )
    heartbeat_action_query: Annotated[str, Property("heartbeat.action.query")] = Field(
        "", description="SQL that is run with each heartbeat."
    )
    status_update_interval_ms: Annotated[Count, Property("status.update.interval.ms")] = Field(
        10_000,
        gt=0,
        le=60_000,
        description="Longest time between two reports to the server, in milliseconds.",
    )
    lsn_flush_mode: Annotated[
        Literal["connector", "manual", "connector_and_driver"],
        Word,
        Property("lsn.flush.mode", debezium="connector", adopted=Adopted.NEVER),
    ] = Field(
        "connector_and_driver",
        description="Who moves the slot: `connector`, by what was published; "
        "`connector_and_driver`, also over WAL that has nothing to publish; `manual`, somebody "
        "else.",
    )
    confirm_after: Annotated[Literal["kafka", "sink"], Word, Property("bemi.confirm.after")] = (
        Field(
            "kafka",
            validation_alias="BEMI_CONFIRM_AFTER",
            description="When the slot may forget a change: once `kafka` has acknowledged it, or "
            "once the `sink` has stored it, so that no loss of Kafka's data loses one. Give the "
            "sinks the same.",
        )
    )
    offset_flush_interval_ms: Annotated[
        Count, Property("offset.flush.interval.ms", debezium=60_000, adopted=Adopted.NEVER)
    ] = Field(
        1_000,
        ge=0,
        description="How often the producer's position is stored in Kafka, in milliseconds; "
        "after a crash, what came since is published again.",
    )
    errors_max_retries: Annotated[Count, Property("errors.max.retries")] = Field(
        -1, ge=-1, description="How often to try again what may heal; -1 is for ever."
    )
    retriable_restart_connector_wait_ms: Annotated[
        Count,
        Property("retriable.restart.connector.wait.ms", debezium=10_000, adopted=Adopted.NEVER),
    ] = Field(1_000, ge=0, description="Wait before the first of these attempts, in milliseconds.")
    max_queue_size_in_bytes: Annotated[Count, Property("max.queue.size.in.bytes")] = Field(
        0,
        ge=0,
        description="Bytes of records that may wait for Kafka before reading stops; 0 is the "
        "producer's own bound.",
    )
    linger_ms: Annotated[float, Property("bemi.linger.ms")] = Field(
        25.0,
        ge=0,
        description="How long a record may wait for others to share a request, in milliseconds, "
        "while there is more to read; with nothing more to read it is sent at once.",
    )
    compression_type: Annotated[
        Literal["none", "gzip", "snappy", "lz4", "zstd"],
        Word,
        Property("bemi.compression.type"),
    ] = Field("lz4", description="Compression of record batches.")
    kafka_properties: Annotated[Named, Property("bemi.kafka.properties")] = Field(
        {},
        repr=False,
        description="More properties of the Kafka client, by librdkafka's names. A file's "
        "producer.override.* and its security properties are translated; in the environment they "
        "are one JSON object.",
    )
