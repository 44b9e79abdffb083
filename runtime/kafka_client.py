"""Connect to the brokers: what every client is told, and why a connection fails.

Edge: confluent_kafka. librdkafka tries again for ever, also what only a person can mend, and a
request says no more than that no broker was there. Why not is told to `error_cb` alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata  # type: ignore[attr-defined]

from runtime.errors import Retry, StageError, Stop
from runtime.kafka_settings import KafkaSettings
from runtime.system_authorities import system_authorities

LOOK_SECONDS = 2.0
"""How long a request waits before it looks whether the brokers have refused it meanwhile."""

_REFUSALS = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)
_CHECK_LOGIN = (
    "check BEMI_KAFKA_SASL_MECHANISM, BEMI_KAFKA_SASL_USERNAME and BEMI_KAFKA_SASL_PASSWORD"
)
_CHECK_BROKER = (
    "the broker's certificate has expired, names another host or is signed by nobody trusted; "
    "check BEMI_KAFKA_SSL_CA_LOCATION and the hosts of BEMI_KAFKA_BOOTSTRAP_SERVERS"
)
_CHECK_CERTIFICATE = (
    "the brokers take no client without a certificate, or not with this one; check that "
    "BEMI_KAFKA_SSL_CERTIFICATE_LOCATION is signed by whom they trust and has not expired "
    "(openssl x509 -noout -dates -in FILE)"
)


class BrokersUnreachable(Retry):
    """No Kafka broker answers."""


class BrokersRefuse(Stop):
    """The brokers do not let the client in, or cannot be trusted."""


class AclMissing(Stop):
    """The brokers let the user in, but not do what it has to."""


def acl_missing(operation: str, resource: str) -> AclMissing:
    """Return the error for a refusal; both are named as kafka-acls.sh names them."""
    return AclMissing(
        f"the brokers refuse: the user of this process lacks the ACL {operation} on {resource}. "
        "Add it (kafka-acls.sh --add) and start again, nothing is lost; docs/deploying.md has the "
        "ACLs of each stage"
    )


def is_refusal(error: KafkaError | KafkaException | None) -> bool:
    """Tell whether an authorizer says no, which no waiting heals."""
    reason = error.args[0] if isinstance(error, KafkaException) else error
    return isinstance(reason, KafkaError) and reason.code() in _REFUSALS


def client_settings(settings: KafkaSettings) -> dict[str, Any]:
    """Return librdkafka's configuration of the connection to the brokers, without what is unset.

    For every client of every stage. It holds the password: it is not to be logged.
    """
    protocol = settings.kafka_security_protocol
    client: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": protocol,
    }
    if protocol.startswith("SASL"):
        client |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_sasl_username,
            "sasl.password": settings.kafka_sasl_password.get_secret_value(),
        }
    if protocol.endswith("SSL"):
        client |= {
            "ssl.ca.location": settings.kafka_ssl_ca_location or system_authorities(),
            "ssl.certificate.location": settings.kafka_ssl_certificate_location,
            "ssl.key.location": settings.kafka_ssl_key_location,
            "ssl.key.password": settings.kafka_ssl_key_password.get_secret_value(),
            "ssl.endpoint.identification.algorithm": (
                settings.kafka_ssl_endpoint_identification_algorithm
            ),
        }
    return {name: value for name, value in client.items() if value}


def advice(error: KafkaError) -> str | None:
    """Return what a person must do about an error of a connection, None where it may heal."""
    text = error.str()
    if error.code() == KafkaError._AUTHENTICATION:
        return _CHECK_LOGIN
    if "certificate verify failed" in text:
        return _CHECK_BROKER
    if "alert" in text and "certificate" in text:
        return _CHECK_CERTIFICATE
    return None


class ConnectionErrors:
    """What one client was told of its connections: its `error_cb`.

    A client tells while it is polled; whoever only makes requests polls it when one has failed.
    """

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self._refusal: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take note of an error."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._last = error
            if advice(error) is not None:
                self._refusal = error

    @property
    def is_refused(self) -> bool:
        """Whether a broker was found that no waiting will make answer."""
        return self._refusal is not None

    def failure(self, what: str, error: KafkaException) -> StageError:
        """Return what it means that a request failed; `what` says which."""
        if self._refusal is not None:
            return BrokersRefuse(f"{what}: {self._refusal.str()}; {advice(self._refusal)}")
        why = "" if self._last is None else f" ({self._last.str()})"
        reason = error.args[0]
        text = reason.str() if isinstance(reason, KafkaError) else str(error)
        return BrokersUnreachable(f"{what}: {text}{why}")


def cluster_metadata(
    client: AdminClient | Consumer, errors: ConnectionErrors, timeout_seconds: float
) -> ClusterMetadata:
    """Return what the brokers say of themselves and of all topics.

    All of them: asking for one by name would make it, on brokers that make topics by
    themselves. `errors` is the client's `error_cb`, and the client reads nothing yet. Raises
    BrokersUnreachable, or BrokersRefuse as soon as that is known.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        left = deadline - time.monotonic()
        try:
            return client.list_topics(timeout=max(min(left, LOOK_SECONDS), 0.1))
        except KafkaException as error:
            client.poll(0)
            if errors.is_refused or left <= LOOK_SECONDS:
                raise errors.failure("no broker answers", error) from error


class Admin(AdminClient):
    """A client for requests; it says why one failed. It writes nothing into the log by itself."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        """Nothing is connected yet; `configuration` is that of `client_settings`."""
        self._errors = ConnectionErrors()
        whole: dict[str, Any] = {**configuration, "log_level": 0, "error_cb": self._errors}
        super().__init__(whole)

    def metadata(self, timeout_seconds: float) -> ClusterMetadata:
        """Return what the brokers say of themselves and of all topics; see cluster_metadata."""
        return cluster_metadata(self, self._errors, timeout_seconds)

    def failure(self, what: str, error: KafkaException) -> StageError:
        """Return what it means that a request failed; `what` says which."""
        self.poll(0)
        return self._errors.failure(what, error)
