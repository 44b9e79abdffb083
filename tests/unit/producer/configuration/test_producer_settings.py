"""The producer's settings out of a file, the environment and two sets of defaults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from producer.settings import ProducerSettings
from runtime.settings import InvalidSettings

MINIMAL = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "database.hostname": "db",
    "database.user": "me",
    "database.dbname": "shop",
    "topic.prefix": "shop",
}


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "connector.json"
    write(path)
    return path


def write(path: Path, **properties: object) -> None:
    own = {name.replace("_", "."): value for name, value in properties.items()}
    path.write_text(json.dumps(MINIMAL | own))


def test_without_a_file_the_defaults_are_those_of_an_audit_trail() -> None:
    settings = ProducerSettings.from_environ({})
    assert (settings.slot_name, settings.publication_name) == ("bemi", "bemi")
    assert (settings.decimal_handling_mode, settings.time_precision_mode) == ("string", "isostring")
    assert (settings.key_format, settings.value_format) == ("json", "json")
    assert (settings.snapshot_mode, settings.publish_wal) == ("no_data", True)
    assert settings.provide_transaction_metadata
    assert settings.heartbeat_interval_ms == 10_000


def test_with_a_file_the_defaults_are_debeziums(config_file: Path) -> None:
    settings, notes = ProducerSettings.configured({}, [config_file])
    assert not notes
    assert (settings.slot_name, settings.publication_name) == ("debezium", "dbz_publication")
    assert (settings.decimal_handling_mode, settings.time_precision_mode) == ("precise", "adaptive")
    assert (settings.key_format, settings.value_format) == ("json_schemas", "json_schemas")
    assert (settings.snapshot_mode, settings.publish_wal) == ("initial", False)
    assert not settings.provide_transaction_metadata
    assert settings.heartbeat_interval_ms == 0


def test_with_a_file_events_stay_honest(config_file: Path) -> None:
    settings, _ = ProducerSettings.configured({}, [config_file])
    assert settings.skipped_operations == ()
    assert settings.include_unknown_datatypes
    assert settings.event_converting_failure_handling_mode == "fail"
    assert not settings.replace_null_with_default


def test_one_switch_restores_debeziums_values(config_file: Path) -> None:
    write(config_file, bemi_debezium_values=True, skipped_operations="none")
    settings, _ = ProducerSettings.configured({}, [config_file])
    assert settings.skipped_operations == ()
    assert not settings.include_unknown_datatypes
    assert settings.event_converting_failure_handling_mode == "warn"
    assert settings.replace_null_with_default
    by_environment = ProducerSettings.from_environ({"BEMI_PRODUCER_DEBEZIUM_VALUES": "true"})
    assert by_environment.skipped_operations == ("t",)
    assert by_environment.slot_name == "bemi"


def test_the_environment_goes_before_the_file_and_may_name_it(config_file: Path) -> None:
    write(config_file, slot_name="a", table_include_list="public.a")
    settings = ProducerSettings.from_environ(
        {
            "BEMI_PRODUCER_CONFIG_FILE": str(config_file),
            "BEMI_PRODUCER_SLOT_NAME": "b",
            "DB_HOST": "other",
        }
    )
    assert (settings.slot_name, settings.db_host, settings.db_name) == ("b", "other", "shop")
    assert settings.table_include_list == ("public.a",)


def test_a_workers_file_may_stand_before_the_connectors(config_file: Path, tmp_path: Path) -> None:
    worker = tmp_path / "worker.properties"
    worker.write_text(
        "bootstrap.servers=k:9092\ntopic.prefix=worker\ngroup.id=connect\n"
        "value.converter=org.apache.kafka.connect.json.JsonConverter\n"
        "value.converter.schemas.enable=false\n"
    )
    settings = ProducerSettings.from_environ(
        {"BEMI_PRODUCER_CONFIG_FILE": f"{worker}:{config_file}"}
    )
    assert settings.kafka_bootstrap_servers == "k:9092"
    assert settings.topic_prefix == "shop"
    assert settings.value_format == "json"


def test_what_has_no_default_must_be_given(config_file: Path) -> None:
    config_file.write_text(json.dumps({"topic.prefix": "shop"}))
    with pytest.raises(InvalidSettings, match="hostname is missing") as caught:
        ProducerSettings.configured({"DB_NAME": "shop"}, [config_file])
    assert "database.dbname" not in str(caught.value)


def test_all_problems_of_a_file_are_told_at_once(config_file: Path) -> None:
    write(config_file, transforms="unwrap", plugin_name="wal2json", slot_nam="x")
    with pytest.raises(InvalidSettings) as caught:
        ProducerSettings.configured({}, [config_file])
    for name in ("transforms", "plugin.name", "slot.nam;"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database.port", "many"),
        ("snapshot.mode", "sometimes"),
        ("tombstones.on.delete", "perhaps"),
        ("table.include.list", "("),
        ("slot.name", "Orders"),
        ("signal.enabled.channels", "jmx"),
        ("notification.enabled.channels", "sink"),
        ("unavailable.value.placeholder", "hex:0"),
        ("topic.creation.default.partitions", "some"),
        ("topic.creation.other.partitions", "1"),
        ("column.mask.hash.v2.CRC32.with.salt.x", "a"),
        ("database.sslmode", "maybe"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(config_file: Path, name: str, value: str) -> None:
    config_file.write_text(json.dumps({**MINIMAL, name: value}))
    with pytest.raises(InvalidSettings):
        ProducerSettings.configured({}, [config_file])


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("BEMI_PRODUCER_SLOT_NAM", "x", "BEMI_PRODUCER_SLOT_NAME"),
        ("BEMI_PRODUCER_TRANSFORMS", "x", "transforms"),
        ("BEMI_PRODUCER_COLUMN_MASK_WITH_3_CHARS", "x", "BEMI_PRODUCER_COLUMN_RULES"),
        ("BEMI_PRODUCER_COLUMN_RULES", "{", "JSON"),
    ],
)
def test_a_variable_that_cannot_be_used_is_refused_with_advice(
    variable: str, value: str, says: str
) -> None:
    with pytest.raises(InvalidSettings, match=says):
        ProducerSettings.from_environ({variable: value})


def test_families_are_json_in_the_environment() -> None:
    settings = ProducerSettings.from_environ(
        {
            "BEMI_PRODUCER_COLUMN_RULES": '{"column.mask.with.3.chars": "public.users.ssn"}',
            "BEMI_PRODUCER_KAFKA_PROPERTIES": '{"security.protocol": "SSL"}',
        }
    )
    assert settings.column_rules == {"column.mask.with.3.chars": "public.users.ssn"}
    assert settings.kafka_properties == {"security.protocol": "SSL"}


def test_neither_the_text_of_the_settings_nor_an_error_has_a_secret(config_file: Path) -> None:
    config_file.write_text(
        json.dumps(
            {
                **MINIMAL,
                "database.password": "hunter2",
                "column.mask.hash.v2.SHA-256.with.salt.hunter2": "a",
                "producer.override.sasl.jaas.config": "x.PlainLoginModule required username=a "
                "password=hunter2;",
            }
        )
    )
    settings, notes = ProducerSettings.configured({}, [config_file])
    assert "hunter2" not in repr(settings) + "".join(notes)
    with pytest.raises(InvalidSettings) as caught:
        ProducerSettings.configured({"BEMI_PRODUCER_WAL_PARTITIONS": "0"}, [config_file])
    assert "hunter2" not in str(caught.value)
