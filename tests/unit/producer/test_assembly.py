"""What the settings are put together to."""

from __future__ import annotations

import pytest

from producer.assembly import Assembly, assemble
from producer.avro_serializer import AvroSerializer
from producer.settings import ProducerSettings


def assembled(environ: dict[str, str]) -> Assembly:
    def no_avro() -> AvroSerializer:
        raise AssertionError("nothing here is Avro")

    settings, _ = ProducerSettings.configured(environ)
    return assemble(settings, "shop", "run", no_avro)


def test_without_a_file_tables_and_wal_are_written_once_for_both() -> None:
    assembly = assembled({})
    assert assembly.tables is not None
    assert assembly.tables is assembly.wal


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BEMI_PRODUCER_VALUE_FORMAT", "json_schemas"),
        ("BEMI_PRODUCER_DECIMAL_HANDLING_MODE", "double"),
        ("BEMI_PRODUCER_FIELD_NAME_ADJUSTMENT_MODE", "avro"),
    ],
)
def test_tables_of_another_form_than_wal_are_written_apart(name: str, value: str) -> None:
    assembly = assembled({name: value})
    assert assembly.tables is not None
    assert assembly.wal is not None
    assert assembly.tables is not assembly.wal
