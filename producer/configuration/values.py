"""Settings that say what stands in an event."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from producer.configuration.property import Adopted, Count, Flag, Property, Word, checked
from runtime.settings import StageSettings

NameAdjustment = Literal["none", "avro", "avro_unicode"]


_HEX = "hex:"
_OCTETS = re.compile(r"([0-9A-Fa-f]{2})*")


def _check_placeholder(value: str) -> None:
    if value.startswith(_HEX) and _OCTETS.fullmatch(value.removeprefix(_HEX)) is None:
        raise ValueError(f"{_HEX} is not followed by two hexadecimal digits for each byte")


def placeholder_bytes(value: str) -> bytes:
    """Return what unavailable.value.placeholder stands for."""
    if value.startswith(_HEX):
        return bytes.fromhex(value.removeprefix(_HEX))
    return value.encode()


class ValueSettings(StageSettings):
    """How a row becomes an event's key, value and headers.

    `.wal` has the readable modes whatever these say.
    """

    decimal_handling_mode: Annotated[
        Literal["precise", "double", "string"],
        Word,
        Property("decimal.handling.mode", debezium="precise"),
    ] = Field("string", description="numeric and money: `precise`, `double` or `string`.")
    money_fraction_digits: Annotated[Count, Property("money.fraction.digits")] = Field(
        2, ge=0, le=32767, description="Digits after the point of a money value."
    )
    time_precision_mode: Annotated[
        Literal[
            "adaptive",
            "adaptive_time_microseconds",
            "connect",
            "isostring",
            "microseconds",
            "nanoseconds",
        ],
        Word,
        Property("time.precision.mode", debezium="adaptive"),
    ] = Field(
        "isostring",
        description="Dates and times: `adaptive`, `adaptive_time_microseconds`, `connect`, "
        "`isostring`, `microseconds` or `nanoseconds`.",
    )
    interval_handling_mode: Annotated[
        Literal["numeric", "string"],
        Word,
        Property("interval.handling.mode", debezium="numeric"),
    ] = Field("string", description="Intervals: `numeric`, in microseconds, or `string`.")
    hstore_handling_mode: Annotated[
        Literal["json", "map"], Word, Property("hstore.handling.mode")
    ] = Field("json", description="hstore: `json`, text, or `map`.")
    binary_handling_mode: Annotated[
        Literal["bytes", "base64", "base64-url-safe", "hex"],
        Word,
        Property("binary.handling.mode", debezium="bytes"),
    ] = Field("base64", description="bytea: `bytes`, `base64`, `base64-url-safe` or `hex`.")
    include_unknown_datatypes: Annotated[
        Flag,
        Property("include.unknown.datatypes", debezium=False, adopted=Adopted.WITH_DEBEZIUM_VALUES),
    ] = Field(
        True,
        description="Publish columns of types without a form of their own, as PostgreSQL's text.",
    )
    unavailable_value_placeholder: Annotated[
        str, checked(_check_placeholder), Property("unavailable.value.placeholder")
    ] = Field(
        "__debezium_unavailable_value",
        description="Stands for a stored value that the server did not send; `hex:` and digits "
        "for bytes.",
    )
    event_converting_failure_handling_mode: Annotated[
        Literal["fail", "warn", "skip"],
        Word,
        Property(
            "event.converting.failure.handling.mode",
            debezium="warn",
            adopted=Adopted.WITH_DEBEZIUM_VALUES,
        ),
    ] = Field(
        "fail",
        description="A value that its mode cannot express: `fail` stops with the column's name, "
        "`warn` and `skip` make it null, with and without a line in the log.",
    )
    tombstones_on_delete: Annotated[Flag, Property("tombstones.on.delete")] = Field(
        True, description="Follow each delete by a tombstone."
    )
    provide_transaction_metadata: Annotated[
        Flag, Property("provide.transaction.metadata", debezium=False)
    ] = Field(True, description="Publish `.transaction` and fill each event's `transaction` block.")
    extended_headers_enabled: Annotated[
        Flag, Property("extended.headers.enabled", debezium=True)
    ] = Field(False, description="Put the `__debezium.context.*` headers on each record.")
    schema_name_adjustment_mode: Annotated[
        NameAdjustment, Word, Property("schema.name.adjustment.mode")
    ] = Field(
        "none",
        description="Make schema names valid in Avro: `none`, `avro` (other characters become "
        "`_`) or `avro_unicode` (they become `_u` and their code).",
    )
    field_name_adjustment_mode: Annotated[
        NameAdjustment, Word, Property("field.name.adjustment.mode")
    ] = Field("none", description="The same for the names of fields.")
    lossless_values: Annotated[Flag, Property("bemi.lossless.values", debezium=False)] = Field(
        True,
        description="In JSON without schemas, write bit strings and sparse vectors as "
        "PostgreSQL's text and keep the offset of a time with time zone.",
    )
    debezium_values: Annotated[Flag, Property("bemi.debezium.values")] = Field(
        False,
        description="Write Debezium's values also where they are false, and take its defaults "
        "where those lose data: see docs/debezium.md.",
    )
