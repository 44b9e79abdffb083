"""Connect's converters as settings."""

from __future__ import annotations

import pytest

from producer.configuration.assigned import Assigned
from producer.configuration.converters import assign_converters

JSON = "org.apache.kafka.connect.json.JsonConverter"
CONFLUENT = "io.confluent.connect.avro.AvroConverter"
APICURIO = "io.apicurio.registry.utils.converter.AvroConverter"


def assigned(properties: dict[str, str]) -> Assigned:
    found = Assigned()
    assign_converters(properties, found)
    return found


def values(properties: dict[str, str]) -> dict[str, object]:
    found = assigned(properties)
    assert not found.problems
    return {attribute: given.value for attribute, given in found.given.items()}


@pytest.mark.parametrize(
    ("properties", "key", "value"),
    [
        ({}, "json_schemas", "json_schemas"),
        ({"key.converter": JSON}, "json_schemas", "json_schemas"),
        (
            {"key.converter": JSON, "key.converter.schemas.enable": "false"},
            "json",
            "json_schemas",
        ),
        ({"value.converter.schemas.enable": " FALSE "}, "json_schemas", "json"),
        (
            {"value.converter": CONFLUENT, "value.converter.schema.registry.url": "http://r"},
            "json_schemas",
            "avro",
        ),
    ],
)
def test_the_format_is_the_converters(properties: dict[str, str], key: str, value: str) -> None:
    found = values(properties)
    assert (found["key_format"], found["value_format"]) == (key, value)


def test_what_a_registry_needs_is_taken_from_the_converter() -> None:
    found = values(
        {
            "value.converter": CONFLUENT,
            "value.converter.schema.registry.url": "http://r:8081",
            "value.converter.basic.auth.credentials.source": "USER_INFO",
            "value.converter.basic.auth.user.info": "u:p",
            "value.converter.auto.register.schemas": "false",
        }
    )
    assert found["schema_registry_url"] == "http://r:8081"
    assert found["schema_registry_user_info"] == "u:p"
    assert found["schema_registry_auto_register"] is False


def test_apicurio_is_asked_by_confluents_api() -> None:
    found = values(
        {
            "value.converter": APICURIO,
            "value.converter.apicurio.registry.url": "http://r/apis/registry/v2",
            "value.converter.apicurio.registry.as-confluent": "true",
            "value.converter.apicurio.registry.auto-register": "true",
        }
    )
    assert found["schema_registry_url"] == "http://r/apis/ccompat/v7"


def test_avro_needs_no_registry_where_schemas_are_in_a_folder() -> None:
    found = values({"value.converter": CONFLUENT, "bemi.avro.schema.directory": "/schemas"})
    assert found["value_format"] == "avro"
    assert "schema_registry_url" not in found


@pytest.mark.parametrize(
    ("name", "value", "replaces"),
    [
        ("value.converter.replace.null.with.default", "true", "true"),
        ("value.converter.ignore.default.for.nullables", "true", "false"),
    ],
)
def test_replacing_null_by_the_default_is_one_setting_for_all_converters(
    name: str, value: str, replaces: str
) -> None:
    assert values({name: value})["replace_null_with_default"] == replaces


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"value.converter": CONFLUENT}, "schema.registry.url"),
        ({"value.converter": JSON, "value.converter.decimal.format": "NUMERIC"}, "base64"),
        ({"value.converter": JSON, "value.converter.schemas.enable": "maybe"}, "true or false"),
        ({"value.converter": JSON, "value.converter.other": "1"}, "no such property"),
        ({"value.converter": "io.confluent.connect.protobuf.ProtobufConverter"}, "Java code"),
        (
            {
                "key.converter": CONFLUENT,
                "key.converter.schema.registry.url": "http://a",
                "value.converter": CONFLUENT,
                "value.converter.schema.registry.url": "http://b",
            },
            "two registries",
        ),
    ],
)
def test_what_would_be_written_differently_is_refused(
    properties: dict[str, str], says: str
) -> None:
    assert says in "; ".join(assigned(properties).problems)
