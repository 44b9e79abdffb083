"""What a Connect converter's properties say of its schema registry. Pure.

The names are those of Confluent's AvroConverter and of Apicurio's, without `key.converter.` or
`value.converter.` before them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from runtime.errors import Stop
from runtime.registry_settings import RegistrySettings

CONFLUENT_CONVERTER: Final = "io.confluent.connect.avro.AvroConverter"
APICURIO_CONVERTER: Final = "io.apicurio.registry.utils.converter.AvroConverter"
AVRO_CONVERTERS: Final = (CONFLUENT_CONVERTER, APICURIO_CONVERTER)

_TRUSTSTORE: Final = "schema.registry.ssl.truststore."
_KEYSTORE: Final = "schema.registry.ssl.keystore."
_SUBJECTS: Final = "io.confluent.kafka.serializers.subject.TopicNameStrategy"
_WITHOUT_EFFECT: Final = (
    # Connect's own, which an Avro converter has no use for, and sizes of caches.
    "schemas.enable",
    "schemas.cache.config",
    "schemas.cache.size",
    "max.schemas.per.subject",
    # The schema that is written is registered, so there is no other to find.
    "apicurio.registry.find-latest",
)
_CONFLUENT_ONLY: Final = {
    "use.latest.version": ("false", "false", "a record has the schema of its own table"),
    "connect.meta.data": ("true", "true", "Debezium's types are told apart by it"),
    "enhanced.avro.schema.support": ("false", "false", "enums are strings, as in Debezium"),
    "scrub.invalid.names": ("false", "false", "set schema.name.adjustment.mode instead"),
    "key.subject.name.strategy": (_SUBJECTS, _SUBJECTS, "subjects are named by the topic"),
    "value.subject.name.strategy": (_SUBJECTS, _SUBJECTS, "subjects are named by the topic"),
}
_APICURIO: Final = "apicurio.registry."
_APICURIO_ONLY: Final = {
    f"{_APICURIO}headers.enabled": ("false", "false", "the id is in the record, not in a header"),
    f"{_APICURIO}as-confluent": ("true", "false", "ids have four bytes, as Confluent's"),
    f"{_APICURIO}use-id": ("contentId", "contentId", "that is the id Confluent's clients ask for"),
}


class UnusableConverterSetting(Stop):
    """A property of an Avro converter has a value that the producer cannot follow."""


def registry_settings(properties: Mapping[str, str]) -> RegistrySettings:
    """Return the settings that an Avro converter's properties make.

    Raises UnusableConverterSetting, which names the property, for one that is not known here or
    asks for something else than the producer does: consumers would read something else.
    """
    rest = {name: value for name, value in properties.items() if name not in _WITHOUT_EFFECT}
    is_apicurio = any(name.startswith(_APICURIO) for name in rest)
    settings = _apicurio(rest) if is_apicurio else _confluent(rest)
    if rest:
        raise UnusableConverterSetting(
            f"the Avro converter's {', '.join(sorted(rest))} is not known; remove it"
        )
    return settings


def _apicurio(rest: dict[str, str]) -> RegistrySettings:
    _check(rest, _APICURIO_ONLY)
    url = rest.pop(f"{_APICURIO}url", "").strip().rstrip("/")
    if not url:
        raise UnusableConverterSetting(f"{_APICURIO}url is missing; Avro needs a registry")
    # The same schemas by the API that Confluent's clients speak.
    url = re.sub(r"/apis/registry/v\d+$", "/apis/ccompat/v7", url)
    user = rest.pop(f"{_APICURIO}auth.username", None)
    password = rest.pop(f"{_APICURIO}auth.password", "")
    return RegistrySettings(
        url=url,
        user_info=None if user is None else f"{user}:{password}",
        auto_register_schemas=_boolean(rest, f"{_APICURIO}auto-register", False),
    )


def _confluent(rest: dict[str, str]) -> RegistrySettings:
    _check(rest, _CONFLUENT_ONLY)
    url = rest.pop("schema.registry.url", "").strip()
    if not url:
        raise UnusableConverterSetting("schema.registry.url is missing; Avro needs a registry")
    return RegistrySettings(
        url=url,
        user_info=_user_info(rest),
        auto_register_schemas=_boolean(rest, "auto.register.schemas", True),
        normalize_schemas=_boolean(rest, "normalize.schemas", False),
        ca_location=_pem(rest, _TRUSTSTORE),
        certificate_location=_pem(rest, _KEYSTORE),
        key_password=rest.pop("schema.registry.ssl.key.password", None),
    )


def _check(rest: dict[str, str], only: Mapping[str, tuple[str, str, str]]) -> None:
    """Take out what can have one value only; the second of the three is what the absence means."""
    for name, (allowed, absent, reason) in only.items():
        if rest.pop(name, absent) != allowed:
            raise UnusableConverterSetting(f"{name} has to be {allowed}: {reason}")


def _user_info(rest: dict[str, str]) -> str | None:
    # Both names are in use; the first is Confluent's, the second that of older versions.
    names = ("basic.auth.user.info", "schema.registry.basic.auth.user.info")
    found = [value for name in names if (value := rest.pop(name, None)) is not None]
    source = rest.pop("basic.auth.credentials.source", "USER_INFO" if found else "URL")
    if source == "URL":
        return None
    if source != "USER_INFO":
        raise UnusableConverterSetting(
            f"basic.auth.credentials.source can be URL or USER_INFO, not {source}"
        )
    if not found or ":" not in found[0]:
        raise UnusableConverterSetting("basic.auth.user.info has to be user:password")
    return found[0]


def _boolean(rest: dict[str, str], name: str, default: bool) -> bool:
    text = rest.pop(name, str(default)).strip().lower()
    if text not in ("true", "false"):
        raise UnusableConverterSetting(f"{name} has to be true or false")
    return text == "true"


def _pem(rest: dict[str, str], prefix: str) -> str | None:
    location = rest.pop(f"{prefix}location", None)
    kind = rest.pop(f"{prefix}type", "JKS")
    if location is None:
        return None
    if kind != "PEM":
        raise UnusableConverterSetting(
            f"{prefix}location is of type {kind}, which only Java reads; "
            f"write its certificates to a PEM file and set {prefix}type=PEM"
        )
    return location
