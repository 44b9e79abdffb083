"""Turn a Java Kafka client's properties into librdkafka's. Pure.

A connector's `producer.override.*` goes before a worker's `producer.*`, and that before the
worker's own properties of the same name. The two clients share most names; where they do not,
what cannot be carried over is refused, because a connection that is less secure than it was
told to be, or records other than asked for, would go unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from producer.configuration.assigned import Assigned
from producer.configuration.unused import Unused
from runtime.settings import Given

_LAYERS: Final = ("producer.override.", "producer.", "")

# librdkafka's name of each property that means the same to both.
_NAMES: Final = {
    **{
        name: name
        for name in (
            "batch.size",
            "client.id",
            "client.dns.lookup",
            "client.rack",
            "connections.max.idle.ms",
            "delivery.timeout.ms",
            "max.in.flight.requests.per.connection",
            "metadata.max.age.ms",
            "reconnect.backoff.max.ms",
            "reconnect.backoff.ms",
            "request.timeout.ms",
            "retries",
            "retry.backoff.ms",
            "retry.backoff.max.ms",
            "sasl.kerberos.service.name",
            "socket.connection.setup.timeout.ms",
            "ssl.keystore.password",
        )
    },
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
    "ssl.truststore.certificates": "ssl.ca.pem",
}
_SETTINGS: Final = {
    "bootstrap.servers": "kafka_bootstrap_servers",
    "buffer.memory": "max_queue_size_in_bytes",
    "compression.type": "compression_type",
    "linger.ms": "linger_ms",
    "max.request.size": "kafka_max_message_bytes",
    "sasl.mechanism": "kafka_sasl_mechanism",
    "security.protocol": "kafka_security_protocol",
    "ssl.key.password": "kafka_ssl_key_password",
}
# What no setting of ours can express is told to librdkafka by its own names.
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_OF_MECHANISM: Final = ("sasl.mechanism", "security.protocol")
# Read together with others, or by what they say of another.
_COMBINED: Final = frozenset(
    {
        "sasl.jaas.config",
        "ssl.endpoint.identification.algorithm",
        "ssl.keystore.location",
        "ssl.keystore.type",
        "ssl.truststore.location",
        "ssl.truststore.type",
    }
)
_OF_JAVA = "it concerns the Java client"
UNUSED: Final = (
    Unused("acks", "a change is safe when all replicas have it", ("all", "-1")),
    Unused("enable.idempotence", "without it records could be doubled or reordered", ("true",)),
    Unused("key.serializer", _OF_JAVA, None),
    Unused("value.serializer", _OF_JAVA, None),
    Unused("max.block.ms", _OF_JAVA, None),
    Unused("ssl.protocol", _OF_JAVA, None),
    Unused("ssl.enabled.protocols", _OF_JAVA, None),
    Unused("ssl.provider", _OF_JAVA, None),
    Unused("ssl.secure.random.implementation", _OF_JAVA, None),
    Unused("ssl.keymanager.algorithm", _OF_JAVA, None),
    Unused("ssl.trustmanager.algorithm", _OF_JAVA, None),
    Unused("ssl.truststore.password", "a truststore of type PEM has none", None),
    Unused("ssl.client.auth", "it is about the worker's REST interface", None),
    Unused("interceptor.classes", "it names Java code, which does not run here"),
    Unused("partitioner.class", "records go where the hash of the key says"),
    Unused("transactional.id", "records are not written in Kafka's transactions"),
)
_CLIENT_ONLY = re.compile(r"(sasl|ssl|security|client)\.")
_JAAS = re.compile(
    r"\s*\S*(?P<module>PlainLoginModule|ScramLoginModule)\s+required\s+(?P<options>.*);\s*",
    re.DOTALL,
)
_JAAS_OPTION = re.compile(r"(\w+)\s*=\s*(?:\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'|([^\s;]+))")


def is_of_client(name: str) -> bool:
    """Tell whether the property is one of the Kafka client's."""
    plain = plain_name(name)
    return plain != name or name == "bootstrap.servers" or _CLIENT_ONLY.match(name) is not None


def plain_name(name: str) -> str:
    """Return the client's own name of a property."""
    return next(name.removeprefix(layer) for layer in _LAYERS if name.startswith(layer))


def assign_client(properties: Mapping[str, str], assigned: Assigned) -> None:
    """Add what the properties say of the Kafka client to the settings."""
    merged: dict[str, Given] = {}
    for layer in reversed(_LAYERS):
        for name, value in properties.items():
            if is_of_client(name) and name == layer + plain_name(name):
                merged[plain_name(name)] = Given(name, value)
    client: dict[str, str] = {}
    values = {plain: given.value for plain, given in merged.items()}
    is_ours = values.get("sasl.mechanism", _MECHANISMS[0]).strip().upper() in _MECHANISMS
    for plain, given in merged.items():
        if plain in _OF_MECHANISM and not is_ours:
            client[plain] = given.value
        elif plain in _SETTINGS:
            assigned.give(_SETTINGS[plain], given)
        elif plain in _NAMES:
            client[_NAMES[plain]] = given.value
        elif plain not in _COMBINED:
            _assign_unused(plain, given, assigned)
    try:
        for attribute, named in (_login(values) | _truststore(values) | _keystore(values)).items():
            assigned.give(attribute, named)
        client |= _pkcs12_keystore(values)
    except ValueError as error:
        assigned.problems.append(str(error))
    if "ssl.endpoint.identification.algorithm" in values:
        algorithm = values["ssl.endpoint.identification.algorithm"].strip().lower()
        assigned.give(
            "kafka_ssl_endpoint_identification_algorithm",
            Given("ssl.endpoint.identification.algorithm", algorithm or "none"),
        )
    if client:
        assigned.give("kafka_properties", Given("producer.override.*", client))


def _assign_unused(plain: str, given: Given, assigned: Assigned) -> None:
    entry = next((entry for entry in UNUSED if entry.name == plain), None)
    if entry is None:
        assigned.problems.append(f"{given.name} is refused: librdkafka has no such property")
    elif not entry.accepts(given.value):
        assigned.problems.append(f"{given.name} is refused: {entry.reason}")


def _login(values: Mapping[str, str]) -> dict[str, Given]:
    jaas = values.get("sasl.jaas.config", "")
    if not jaas.strip():
        return {}
    match = _JAAS.fullmatch(jaas)
    options = {
        found[1]: re.sub(r"\\(.)", r"\1", found[2] or found[3] or found[4] or "")
        for found in _JAAS_OPTION.finditer(match["options"] if match else "")
    }
    if match is None or not {"username", "password"} <= options.keys():
        raise ValueError(
            "sasl.jaas.config is refused: only PlainLoginModule and ScramLoginModule with username "
            "and password can be carried over"
        )
    return {
        f"kafka_sasl_{option}": Given("sasl.jaas.config", options[option])
        for option in ("username", "password")
    }


def _truststore(values: Mapping[str, str]) -> dict[str, Given]:
    location = values.get("ssl.truststore.location", "").strip()
    if not location:
        return {}
    if values.get("ssl.truststore.type", "JKS").strip().upper() != "PEM":
        raise ValueError(
            "ssl.truststore.location is refused: only ssl.truststore.type=PEM can be read; convert "
            "the truststore"
        )
    return {"kafka_ssl_ca_location": Given("ssl.truststore.location", location)}


def _keystore(values: Mapping[str, str]) -> dict[str, Given]:
    location = values.get("ssl.keystore.location", "").strip()
    kind = _keystore_type(values)
    if not location or kind == "PKCS12":
        return {}
    if kind == "PEM":
        return {
            f"kafka_ssl_{part}_location": Given("ssl.keystore.location", location)
            for part in ("certificate", "key")
        }
    raise ValueError(
        "ssl.keystore.location is refused: only ssl.keystore.type=PEM and PKCS12 can be read; "
        "convert the keystore"
    )


def _pkcs12_keystore(values: Mapping[str, str]) -> dict[str, str]:
    location = values.get("ssl.keystore.location", "").strip()
    return {"ssl.keystore.location": location} if _keystore_type(values) == "PKCS12" else {}


def _keystore_type(values: Mapping[str, str]) -> str:
    return values.get("ssl.keystore.type", "JKS").strip().upper()
