"""What the settings are put together to."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.assembly import Assembly, assemble
from producer.avro_serializer import AvroSerializer
from producer.settings import ProducerSettings


def assembled(environ: dict[str, str], *config_files: Path) -> Assembly:
    def no_avro() -> AvroSerializer:
        raise AssertionError("nothing here is Avro")

    settings, _ = ProducerSettings.configured(environ, config_files)
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


CONFIG = """\
database.hostname=localhost
database.dbname=shop
database.user=shop
database.password=shop
topic.prefix=shop
key.converter.schemas.enable=false
value.converter.schemas.enable=false
"""


def test_bits_and_times_with_a_zone_keep_debeziums_form_beside_a_configuration_of_it(
    tmp_path: Path,
) -> None:
    config = tmp_path / "connector.properties"
    config.write_text(CONFIG)
    modes = assembled({}, config).table_modes
    assert modes.schemaless
    assert not modes.lossless
    assert assembled({}).table_modes.lossless
    config.write_text(f"{CONFIG}bemi.lossless.values=true\n")
    assert assembled({}, config).table_modes.lossless


def test_a_placeholder_may_be_given_as_bytes() -> None:
    name = "BEMI_PRODUCER_UNAVAILABLE_VALUE_PLACEHOLDER"
    assert assembled({name: "hex:00ff61"}).table_modes.unavailable_value_placeholder == b"\0\xffa"
    assert assembled({name: "gone"}).table_modes.unavailable_value_placeholder == b"gone"
