"""Records in Confluent's wire format, and the registry asked once for each schema."""

from __future__ import annotations

import pytest

from producer.avro_serializer import AvroSerializer
from producer.connect_schema import INT32, INT64, STRUCT, ConnectSchema
from producer.errors import ValueNotConvertible

KEY = ConnectSchema(STRUCT, name="a.t.Key", fields=(("id", ConnectSchema(INT32)),))
OTHER_KEY = ConnectSchema(STRUCT, name="a.t.Key", fields=(("id", ConnectSchema(INT64)),))


class CountingRegistry:
    """Gives the next number to each question, and remembers what was asked."""

    def __init__(self, first_id: int = 1) -> None:
        self.subjects: list[str] = []
        self._first_id = first_id

    def id_of(self, subject: str, schema: str) -> int:
        self.subjects.append(subject)
        return self._first_id + len(self.subjects) - 1


def test_a_record_is_a_zero_the_id_and_the_value() -> None:
    writer = AvroSerializer(CountingRegistry(0x01020304)).schema("a.t", KEY, is_key=True)

    assert writer.header == b"\x00\x01\x02\x03\x04"
    assert writer.encode({"id": 1}) == b"\x00\x01\x02\x03\x04\x02"


def test_the_registry_is_asked_once_for_each_subject_and_schema() -> None:
    registry = CountingRegistry()
    serializer = AvroSerializer(registry)

    first = serializer.schema("a.t", KEY, is_key=True)
    assert serializer.schema("a.t", KEY, is_key=True) is first
    serializer.schema("a.t", KEY)
    serializer.schema("a.u", KEY, is_key=True)
    changed = serializer.schema("a.t", OTHER_KEY, is_key=True)

    assert registry.subjects == ["a.t-key", "a.t-value", "a.u-key", "a.t-key"]
    assert changed.schema_id != first.schema_id
    # A table may get its old form back.
    assert serializer.schema("a.t", KEY, is_key=True) is first


def test_a_value_of_another_schema_is_refused_by_its_field() -> None:
    writer = AvroSerializer(CountingRegistry()).schema("a.t", KEY, is_key=True)
    with pytest.raises(ValueNotConvertible, match=r"a\.t-key.*id is null"):
        writer.encode({})
