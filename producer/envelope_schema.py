"""The schemas of everything but the rows that Debezium's PostgreSQL connector writes. Pure.

Field order, names, versions and what is optional are those of Debezium 3.6.1; consumers resolve
records by them, and a registry takes another order for another schema.

Shape: Debezium's `Envelope`, `SourceInfo`, `TransactionStructMaker`, `Heartbeat` and
`LogicalDecodingMessageMonitor`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from producer.connect_schema import ARRAY, INT64, STRING, STRUCT, ConnectSchema

Field = tuple[str, ConnectSchema]

_TEXT: Final = ConnectSchema(STRING)
_TEXT_OR_NULL: Final = _TEXT.as_optional()
_LONG: Final = ConnectSchema(INT64)
_LONG_OR_NULL: Final = _LONG.as_optional()

ENVELOPE_VERSION: Final = 2

SNAPSHOT: Final = ConnectSchema(
    STRING,
    name="io.debezium.data.Enum",
    version=1,
    optional=True,
    parameters=(
        (
            "allowed",
            "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental",
        ),
    ),
    default="false",
)

SOURCE: Final = ConnectSchema(
    STRUCT,
    name="io.debezium.connector.postgresql.Source",
    version=1,
    fields=(
        ("version", _TEXT),
        ("connector", _TEXT),
        ("name", _TEXT),
        ("ts_ms", _LONG),
        ("snapshot", SNAPSHOT),
        ("db", _TEXT),
        ("sequence", _TEXT_OR_NULL),
        ("ts_us", _LONG_OR_NULL),
        ("ts_ns", _LONG_OR_NULL),
        ("schema", _TEXT),
        ("table", _TEXT),
        ("txId", _LONG_OR_NULL),
        ("lsn", _LONG_OR_NULL),
        ("xmin", _LONG_OR_NULL),
        ("origin", _TEXT_OR_NULL),
        ("origin_lsn", _LONG_OR_NULL),
    ),
)

TRANSACTION_BLOCK: Final = ConnectSchema(
    STRUCT,
    name="event.block",
    version=1,
    optional=True,
    fields=(("id", _TEXT), ("total_order", _LONG), ("data_collection_order", _LONG)),
)
"""Which transaction an event belongs to, and its place there."""

TRANSACTION_KEY: Final = ConnectSchema(
    STRUCT,
    name="io.debezium.connector.common.TransactionMetadataKey",
    version=1,
    fields=(("id", _TEXT),),
)

TRANSACTION_VALUE: Final = ConnectSchema(
    STRUCT,
    name="io.debezium.connector.common.TransactionMetadataValue",
    version=1,
    fields=(
        ("status", _TEXT),
        ("id", _TEXT),
        ("event_count", _LONG_OR_NULL),
        (
            "data_collections",
            ConnectSchema(
                ARRAY,
                optional=True,
                items=ConnectSchema(
                    STRUCT,
                    name="event.collection",
                    version=1,
                    optional=True,
                    fields=(("data_collection", _TEXT), ("event_count", _LONG)),
                ),
            ),
        ),
        ("ts_ms", _LONG),
    ),
)

HEARTBEAT_KEY: Final = ConnectSchema(
    STRUCT,
    name="io.debezium.connector.common.ServerNameKey",
    version=1,
    fields=(("serverName", _TEXT),),
)

HEARTBEAT_VALUE: Final = ConnectSchema(
    STRUCT,
    name="io.debezium.connector.common.Heartbeat",
    version=1,
    fields=(("ts_ms", _LONG),),
)

MESSAGE_KEY: Final = ConnectSchema(
    STRUCT,
    name="io.debezium.connector.postgresql.MessageKey",
    version=1,
    fields=(("prefix", _TEXT_OR_NULL),),
)


def message_value(content: ConnectSchema) -> ConnectSchema:
    """Return the schema of a logical message's event.

    `content` is what binary.handling.mode makes of bytes. Unlike a row's event it has neither
    ts_us nor ts_ns.
    """
    message = ConnectSchema(
        STRUCT,
        name="io.debezium.connector.postgresql.Message",
        version=1,
        fields=(("prefix", _TEXT_OR_NULL), ("content", content.as_optional())),
    )
    return ConnectSchema(
        STRUCT,
        name="io.debezium.connector.postgresql.MessageValue",
        version=1,
        fields=(
            ("op", _TEXT),
            ("ts_ms", _LONG_OR_NULL),
            ("source", SOURCE),
            ("transaction", TRANSACTION_BLOCK),
            ("message", message),
        ),
    )


def key_schema(name: str, columns: Iterable[Field]) -> ConnectSchema:
    """Return the schema of a table's key; `name` is the topic's with `.Key` after it."""
    return ConnectSchema(STRUCT, name=name, fields=tuple(columns))


def row_schema(name: str, columns: Iterable[Field]) -> ConnectSchema:
    """Return the schema of a table's rows; `name` is the topic's with `.Value` after it.

    Optional, because an envelope has no row on one side or the other.
    """
    return ConnectSchema(STRUCT, name=name, optional=True, fields=tuple(columns))


def envelope_schema(name: str, row: ConnectSchema) -> ConnectSchema:
    """Return the schema of a row's event; `name` is the topic's with `.Envelope` after it."""
    return ConnectSchema(
        STRUCT,
        name=name,
        version=ENVELOPE_VERSION,
        fields=(
            ("before", row),
            ("after", row),
            ("source", SOURCE),
            ("transaction", TRANSACTION_BLOCK),
            ("op", _TEXT),
            ("ts_ms", _LONG_OR_NULL),
            ("ts_us", _LONG_OR_NULL),
            ("ts_ns", _LONG_OR_NULL),
        ),
    )
