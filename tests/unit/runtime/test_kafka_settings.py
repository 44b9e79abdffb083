"""How a stage connects to Kafka: what the settings mean, and which contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.connections import kafka_client
from producer.settings import ProducerSettings
from runtime.kafka_client import client_settings
from runtime.settings import InvalidSettings
from sink_pg.settings import SinkSettings
from tests.fixtures.certificates import Authority

LOGIN = {
    "BEMI_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "BEMI_KAFKA_SASL_MECHANISM": "scram-sha-512",
    "BEMI_KAFKA_SASL_USERNAME": "me",
    "BEMI_KAFKA_SASL_PASSWORD": "hunter2",
}


def settings(environ: dict[str, str]) -> SinkSettings:
    return SinkSettings.from_environ(environ)


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(InvalidSettings) as caught:
        settings(environ)
    return str(caught.value)


def test_without_settings_brokers_are_asked_in_the_clear() -> None:
    assert client_settings(settings({})) == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "PLAINTEXT",
    }


def test_each_setting_is_librdkafkas_property_of_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = settings({**LOGIN, "BEMI_KAFKA_BOOTSTRAP_SERVERS": "a:1"})
    monkeypatch.setenv("SSL_CERT_FILE", "/system.pem")
    assert client_settings(given) == {
        "bootstrap.servers": "a:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "hunter2",
        "ssl.ca.location": "/system.pem",
        "ssl.endpoint.identification.algorithm": "https",
    }


def test_a_password_is_not_shown_with_the_settings() -> None:
    assert "hunter2" not in repr(settings(LOGIN))


def test_what_only_librdkafka_has_goes_before_the_settings() -> None:
    environ = {"BEMI_PRODUCER_KAFKA_PROPERTIES": '{"security.protocol": "ssl", "ssl.ca.pem": "x"}'}
    client = kafka_client(ProducerSettings.from_environ(environ))
    assert (client["security.protocol"], client["ssl.ca.pem"]) == ("ssl", "x")


def test_authorities_that_are_given_as_text_are_trusted_without_those_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/system.pem")
    # Of its settings only: a file that is not there would be refused before.
    producer = ProducerSettings.model_construct(
        kafka_security_protocol="SSL", kafka_properties={"ssl.ca.pem": "x"}
    )
    assert "ssl.ca.location" not in kafka_client(producer)


@pytest.mark.parametrize("missing", ["MECHANISM", "USERNAME", "PASSWORD"])
def test_a_login_has_all_its_parts(missing: str) -> None:
    name = f"BEMI_KAFKA_SASL_{missing}"
    environ = {key: value for key, value in LOGIN.items() if key != name}
    assert f"{name} is missing" in refused(environ)


@pytest.mark.parametrize(
    ("protocol", "name", "value", "wants"),
    [
        ("PLAINTEXT", "BEMI_KAFKA_SSL_CA_LOCATION", "/ca.pem", "SSL"),
        ("SSL", "BEMI_KAFKA_SASL_PASSWORD", "hunter2", "SASL"),
    ],
)
def test_what_would_make_the_connection_safer_is_not_ignored(
    protocol: str, name: str, value: str, wants: str
) -> None:
    said = refused({"BEMI_KAFKA_SECURITY_PROTOCOL": protocol, name: value})
    assert f"{name}: not used" in said
    assert f"one with {wants} in it" in said
    assert "hunter2" not in said
    settings({"BEMI_KAFKA_SECURITY_PROTOCOL": protocol, name: ""})


def test_what_a_connectors_file_says_of_other_connections_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "worker.properties"
    file.write_text(
        "topic.prefix=x\ndatabase.hostname=x\ndatabase.dbname=x\ndatabase.user=x\n"
        "ssl.truststore.type=PEM\nssl.truststore.location=/of/the/rest/interface.pem\n"
    )
    made, _ = ProducerSettings.configured({}, [file])
    assert "ssl.ca.location" not in kafka_client(made)


def test_the_environment_goes_before_a_connectors_login(tmp_path: Path) -> None:
    file = tmp_path / "connector.properties"
    file.write_text(
        "topic.prefix=x\ndatabase.hostname=x\ndatabase.dbname=x\ndatabase.user=x\n"
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n"
        'sasl.jaas.config=PlainLoginModule required username="me" password="old";\n'
    )
    made, _ = ProducerSettings.configured({"BEMI_KAFKA_SASL_PASSWORD": "new"}, [file])
    client = kafka_client(made)
    assert (client["sasl.username"], client["sasl.password"]) == ("me", "new")


def test_files_that_cannot_be_used_are_told_before_anything_is_connected(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    one, other = authority.client("one"), authority.client("other")
    ssl = {"BEMI_KAFKA_SECURITY_PROTOCOL": "SSL"}
    certificate, key = "BEMI_KAFKA_SSL_CERTIFICATE_LOCATION", "BEMI_KAFKA_SSL_KEY_LOCATION"
    missing = {**ssl, "BEMI_KAFKA_SSL_CA_LOCATION": "/nothing.pem"}
    assert "/nothing.pem cannot be used: no such file" in refused(missing)
    no_certificate = {**ssl, "BEMI_KAFKA_SSL_CA_LOCATION": str(one.key)}
    assert "BEMI_KAFKA_SSL_CA_LOCATION" in refused(no_certificate)
    mixed = {**ssl, certificate: str(one.certificate), key: str(other.key)}
    assert "key values mismatch" in refused(mixed)
    settings({**ssl, certificate: str(one.certificate), key: str(one.key)})
    settings({**ssl, certificate: str(one.both)})
