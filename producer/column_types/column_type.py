"""What the other parts know of a column's type: its schema and how its values are written. Pure.

The text of a value is what a session with DateStyle ISO, TimeZone UTC, IntervalStyle iso_8601,
bytea_output hex and extra_float_digits 1 writes in UTF-8; the connections pin those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from producer.connect_schema import ConnectSchema

Parse = Callable[[bytes], Any]
EncodeJson = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class ColumnType:
    """How the values of one column are written.

    `encode_json(text)` equals `connect_schema.encode_json(schema, parse(text))`, faster. Both
    raise ValueError for a text that has no value in this mode (NaN as a Decimal), and for
    bytes the schema cannot hold; nothing else.
    """

    schema: ConnectSchema
    """Whether the column is nullable is the relation's to say: optional only where Debezium's
    schema always is."""
    parse: Parse
    encode_json: EncodeJson
    unavailable: Any
    """Connect value that stands for a stored value the server did not send (TOAST); None where
    the type cannot express one. Without schemas the placeholder itself, for every type."""
    name: str = ""
    """The declared type as pg_type names it: a domain's own name, not its base's."""
    scale: int | None = None
    """Digits behind the point of a decimal, which the schema of mode string does not say."""


@dataclass(frozen=True, slots=True)
class ValueModes:
    """Debezium's value modes, by its property names and words."""

    decimal_handling_mode: str = "precise"  # precise, double, string
    time_precision_mode: str = "adaptive"
    # adaptive, adaptive_time_microseconds, connect, isostring, microseconds, nanoseconds
    interval_handling_mode: str = "numeric"  # numeric, string
    hstore_handling_mode: str = "json"  # json, map
    binary_handling_mode: str = "bytes"  # bytes, base64, base64-url-safe, hex
    money_fraction_digits: int = 2
    include_unknown_datatypes: bool = True
    """False leaves a column of a type without a form of its own out, as Debezium does."""
    unavailable_value_placeholder: bytes = b"__debezium_unavailable_value"
    debezium_values: bool = False
    """True writes Debezium's values also where they are false: see docs/debezium.md."""
    schemaless: bool = False
    """True where no schema goes with the values, so that more can be said than it allows: an
    array nests as it has dimensions, the placeholder stands for a value of any type."""
    lossless: bool = False
    """True keeps what the Connect form of a value drops, in another form than Debezium's: bit
    strings and sparse vectors are PostgreSQL's text, a time with zone keeps its offset."""

    @property
    def unavailable_text(self) -> str:
        """The placeholder where a string stands; bytes that are no UTF-8 are replaced."""
        return self.unavailable_value_placeholder.decode(errors="replace")


READABLE = ValueModes(
    decimal_handling_mode="string",
    time_precision_mode="isostring",
    interval_handling_mode="string",
    binary_handling_mode="base64",
    schemaless=True,
    lossless=True,
)
"""The modes of `.wal`, whatever the table topics have: `changes` shows people dates and numbers."""


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What pg_type says of a type, and of those it is made of.

    `kind` is pg_type.typtype: b base, d domain, e enum, c composite, r range, m multirange;
    `element` is set for an array type, `base` and `base_modifier` for a domain.
    """

    oid: int
    pg_schema: str
    name: str
    kind: str = "b"
    element: TypeFacts | None = None
    base: TypeFacts | None = None
    base_modifier: int = -1
    labels: tuple[str, ...] = ()
    """An enum's labels in their order."""
    delimiter: str = ","
    """What separates the type's values in the text of an array (pg_type.typdelim)."""
