"""How a stage connects to Kafka: settings by the names that librdkafka has for them."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from runtime.system_authorities import system_authorities


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


class KafkaSettings(BaseSettings):
    """Brokers, encryption and login, the same for every client of a stage."""

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        validation_alias="BEMI_KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers, `host:port`, separated by commas.",
    )
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper)
    ] = Field(
        "PLAINTEXT",
        validation_alias="BEMI_KAFKA_SECURITY_PROTOCOL",
        description=(
            "How to talk to the brokers: `PLAINTEXT`, `SSL` (encrypted), `SASL_PLAINTEXT` (with a "
            "login, in the clear) or `SASL_SSL` (both)."
        ),
    )
    kafka_sasl_mechanism: Annotated[
        Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(_upper)
    ] = Field(
        "",
        validation_alias="BEMI_KAFKA_SASL_MECHANISM",
        description="How to log in: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.",
    )
    kafka_sasl_username: str = Field(
        "", validation_alias="BEMI_KAFKA_SASL_USERNAME", description="Who logs in to the brokers."
    )
    kafka_sasl_password: SecretStr = Field(
        SecretStr(""),
        validation_alias="BEMI_KAFKA_SASL_PASSWORD",
        description="Its password; also by BEMI_KAFKA_SASL_PASSWORD_FILE.",
    )
    kafka_ssl_ca_location: str = Field(
        "",
        validation_alias="BEMI_KAFKA_SSL_CA_LOCATION",
        description=(
            "PEM file of the authorities that sign the brokers' certificates; the system's own "
            "where it is empty."
        ),
    )
    kafka_ssl_certificate_location: str = Field(
        "",
        validation_alias="BEMI_KAFKA_SSL_CERTIFICATE_LOCATION",
        description="PEM file of the certificate that is shown to the brokers, with its chain.",
    )
    kafka_ssl_key_location: str = Field(
        "",
        validation_alias="BEMI_KAFKA_SSL_KEY_LOCATION",
        description="PEM file of that certificate's key.",
    )
    kafka_ssl_key_password: SecretStr = Field(
        SecretStr(""),
        validation_alias="BEMI_KAFKA_SSL_KEY_PASSWORD",
        description="Password of that key; also by BEMI_KAFKA_SSL_KEY_PASSWORD_FILE.",
    )
    kafka_ssl_endpoint_identification_algorithm: Literal["https", "none"] = Field(
        "https",
        validation_alias="BEMI_KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM",
        description=(
            "`https`: a broker's certificate must name the host that is connected to. `none`: any "
            "that is signed by a trusted authority will do."
        ),
    )


def problems(settings: KafkaSettings, given: Iterable[str]) -> list[str]:
    """Return why the settings of the connection cannot be used as they are.

    `given` are the attributes that somebody has set for this connection and no other: what
    would make it safer is never ignored in silence.
    """
    protocol = settings.kafka_security_protocol
    found = []
    for part, prefix in (("SASL", "kafka_sasl_"), ("SSL", "kafka_ssl_")):
        unused = [name for name in given if name.startswith(prefix) and _text(settings, name)]
        if unused and part not in protocol.split("_"):
            names = ", ".join(variable(name) for name in unused)
            found.append(
                f"{names}: not used with BEMI_KAFKA_SECURITY_PROTOCOL={protocol}; set one with "
                f"{part} in it"
            )
    if protocol.startswith("SASL"):
        wanted = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
        found += [f"{variable(name)} is missing" for name in wanted if not _text(settings, name)]
    try:
        ssl_context(settings)
    except ValueError as error:
        found.append(str(error))
    return found


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Return what the settings say of encryption in Python's form; None where there is none.

    For clients that are not librdkafka's, and for everybody to see early whether the files can be
    used: librdkafka says of one that is missing only that some routine failed. Raises ValueError
    with the names of setting and file.
    """
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    authorities = settings.kafka_ssl_ca_location or system_authorities()
    try:
        if authorities and Path(authorities).is_dir():
            context = ssl.create_default_context(capath=authorities)
        else:
            context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        named = "BEMI_KAFKA_SSL_CA_LOCATION" if settings.kafka_ssl_ca_location else "SSL_CERT_FILE"
        raise ValueError(f"{named}: {authorities} cannot be used: {_reason(error)}") from error
    context.check_hostname = settings.kafka_ssl_endpoint_identification_algorithm == "https"
    if certificate := settings.kafka_ssl_certificate_location:
        key = settings.kafka_ssl_key_location or certificate
        try:
            # Without any password OpenSSL would ask for it at the terminal.
            context.load_cert_chain(
                certificate, key, settings.kafka_ssl_key_password.get_secret_value()
            )
        except OSError as error:
            raise ValueError(
                f"BEMI_KAFKA_SSL_CERTIFICATE_LOCATION: {certificate} with the key {key} cannot be "
                f"used: {_reason(error)}; the key must be the certificate's, and needs "
                "BEMI_KAFKA_SSL_KEY_PASSWORD where it is encrypted"
            ) from error
    return context


def variable(attribute: str) -> str:
    """Return the environment variable of a setting."""
    return f"BEMI_{attribute.upper()}"


def _reason(error: OSError) -> str:
    """Return why OpenSSL or the system could not read a file."""
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()


def _text(settings: KafkaSettings, name: str) -> str:
    value = getattr(settings, name)
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)
