"""The properties of an Avro converter, as a Connect worker has them."""

from __future__ import annotations

import pytest

from producer.registry_settings import UnusableConverterSetting, registry_settings
from runtime.registry_settings import RegistrySettings

URL = {"schema.registry.url": "http://registry:8081"}
APICURIO = {
    "apicurio.registry.url": "http://apicurio:8080/apis/registry/v2",
    "apicurio.registry.as-confluent": "true",
}


@pytest.mark.parametrize(
    ("properties", "settings"),
    [
        (URL, RegistrySettings("http://registry:8081")),
        (
            URL | {"auto.register.schemas": "FALSE", "normalize.schemas": "true"},
            RegistrySettings(
                "http://registry:8081", auto_register_schemas=False, normalize_schemas=True
            ),
        ),
        (
            URL | {"basic.auth.credentials.source": "USER_INFO", "basic.auth.user.info": "me:a:b"},
            RegistrySettings("http://registry:8081", user_info="me:a:b"),
        ),
        (
            URL | {"schema.registry.basic.auth.user.info": "me:secret"},
            RegistrySettings("http://registry:8081", user_info="me:secret"),
        ),
        (
            URL
            | {
                "schema.registry.ssl.truststore.location": "/ca.pem",
                "schema.registry.ssl.truststore.type": "PEM",
                "schema.registry.ssl.keystore.location": "/me.pem",
                "schema.registry.ssl.keystore.type": "PEM",
                "schema.registry.ssl.key.password": "secret",
            },
            RegistrySettings(
                "http://registry:8081",
                ca_location="/ca.pem",
                certificate_location="/me.pem",
                key_password="secret",
            ),
        ),
        (
            URL | {"schemas.enable": "true", "use.latest.version": "false"},
            RegistrySettings("http://registry:8081"),
        ),
        (
            APICURIO
            | {
                "apicurio.registry.auto-register": "true",
                "apicurio.registry.find-latest": "true",
                "apicurio.registry.headers.enabled": "false",
                "apicurio.registry.use-id": "contentId",
                "schemas.enable": "false",
            },
            RegistrySettings("http://apicurio:8080/apis/ccompat/v7"),
        ),
        (
            APICURIO
            | {
                "apicurio.registry.auth.username": "me",
                "apicurio.registry.auth.password": "secret",
            },
            RegistrySettings(
                "http://apicurio:8080/apis/ccompat/v7",
                user_info="me:secret",
                auto_register_schemas=False,
            ),
        ),
    ],
)
def test_properties_make(properties: dict[str, str], settings: RegistrySettings) -> None:
    assert registry_settings(properties) == settings


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, r"schema\.registry\.url is missing"),
        (URL | {"shema.registry": "x"}, r"shema\.registry is not known"),
        (URL | {"use.latest.version": "true"}, r"use\.latest\.version has to be false"),
        (URL | {"scrub.invalid.names": "true"}, r"schema\.name\.adjustment\.mode"),
        (URL | {"auto.register.schemas": "yes"}, "true or false"),
        (URL | {"basic.auth.user.info": "me"}, "user:password"),
        (URL | {"basic.auth.credentials.source": "SASL_INHERIT"}, "URL or USER_INFO"),
        (URL | {"schema.registry.ssl.truststore.location": "/ca.jks"}, "PEM"),
        (APICURIO | {"apicurio.registry.headers.enabled": "true"}, r"headers\.enabled"),
        ({"apicurio.registry.url": "http://a"}, "as-confluent has to be true"),
        (APICURIO | {"apicurio.registry.use-id": "globalId"}, "contentId"),
    ],
)
def test_what_the_producer_cannot_follow_is_refused_by_name(
    properties: dict[str, str], reason: str
) -> None:
    with pytest.raises(UnusableConverterSetting, match=reason):
        registry_settings(properties)


def test_a_password_in_the_url_is_not_shown() -> None:
    settings = RegistrySettings("http://me:secret@one:8081,https://me:secret@two")
    assert settings.address == "http://one:8081,https://two"
