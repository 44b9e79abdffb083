"""What Connect's converters make of keys and values, as settings. Pure.

A converter is Java code; known here are those that write JSON and Avro in the forms that this
producer writes. Whatever of their properties would change a byte is a setting or is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from producer.configuration.assigned import Assigned
from producer.configuration.unused import Unused
from producer.registry_settings import AVRO_CONVERTERS, registry_settings
from runtime.errors import Stop
from runtime.settings import Given

JSON_CONVERTERS: Final = ("org.apache.kafka.connect.json.JsonConverter", "JsonConverter")
SCHEMA_DIRECTORY: Final = "bemi.avro.schema.directory"
_SIDES: Final = ("key", "value")
_REGISTRY: Final = re.compile(r"schema\.registry\.url|apicurio\.registry\.url")

# What JsonConverter has besides schemas.enable.
_OF_JSON: Final = (
    Unused("converter.type", "it says which converter it is", None),
    Unused("schemas.cache.size", "it sizes a cache", None),
    Unused("decimal.format", "a precise decimal is bytes in base64", ("base64",)),
)


def is_of_converter(name: str) -> bool:
    """Tell whether the property is a converter, or a converter's."""
    return re.match(r"(key|value)\.converter($|\.(?!plugin\.version$))", name) is not None


def assign_converters(properties: Mapping[str, str], assigned: Assigned) -> None:
    """Add the formats, and what the registry needs, to the settings."""
    for side in _SIDES:
        name = f"{side}.converter"
        converter = properties.get(name, "").strip()
        prefix = f"{name}."
        own = {
            key.removeprefix(prefix): value
            for key, value in properties.items()
            if is_of_converter(key) and key.startswith(prefix)
        }
        _assign_null(prefix, own, assigned)
        if converter in AVRO_CONVERTERS:
            assigned.give(f"{side}_format", Given(name, "avro"))
            if SCHEMA_DIRECTORY not in properties or any(map(_REGISTRY.fullmatch, own)):
                _assign_registry(prefix, own, assigned)
        elif converter in JSON_CONVERTERS or not converter:
            _assign_json(side, own, assigned)
        else:
            assigned.problems.append(
                f"{name} is refused: {converter} is Java code; keys and values are written as "
                "JsonConverter or AvroConverter do"
            )


def _assign_null(prefix: str, own: dict[str, str], assigned: Assigned) -> None:
    """Take out what the converters call the one setting that they have in common."""
    if (value := own.pop("replace.null.with.default", None)) is not None:
        name = f"{prefix}replace.null.with.default"
        assigned.give("replace_null_with_default", Given(name, value))
    if (value := own.pop("ignore.default.for.nullables", None)) is not None:
        name = f"{prefix}ignore.default.for.nullables"
        replaces = "false" if value.strip().lower() == "true" else "true"
        assigned.give("replace_null_with_default", Given(name, replaces))


def _assign_json(side: str, own: dict[str, str], assigned: Assigned) -> None:
    with_schemas = own.pop("schemas.enable", "true").strip().lower()
    name = f"{side}.converter.schemas.enable"
    if with_schemas not in ("true", "false"):
        assigned.problems.append(f"{name} has to be true or false")
    assigned.give(
        f"{side}_format", Given(name, "json_schemas" if with_schemas == "true" else "json")
    )
    for key, value in own.items():
        entry = next((entry for entry in _OF_JSON if entry.name == key), None)
        if entry is None:
            assigned.problems.append(
                f"{side}.converter.{key} is refused: JsonConverter has no such property"
            )
        elif not entry.accepts(value):
            assigned.problems.append(f"{side}.converter.{key} is refused: {entry.reason}")


def _assign_registry(prefix: str, own: Mapping[str, str], assigned: Assigned) -> None:
    try:
        registry = registry_settings(own)
    except Stop as error:
        assigned.problems.append(f"{prefix}*: {error}")
        return
    found = {
        "schema_registry_url": registry.url,
        "schema_registry_user_info": registry.user_info,
        "schema_registry_auto_register": registry.auto_register_schemas,
        "schema_registry_normalize": registry.normalize_schemas,
        "schema_registry_ca_location": registry.ca_location,
        "schema_registry_certificate_location": registry.certificate_location,
        "schema_registry_key_location": registry.key_location,
        "schema_registry_key_password": registry.key_password,
    }
    for attribute, value in found.items():
        if value is None:
            continue
        if attribute in assigned.given and assigned.given[attribute].value != value:
            assigned.problems.append(
                "key.converter.* and value.converter.* name two registries, or one in two ways"
            )
        assigned.give(attribute, Given(f"{prefix}*", value))
