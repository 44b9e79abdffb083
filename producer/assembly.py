"""Put the parts together that the settings ask for: topics, writers, rules. Pure but for Avro.

Used by the capture and by each process of a snapshot, so both write the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from producer.change_events import Output
from producer.column_types.column_type import READABLE, ValueModes
from producer.column_types.keyed_hash import KeyedHash
from producer.configuration.column_rules import ColumnRules
from producer.configuration.expressions import compile_expressions, matches_any
from producer.configuration.table_filters import TableFilters
from producer.configuration.values import placeholder_bytes
from producer.connect_events import ConnectEvents, JsonSerializer, Serializer
from producer.event_source import Server
from producer.event_writer import EventWriter, WriterOptions
from producer.json_events import JsonEvents
from producer.name_adjustment import field_name_adjuster, schema_name_adjuster
from producer.pgoutput import Relation
from producer.relations import ConversionFailure
from producer.settings import ProducerSettings
from producer.table_shape import CatalogFacts, TableRules, TableShape, shape
from producer.topic_specs import TopicSpecs
from schemas.topics import Headers, Topics

if TYPE_CHECKING:
    from producer.avro_serializer import AvroSerializer

TASK_ID = "0"
"""Debezium's connector for PostgreSQL has one task, and so has this producer."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one producer."""

    topics: Topics
    topic_specs: TopicSpecs
    filters: TableFilters
    output: Output
    tables: EventWriter | None
    wal: EventWriter | None
    table_modes: ValueModes
    rules_of: Callable[[Relation], TableRules]
    run_id: str

    def shapes(
        self, relation: Relation, facts: CatalogFacts
    ) -> tuple[TableShape, TableShape | None]:
        """Return the relation as the tables' topics have it and, where it differs, as `.wal`."""
        rules = self.rules_of(relation)
        if self.tables is None:
            return shape(relation, facts, READABLE, rules), None
        own = shape(relation, facts, self.table_modes, rules)
        if self.wal is None or self.wal is self.tables:
            return own, None
        return own, shape(relation, facts, READABLE, rules)


def topics_of(settings: ProducerSettings) -> Topics:
    """Return the names of the topics."""
    return Topics(
        settings.topic_prefix,
        settings.topic_delimiter,
        settings.topic_transaction,
        settings.topic_heartbeat_prefix,
        settings.topic_heartbeat_name,
    )


def keyed_hash_of(settings: ProducerSettings) -> KeyedHash:
    """Return the hash of the columns that the settings name."""
    return KeyedHash.of(settings.column_hmac, settings.column_hmac_key.get_secret_value())


def assemble(
    settings: ProducerSettings, database: str, run_id: str, avro: Callable[[], AvroSerializer]
) -> Assembly:
    """Return the parts; `avro` is called where a format needs it."""
    filters = TableFilters.of(settings)
    topics = topics_of(settings)
    modes = _modes(settings)
    server = Server(settings.topic_prefix, database)
    wal_options = WriterOptions(
        server, READABLE, transaction_metadata=settings.provide_transaction_metadata
    )
    wal = JsonEvents(wal_options) if settings.publish_wal else None
    tables: EventWriter | None = None
    if settings.publish_tables:
        options = WriterOptions(
            server,
            modes,
            key_schemas=settings.key_format == "json_schemas",
            value_schemas=settings.value_format == "json_schemas",
            transaction_metadata=settings.provide_transaction_metadata,
            replace_null_with_default=settings.replace_null_with_default,
            on_conversion_failure=ConversionFailure(
                settings.event_converting_failure_handling_mode
            ),
            adjust_schema_name=schema_name_adjuster(settings.schema_name_adjustment_mode),
            adjust_field_name=field_name_adjuster(settings.field_name_adjustment_mode),
        )
        tables = wal if options == wal_options and wal is not None else None
        if tables is None:
            tables = _table_writer(settings, options, topics, avro)
    return Assembly(
        topics,
        TopicSpecs(settings.kafka_max_message_bytes, settings.topic_creation),
        filters,
        Output(
            tombstones=settings.tombstones_on_delete,
            transaction_metadata=settings.provide_transaction_metadata,
            headers=_headers(settings, run_id) if settings.extended_headers_enabled else None,
            skipped_operations=frozenset(settings.skipped_operations),
            skip_messages_without_change=settings.skip_messages_without_change,
            publishes_message=filters.captures_message,
            heartbeats=bool(settings.heartbeat_interval_ms),
        ),
        tables,
        wal,
        modes,
        _rules(settings, filters),
        run_id,
    )


def _table_writer(
    settings: ProducerSettings,
    options: WriterOptions,
    topics: Topics,
    avro: Callable[[], AvroSerializer],
) -> EventWriter:
    formats = {settings.key_format, settings.value_format}
    if "avro" not in formats:
        return JsonEvents(options)
    shared = avro()
    if formats == {"avro"}:
        from producer.avro_events import AvroEvents  # Heavy, so only where it is wanted.

        return AvroEvents(options, topics, shared)

    def serializer(format_: str) -> Serializer:
        if format_ == "avro":
            return shared
        return JsonSerializer(with_schema=format_ == "json_schemas")

    return ConnectEvents(
        options, topics, serializer(settings.key_format), serializer(settings.value_format)
    )


def _modes(settings: ProducerSettings) -> ValueModes:
    schemaless = not settings.debezium_values and (
        settings.key_format == settings.value_format == "json"
    )
    return ValueModes(
        decimal_handling_mode=settings.decimal_handling_mode,
        time_precision_mode=settings.time_precision_mode,
        interval_handling_mode=settings.interval_handling_mode,
        hstore_handling_mode=settings.hstore_handling_mode,
        binary_handling_mode=settings.binary_handling_mode,
        money_fraction_digits=settings.money_fraction_digits,
        include_unknown_datatypes=settings.include_unknown_datatypes,
        unavailable_value_placeholder=placeholder_bytes(settings.unavailable_value_placeholder),
        debezium_values=settings.debezium_values,
        schemaless=schemaless,
        lossless=schemaless and settings.lossless_values,
    )


def _headers(settings: ProducerSettings, run_id: str) -> Headers:
    return [
        ("__debezium.context.connectorLogicalName", settings.topic_prefix.encode()),
        ("__debezium.context.taskId", TASK_ID.encode()),
        ("__debezium.context.connectorName", b"postgresql"),
        ("__debezium.context.runId", run_id.encode()),
    ]


def _rules(settings: ProducerSettings, filters: TableFilters) -> Callable[[Relation], TableRules]:
    column_rules = ColumnRules(settings.column_rules)
    keyed_hash = keyed_hash_of(settings)
    columns = compile_expressions(settings.column_propagate_source_type)
    types = compile_expressions(settings.datatype_propagate_source_type)

    def rules_of(relation: Relation) -> TableRules:
        table = f"{relation.pg_schema}.{relation.table}"

        def captures_column(name: str) -> bool:
            return filters.captures_column(relation.pg_schema, relation.table, name)

        def propagates_type(name: str, type_name: str) -> bool:
            column = f"{table}.{name}"
            return not column_rules.cuts_or_masks(column) and (
                matches_any(columns, column) or matches_any(types, f"{table}.{type_name}")
            )

        names = [column.name for column in relation.columns]
        return TableRules(
            filters.key_columns(relation.pg_schema, relation.table, names),
            captures_column,
            column_rules.rule_for,
            propagates_type,
            keyed_hash,
        )

    return rules_of
