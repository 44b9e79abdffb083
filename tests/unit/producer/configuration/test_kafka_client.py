"""Java's Kafka client in librdkafka's words."""

from __future__ import annotations

import pytest

from producer.configuration.assigned import Assigned
from producer.configuration.kafka_client import assign_client

LOGIN = (
    "org.apache.kafka.common.security.scram.ScramLoginModule required "
    'username="me" password="a\\"b;c=d";'
)


def assigned(properties: dict[str, str]) -> Assigned:
    found = Assigned()
    assign_client(properties, found)
    return found


def client(properties: dict[str, str]) -> dict[str, str]:
    """Return what librdkafka is told beside the settings that all stages have."""
    found = assigned(properties)
    assert not found.problems
    given = found.given.get("kafka_properties")
    return {} if given is None else given.value


def settings(properties: dict[str, str]) -> dict[str, str]:
    """Return the settings of the connection that all stages have."""
    found = assigned(properties)
    assert not found.problems
    return {
        name.removeprefix("kafka_"): given.value
        for name, given in found.given.items()
        if name.startswith(("kafka_sasl", "kafka_ssl", "kafka_security"))
    }


def test_settings_of_our_own_are_found() -> None:
    found = assigned(
        {
            "bootstrap.servers": "a:9092",
            "producer.override.linger.ms": "20",
            "producer.override.compression.type": "zstd",
            "producer.override.max.request.size": "2000000",
            "producer.override.buffer.memory": "33554432",
        }
    )
    assert {name: given.value for name, given in found.given.items()} == {
        "kafka_bootstrap_servers": "a:9092",
        "linger_ms": "20",
        "compression_type": "zstd",
        "kafka_max_message_bytes": "2000000",
        "max_queue_size_in_bytes": "33554432",
    }


def test_the_connectors_properties_go_before_the_workers() -> None:
    properties = {
        "producer.override.security.protocol": "SASL_SSL",
        "security.protocol": "PLAINTEXT",
        "producer.security.protocol": "SSL",
    }
    assert settings(properties) == {"security_protocol": "SASL_SSL"}
    del properties["producer.override.security.protocol"]
    assert settings(properties) == {"security_protocol": "SSL"}


def test_a_login_is_carried_over() -> None:
    assert settings({"sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": LOGIN}) == {
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "me",
        "sasl_password": 'a"b;c=d',
    }


def test_a_mechanism_that_only_librdkafka_has_is_told_to_it() -> None:
    properties = {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}
    assert client(properties) == properties
    assert settings(properties) == {}


def test_stores_that_librdkafka_reads_are_carried_over() -> None:
    properties = {
        "ssl.truststore.location": "/ca.pem",
        "ssl.truststore.type": "PEM",
        "ssl.keystore.location": "/me.p12",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.password": "secret",
        "ssl.endpoint.identification.algorithm": "",
    }
    assert settings(properties) == {
        "ssl_ca_location": "/ca.pem",
        "ssl_endpoint_identification_algorithm": "none",
    }
    assert client(properties) == {
        "ssl.keystore.location": "/me.p12",
        "ssl.keystore.password": "secret",
    }


def test_a_store_of_type_pem_is_certificate_and_key() -> None:
    assert settings({"ssl.keystore.location": "/me.pem", "ssl.keystore.type": "PEM"}) == {
        "ssl_certificate_location": "/me.pem",
        "ssl_key_location": "/me.pem",
    }


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"ssl.truststore.location": "/ca.jks"}, "PEM"),
        ({"ssl.keystore.location": "/me.jks"}, "PKCS12"),
        ({"sasl.jaas.config": "com.sun.security.auth.module.Krb5LoginModule required;"}, "carried"),
        ({"producer.override.acks": "1"}, "all replicas"),
        ({"producer.override.partitioner.class": "x"}, "hash of the key"),
        ({"producer.override.transactional.id": "x"}, "transactions"),
        ({"producer.override.ssl.engine.factory.class": "x"}, "librdkafka"),
    ],
)
def test_what_cannot_be_carried_over_is_refused(properties: dict[str, str], says: str) -> None:
    (problem,) = assigned(properties).problems
    assert says in problem


@pytest.mark.parametrize("acks", ["all", "-1"])
def test_what_is_done_anyway_is_accepted(acks: str) -> None:
    assert client({"producer.override.acks": acks}) == {}


def test_an_error_does_not_repeat_a_password() -> None:
    (problem,) = assigned(
        {"sasl.jaas.config": "Krb5LoginModule required password=hunter2;"}
    ).problems
    assert "hunter2" not in problem
