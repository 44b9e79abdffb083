"""What Connect's converters make of keys and values, as settings. Pure.

A converter is Java code; known here are those that write JSON and Avro in the forms that this
producer writes. Whatever of their properties would change a byte is a setting or is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from producer.configuration.assigned import Assigned
from runtime.settings import Given

JSON: Final = frozenset({"org.apache.kafka.connect.json.JsonConverter", "JsonConverter", "Json"})
CONFLUENT: Final = frozenset({"io.confluent.connect.avro.AvroConverter"})
APICURIO: Final = frozenset(
    {
        "io.apicurio.registry.utils.converter.AvroConverter",
        "io.apicurio.registry.utils.converter.ExtAvroConverter",
    }
)
_SIDES = ("key", "value")
_APICURIO_API = re.compile(r"/apis/registry/v\d+/?$")
_AS_CONFLUENT = "apicurio.registry.as-confluent"

# Sub-properties that are a setting of both sides together.
_REGISTRY: Final = {
    "schema.registry.url": "schema_registry_url",
    "apicurio.registry.url": "schema_registry_url",
    "basic.auth.user.info": "schema_registry_user_info",
    "schema.registry.basic.auth.user.info": "schema_registry_user_info",
    "auto.register.schemas": "schema_registry_auto_register",
    "apicurio.registry.auto-register": "schema_registry_auto_register",
    "replace.null.with.default": "replace_null_with_default",
}
# Sub-properties with the values that change nothing; None accepts every value.
_NO_CHANGE: Final[dict[str, tuple[str, ...] | None]] = {
    "converter.type": None,
    "schemas.cache.size": None,
    "schemas.cache.config": None,
    "max.schemas.per.subject": None,
    "decimal.format": ("base64",),
    "basic.auth.credentials.source": ("user_info", "url"),
    "key.subject.name.strategy": ("io.confluent.kafka.serializers.subject.topicnamestrategy",),
    "value.subject.name.strategy": ("io.confluent.kafka.serializers.subject.topicnamestrategy",),
    "connect.meta.data": ("true",),
    "enhanced.avro.schema.support": ("false",),
    "use.latest.version": ("false",),
    "normalize.schemas": ("false",),
    "scrub.invalid.names": ("false",),
    "generalized.sum.type.support": ("false",),
    "apicurio.registry.find-latest": None,
    "apicurio.registry.headers.enabled": ("false",),
    _AS_CONFLUENT: ("true",),
}


def is_of_converter(name: str) -> bool:
    """Tell whether the property is a converter, or a converter's."""
    return re.match(r"(key|value)\.converter($|\.(?!plugin\.version$))", name) is not None


def assign_converters(properties: Mapping[str, str], assigned: Assigned) -> None:
    """Add the formats, and what the registry needs, to the settings."""
    for side in _SIDES:
        name = f"{side}.converter"
        prefix = f"{name}."
        own = {key.removeprefix(prefix): value for key, value in properties.items()
               if key.startswith(prefix)}  # fmt: skip
        converter = properties.get(name, "").strip()
        if converter in CONFLUENT | APICURIO:
            assigned.give(f"{side}_format", Given(name, "avro"))
            if converter in APICURIO:
                own = _as_confluent(own, name, assigned)
        elif not converter or converter in JSON:
            with_schemas = own.pop("schemas.enable", "true")
            if converter or f"{prefix}schemas.enable" in properties:
                assigned.give(f"{side}_format", Given(name, _json_format(with_schemas)))
        else:
            assigned.problems.append(
                f"{name} is refused: {converter} is Java code; keys and values are written as "
                "JsonConverter or AvroConverter do"
            )
            continue
        own.pop("schemas.enable", None)
        for key, value in own.items():
            _assign_property(prefix + key, key, value, assigned)


def _assign_property(name: str, key: str, value: str, assigned: Assigned) -> None:
    if key == "ignore.default.for.nullables":
        key, value = "replace.null.with.default", str(value.strip().lower() != "true").lower()
    if key in _REGISTRY:
        attribute = _REGISTRY[key]
        if assigned.given.get(attribute, Given(name, value)).value != value:
            assigned.problems.append(
                f"{name} is refused: keys and values have {key} in common, and it differs"
            )
        assigned.give(attribute, Given(name, value))
    elif key not in _NO_CHANGE:
        assigned.problems.append(f"{name} is refused: the converter's property is not known here")
    else:
        accepted = _NO_CHANGE[key]
        if accepted is not None and value.strip().lower() not in accepted:
            assigned.problems.append(
                f"{name} is refused: what is written would differ; only {accepted[0]} is as here"
            )


def _json_format(with_schemas: str) -> str:
    return "json" if with_schemas.strip().lower() == "false" else "json_schemas"


def _as_confluent(own: Mapping[str, str], name: str, assigned: Assigned) -> dict[str, str]:
    """Return the properties with the registry's address for Confluent's API."""
    if own.get(_AS_CONFLUENT, "").strip().lower() != "true":
        assigned.problems.append(
            f"{name}.{_AS_CONFLUENT} must be true: records carry ids of four bytes, as Confluent's"
        )
    url = own.get("apicurio.registry.url", "")
    return {**own, "apicurio.registry.url": _APICURIO_API.sub("/apis/ccompat/v7", url)}
