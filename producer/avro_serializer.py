"""Serialize records as Avro in Confluent's wire format: a zero, the schema's id, the value.

Pure but for what the registry does when a schema is met for the first time; after that a value
costs its encoding only. Where ids come from is the registry's business: a server
(`schema_registry`) or a folder (`schema_files`).

Format: Confluent, "Wire format"; its TopicNameStrategy names the subjects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from producer.avro_encoding import Encode, encoder
from producer.avro_format import avro_json
from producer.connect_schema import ConnectSchema
from producer.errors import ValueNotConvertible

MAGIC: Final = b"\x00"
ID_BYTES: Final = 4


class Registry(Protocol):
    """Whoever gives schemas the ids by which consumers find them."""

    def id_of(self, subject: str, schema: str) -> int:
        """Return the id of the Avro schema under the subject, the same one each time.

        Raises a Retry for what heals by itself, a Stop for what a person must decide.
        """


@dataclass(frozen=True, slots=True)
class AvroWriter:
    """Writes the values of one schema under one subject."""

    subject: str
    schema_id: int
    header: bytes
    """What each record begins with; for those who put the value's parts together themselves."""
    encode_value: Encode

    def encode(self, value: Any) -> bytes:
        """Return the record.

        Raises ValueNotConvertible, which names the field, for a value that is not the schema's.
        """
        try:
            return self.header + self.encode_value(value)
        except ValueError as error:
            raise ValueNotConvertible(
                f"a record of {self.subject} cannot be written as Avro: {error}"
            ) from error


class AvroSerializer:
    """Finds the writer for a topic's keys or values."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._writers: dict[tuple[str, str], AvroWriter] = {}

    def schema(self, topic: str, schema: ConnectSchema, *, is_key: bool = False) -> AvroWriter:
        """Return the writer for the schema; the registry is asked the first time only.

        For each relation once, not for each event: it translates the schema each time.
        """
        subject = f"{topic}-key" if is_key else f"{topic}-value"
        text = avro_json(schema)
        writer = self._writers.get((subject, text))
        if writer is None:
            schema_id = self._registry.id_of(subject, text)
            header = MAGIC + schema_id.to_bytes(ID_BYTES, "big")
            writer = AvroWriter(subject, schema_id, header, encoder(schema))
            self._writers[subject, text] = writer
        return writer

    def encoder(self, topic: str, schema: ConnectSchema, *, is_key: bool) -> Encode:
        """Return the writer's `encode`: what `connect_events` asks of a format."""
        return self.schema(topic, schema, is_key=is_key).encode
