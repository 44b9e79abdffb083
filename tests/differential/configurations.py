"""The configurations both sides are run with. Pure.

Each is what a user could have in a file. Together the first ones have every value mode at
least once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

JSON = "org.apache.kafka.connect.json.JsonConverter"

BASE = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "plugin.name": "pgoutput",
    "publication.name": "differential",
    "publication.autocreate.mode": "disabled",
    "snapshot.mode": "no_data",
    "poll.interval.ms": "20",
    "key.converter": JSON,
    "value.converter": JSON,
    "topic.creation.default.replication.factor": "1",
    "topic.creation.default.partitions": "1",
    # Ours alone; Debezium takes no notice of it.
    "bemi.debezium.values": "true",
}
"""What all of them have."""

WITHOUT_SCHEMAS = {
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
}


@dataclass(frozen=True)
class Configuration:
    """A connector's properties, without those that say where the servers are."""

    name: str
    properties: Mapping[str, str]

    @property
    def takes_snapshot(self) -> bool:
        """Tell whether rows are read before the slot is."""
        return self.properties["snapshot.mode"] not in ("no_data", "never")


def configuration(name: str, *parts: Mapping[str, str], **more: str) -> Configuration:
    """Return a configuration on top of `BASE`; keywords have `_` for `.`."""
    properties = dict(BASE)
    for part in parts:
        properties |= part
    return Configuration(name, properties | {k.replace("_", "."): v for k, v in more.items()})


READABLE = configuration(
    "readable",
    WITHOUT_SCHEMAS,
    decimal_handling_mode="string",
    time_precision_mode="isostring",
    interval_handling_mode="string",
    binary_handling_mode="base64",
    include_unknown_datatypes="true",
    provide_transaction_metadata="true",
    skipped_operations="none",
)
"""What the producer does without a configuration."""

DEFAULTS = configuration("defaults")
"""What Debezium does without one."""

VALUE_MODES = (
    READABLE,
    DEFAULTS,
    configuration(
        "double",
        WITHOUT_SCHEMAS,
        decimal_handling_mode="double",
        time_precision_mode="adaptive_time_microseconds",
        hstore_handling_mode="map",
        binary_handling_mode="base64-url-safe",
        include_unknown_datatypes="true",
    ),
    configuration(
        "connect",
        decimal_handling_mode="string",
        time_precision_mode="connect",
        interval_handling_mode="string",
        hstore_handling_mode="map",
        binary_handling_mode="hex",
        include_unknown_datatypes="true",
        money_fraction_digits="3",
    ),
    configuration("microseconds", WITHOUT_SCHEMAS, time_precision_mode="microseconds"),
    # Its `before` of a required timestamp that was not sent is none, which ends Debezium.
    configuration(
        "nanoseconds",
        WITHOUT_SCHEMAS,
        {"column.exclude.list": r".*\.n_(timestamp|timestamp_.|domain_timestamp)"},
        time_precision_mode="nanoseconds",
        decimal_handling_mode="string",
    ),
    configuration("isostring-schemas", time_precision_mode="isostring"),
)

SNAPSHOTS = (
    configuration("snapshot-readable", READABLE.properties, snapshot_mode="initial"),
    configuration("snapshot-defaults", snapshot_mode="initial"),
    configuration(
        "snapshot-double",
        WITHOUT_SCHEMAS,
        snapshot_mode="initial",
        decimal_handling_mode="double",
        time_precision_mode="connect",
        hstore_handling_mode="map",
        include_unknown_datatypes="true",
    ),
)
"""What reads the rows that exist already, before it streams."""

_METADATA = {"provide.transaction.metadata": "true", "skipped.operations": "none"}

EVENT_FORMS = (
    READABLE,
    configuration("metadata-with-schemas", _METADATA),
    configuration(
        "quiet",
        WITHOUT_SCHEMAS,
        tombstones_on_delete="false",
        extended_headers_enabled="false",
        skipped_operations="u,d",
        table_include_list=r"public\.(one_key|two_keys|no_key|full_identity|insert_only)",
    ),
    configuration(
        "only-updates",
        WITHOUT_SCHEMAS,
        skipped_operations="c,t,d",
        table_include_list=r"public\.(one_key|two_keys|no_key|full_identity|insert_only)",
    ),
    configuration(
        "unchanged",
        WITHOUT_SCHEMAS,
        _METADATA,
        skip_messages_without_change="true",
        table_include_list=r"public\.(one_key|no_key|full_identity|toast_full|nested)",
    ),
    configuration(
        "filters",
        WITHOUT_SCHEMAS,
        _METADATA,
        {"message.prefix.exclude.list": "app,audit.*"},
        table_exclude_list=r"public\.(key_|toast_).*,public\.parted_1",
        column_exclude_list=r"public\.one_key\.(amount|id),.*\.v",
    ),
    configuration(
        "included-only",
        WITHOUT_SCHEMAS,
        _METADATA,
        {"message.prefix.include.list": "app,differential.*"},
        schema_include_list="public",
        table_include_list=r"public\.(one_key|full_.*|no_key)",
        column_include_list=r".*\.(id|name|title|a|v)",
    ),
    configuration(
        "keys",
        {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "false"},
        {"message.key.columns": r"public\.one_key:name;(.*)\.two_keys:b,v;public\.no_key:b"},
        table_exclude_list=r"public\.toast_.*",
    ),
    configuration(
        "masks",
        WITHOUT_SCHEMAS,
        {
            "column.mask.with.3.chars": r"public\.one_key\.note,.*\.day",
            "column.mask.with.0.chars": r".*\.doc",
            "column.mask.with.7.chars": r"public\.two_keys\.a",
            "column.mask.hash.v2.SHA-256.with.salt.CzQMA0cB5K": r".*\.secret",
            "column.truncate.to.3.chars": r".*\.mail,.*\.b,.*\.c0",
            "column.truncate.to.5.chars": r"public\.one_key\.name",
            "column.truncate.to.1.chars": r"public\.one_key\.amount",
        },
        table_include_list=r"public\.(one_key|two_keys|no_key|toast_default)",
    ),
    configuration(
        "connect-times",
        WITHOUT_SCHEMAS,
        time_precision_mode="connect",
        table_include_list=r"public\.(times|numbers)_key",
    ),
    configuration(
        "avro-names",
        {"column.mask.hash.v2.SHA-512.with.salt.s": r".*\.(name|mail)"},
        schema_name_adjustment_mode="avro",
        field_name_adjustment_mode="avro",
        table_include_list=r"Odd\.Schema\..*,public\.one_key",
    ),
    configuration(
        "avro-unicode",
        schema_name_adjustment_mode="avro_unicode",
        field_name_adjustment_mode="avro_unicode",
        table_include_list=r"Odd\.Schema\..*,public\.one_key",
    ),
    configuration(
        "source-types",
        {"column.propagate.source.type": r".*\.one_key\..*"},
        {"datatype.propagate.source.type": r".*\.int4,.*\.VARCHAR"},
        {
            "column.mask.hash.v2.SHA-256.with.salt.s": r"public\.one_key\.secret",
            "column.truncate.to.900.chars": r"public\.one_key\.mail",
            "column.mask.with.3.chars": r"public\.one_key\.(note|amount)",
        },
        table_include_list=r"public\.(one_key|two_keys)",
    ),
    configuration(
        "placeholder",
        WITHOUT_SCHEMAS,
        binary_handling_mode="hex",
        unavailable_value_placeholder="gone",
        hstore_handling_mode="map",
        table_include_list=r"public\.toast_.*",
    ),
    configuration(
        "placeholder-bytes",
        unavailable_value_placeholder="hex:00ff61",
        table_include_list=r"public\.toast_.*",
    ),
    configuration(
        "names-and-partitions",
        WITHOUT_SCHEMAS,
        _METADATA,
        topic_delimiter="-",
        topic_transaction="tx",
        # Records without a key go anywhere, those of truncates too.
        skipped_operations="t",
        topic_creation_default_partitions="5",
        table_include_list=r"public\.(one_key|key_only|full_identity|parted_.)",
    ),
)
"""Everything about events that is not a value, one or two things in each."""

HEARTBEATS = (
    configuration("heartbeats", heartbeat_interval_ms="200"),
    configuration(
        "named-heartbeats",
        WITHOUT_SCHEMAS,
        heartbeat_interval_ms="200",
        topic_heartbeat_prefix="__beat",
    ),
)
"""Apart from the others: the producer's heartbeats are messages in everybody's WAL."""

HONEST = configuration(
    "honest",
    WITHOUT_SCHEMAS,
    {"event.converting.failure.handling.mode": "warn", "bemi.debezium.values": "false"},
    provide_transaction_metadata="true",
)
"""A configuration that does not ask for Debezium's false values, and does not stop at any."""


def avro_configurations(converters: Mapping[str, str]) -> tuple[Configuration, ...]:
    """Return configurations with those converters, whose names Avro can hold."""
    avro = {
        **converters,
        "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": "avro",
    }
    readable = {k: v for k, v in READABLE.properties.items() if ".schemas.enable" not in k}
    return configuration("avro-defaults", avro), configuration("avro-readable", readable, avro)


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "decimal.handling.mode": ("precise", "double", "string"),
    "time.precision.mode": (
        *("adaptive", "adaptive_time_microseconds", "connect"),
        *("isostring", "microseconds"),
    ),
    "interval.handling.mode": ("numeric", "string"),
    "hstore.handling.mode": ("json", "map"),
    "binary.handling.mode": ("bytes", "base64", "base64-url-safe", "hex"),
    "include.unknown.datatypes": ("true", "false"),
    "key.converter.schemas.enable": ("true", "false"),
    "value.converter.schemas.enable": ("true", "false"),
    "tombstones.on.delete": ("true", "false"),
    "provide.transaction.metadata": ("true", "false"),
    "extended.headers.enabled": ("true", "false"),
    "skipped.operations": ("none", "t", "u", "c,d", "t,d"),
    "skip.messages.without.change": ("false", "true"),
    "unavailable.value.placeholder": ("__debezium_unavailable_value", "(too large)", "hex:00ff61"),
    "schema.name.adjustment.mode": ("none", "avro", "avro_unicode"),
    "field.name.adjustment.mode": ("none", "avro", "avro_unicode"),
    "message.prefix.exclude.list": ("", "audit.*"),
    "column.exclude.list": ("", r"public\.random.*\.c1", r".*\.c[02]"),
    "table.exclude.list": ("", r"public\.random_0"),
    # Of types that always have a value: without one in a key Debezium ends.
    "message.key.columns": ("", r"public\.random.*:id", r"(.*)\.random_1:id,big"),
    "column.mask.with.5.chars": ("", r".*\.c3"),
    "column.mask.with.0.chars": ("", r".*\.c3"),
    "column.truncate.to.4.chars": ("", r".*\.c1"),
    "column.mask.hash.v2.SHA-256.with.salt.CzQMA0cB5K": ("", r".*\.c2"),
    "column.propagate.source.type": ("", ".*"),
}
"""Each property's values that a random configuration may have; the empty one is none."""

_OFTEN_DEFAULT = 0.6


def random_configuration(rng: random.Random, name: str) -> Configuration:
    """Return a configuration with random modes, filters, masks and formats."""
    chosen = {}
    for property_name, choices in _CHOICES.items():
        value = choices[0] if rng.random() < _OFTEN_DEFAULT else rng.choice(choices)
        if value:
            chosen[property_name] = value
    if chosen["skip.messages.without.change"] == "true":
        # Debezium counts rows as changed that are not, see `kept`: hand-picked ones show it.
        chosen["provide.transaction.metadata"] = "false"
    if "column.propagate.source.type" in chosen:
        # It switches Debezium's hash off, see `kept`.
        chosen.pop("column.mask.hash.v2.SHA-256.with.salt.CzQMA0cB5K", None)
    return configuration(name, chosen)
