"""What the settings say of the connections: to PostgreSQL, to Kafka, to a registry. Edge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from producer.assembly import Assembly
from producer.configuration.table_filters import parse_replica_identities
from producer.publication import AutocreateMode, WantedPublication
from producer.replication_stream import ReplicationStream, StreamOptions
from producer.settings import ProducerSettings
from producer.snapshot.signal_table import SignalTable
from producer.source import WantedSource
from producer.source_state import OPERATIONS
from producer.sql_connection import Connection, connect
from producer.start_checks import GapPolicy, OffsetMismatchStrategy
from runtime import postgres
from runtime.errors import Stop
from runtime.kafka_client import client_settings
from runtime.registry_settings import RegistrySettings
from runtime.settings import InvalidSettings

if TYPE_CHECKING:
    from producer.avro_serializer import AvroSerializer, Registry

CONNECT_SECONDS = 10
OBSERVER_SECONDS = 3
MILLISECONDS = 1000
_OPERATION_LETTERS = dict(zip("cudt", OPERATIONS, strict=True))


def connect_sql(settings: ProducerSettings) -> Connection:
    """Open the connection for the catalogue, for heartbeats and for making slot and publication."""
    timeout = settings.database_query_timeout_ms / MILLISECONDS
    return connect(
        connection_parameters(settings, "catalog"),
        # A heartbeat must not wait for a synchronous standby.
        options="-c synchronous_commit=off",
        timeout_seconds=timeout or None,
        initial_statements=settings.database_initial_statements,
    )


def connect_observer(settings: ProducerSettings) -> Connection:
    """Open a connection that only looks, and gives up soon where the server does not answer."""
    return connect(
        {**connection_parameters(settings, "observer"), "connect_timeout": OBSERVER_SECONDS},
        options=f"-c statement_timeout={OBSERVER_SECONDS}s",
        timeout_seconds=OBSERVER_SECONDS,
    )


def connect_stream(settings: ProducerSettings) -> ReplicationStream:
    """Open the replication connection, without reading anything yet."""
    return ReplicationStream.connect(
        connection_parameters(settings, "stream"),
        options=StreamOptions(
            parameters=_stream_parameters(settings.slot_stream_params),
            silence_seconds=settings.connection_validation_timeout_ms / MILLISECONDS,
        ),
        initial_statements=settings.database_initial_statements,
    )


def wanted_source(
    settings: ProducerSettings, assembly: Assembly, *, accept_gap: bool
) -> WantedSource:
    """Return what the settings ask of the server."""
    skipped = {_OPERATION_LETTERS[letter] for letter in settings.skipped_operations}
    signals = signal_table(settings)

    def is_published(pg_schema: str, table: str) -> bool:
        # A signal is seen in the stream only, whether its table's rows become events or not.
        return signals.is_it(pg_schema, table) or assembly.filters.captures_table(pg_schema, table)

    return WantedSource(
        settings.slot_name,
        WantedPublication(
            settings.publication_name,
            AutocreateMode(settings.publication_autocreate_mode),
            includes=is_published,
            operations=frozenset(OPERATIONS) - skipped,
            via_partition_root=settings.publish_via_partition_root,
            replica_identities=parse_replica_identities(settings.replica_identity_autoset_values),
        ),
        slot_failover=settings.slot_failover,
        policy=GapPolicy(
            accept_gap,
            OffsetMismatchStrategy(settings.offset_mismatch_strategy),
            begins_at_slot=settings.confirm_after == "sink",
        ),
    )


def signal_table(settings: ProducerSettings) -> SignalTable:
    """Return the table that signals come from, if they do come from one."""
    is_enabled = "source" in settings.signal_enabled_channels
    return SignalTable(settings.signal_data_collection if is_enabled else "")


def kafka_client(settings: ProducerSettings) -> dict[str, Any]:
    """Return librdkafka's configuration of the connection to the brokers.

    What only librdkafka has a name for goes before the settings that all stages have.
    """
    client = client_settings(settings)
    given = {
        name: value
        for name, value in settings.kafka_properties.items()
        if name.startswith(("security.", "sasl.", "ssl.", "client.", "socket."))
    }
    if "ssl.ca.pem" in given and not settings.kafka_ssl_ca_location:
        # librdkafka would trust those of the system beside them.
        client.pop("ssl.ca.location", None)
    return client | given


def avro_serializer(settings: ProducerSettings) -> AvroSerializer:
    """Return the serializer for Avro, with a registry or with schemas from files."""
    # Here, because they cost a start without Avro a tenth of its time.
    from producer.avro_serializer import AvroSerializer
    from producer.schema_files import SchemaFiles

    registry: Registry
    if settings.schema_registry_url:
        registry = _confluent_registry(settings)
    elif settings.avro_schema_directory:
        registry = SchemaFiles(
            Path(settings.avro_schema_directory), may_write=settings.schema_registry_auto_register
        )
    else:
        raise Stop(
            "Avro needs schema.registry.url (BEMI_PRODUCER_SCHEMA_REGISTRY_URL) or a folder of "
            "schemas (BEMI_PRODUCER_AVRO_SCHEMA_DIRECTORY)"
        )
    return AvroSerializer(registry)


def _confluent_registry(settings: ProducerSettings) -> Registry:
    # Here, because the client is heavy and only there with the extra `avro`.
    try:
        from runtime.schema_registry import ConfluentRegistry
    except ImportError as error:
        raise Stop(
            f"a schema registry needs the extra avro ({error}): pip install 'bemi-pipeline[avro]'"
        ) from error
    return ConfluentRegistry(
        RegistrySettings(
            settings.schema_registry_url,
            settings.schema_registry_user_info.get_secret_value() or None,
            settings.schema_registry_auto_register,
            settings.schema_registry_normalize,
            settings.schema_registry_ca_location or None,
            settings.schema_registry_certificate_location or None,
            settings.schema_registry_key_location or None,
            settings.schema_registry_key_password.get_secret_value() or None,
        )
    )


def connection_parameters(settings: ProducerSettings, purpose: str) -> dict[str, Any]:
    """Return libpq's parameters of a connection; `purpose` shows in pg_stat_activity."""
    return {
        **postgres.connection_parameters(settings),
        "application_name": f"bemi-producer {purpose}",
        "client_encoding": "UTF8",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives": int(settings.database_tcpkeepalive),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }


def _stream_parameters(text: str) -> dict[str, str]:
    """Return slot.stream.params: `name=value`, separated by semicolons."""
    parameters = {}
    for part in filter(str.strip, text.split(";")):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise InvalidSettings(f"slot.stream.params: {part.strip()} is not name=value")
        parameters[name.strip()] = value.strip()
    return parameters
