"""Get the ids of schemas from a schema registry. Edge: HTTP, by Confluent's client.

Imported only where a registry is set: the client brings 12 packages, 23 MB of memory and a
fifth of a second to import, all of it the extra `avro`.

What heals by itself is a Retry, and the caller's to try again: the client itself tries a few
times only. What the registry refuses is a Stop that says what changed, because a record under
a schema that consumers cannot read is worse than none.
"""

from __future__ import annotations

import ssl
from typing import Final, NoReturn

import orjson
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError
from httpx2 import TransportError

from runtime.errors import Retry, StageError, Stop
from runtime.registry_settings import RegistrySettings
from runtime.schema_changes import describe_changes
from runtime.system_authorities import system_authorities

# Few and short: the stage that asks has its own way of waiting, in which it can be stopped.
TRIES: Final = 2
WAIT_MS: Final = 200
TIMEOUT_SECONDS: Final = 10.0

_NOT_ALLOWED: Final = (401, 403)
_INCOMPATIBLE: Final = 409
_NOT_FOUND: Final = 404
_INVALID: Final = 422
_BUSY: Final = (408, 429)


class RegistryUnavailable(Retry):
    """The schema registry does not answer."""


class RegistryMisconfigured(Stop):
    """The schema registry cannot be reached the way it is configured."""


class RegistryNotPermitted(Stop):
    """The schema registry does not let the stage in or does not let it register schemas."""


class SchemaNotRegistered(Stop):
    """The registry does not have the schema, and auto.register.schemas is off."""


class SchemaIncompatible(Stop):
    """The registry refuses a table's new schema, because consumers of the old could not read it."""


class SchemaInvalid(Stop):
    """The registry takes a schema for none of Avro."""


class ConfluentRegistry:
    """A registry with Confluent's API: Confluent's, Karapace, Apicurio's ccompat."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Make a client; nothing is sent yet. Raises RegistryMisconfigured."""
        self._settings = settings
        # The client itself would trust the list that comes with certifi.
        trusted = {} if (found := system_authorities()) is None else {"ssl.ca.location": found}
        try:
            self._client = SchemaRegistryClient(
                trusted
                | settings.client_properties
                | {"max.retries": TRIES, "retries.wait.ms": WAIT_MS, "timeout": TIMEOUT_SECONDS}
            )
        except (OSError, ValueError, TypeError) as error:
            raise RegistryMisconfigured(
                f"the settings of the schema registry cannot be used: {error}"
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def id_of(self, subject: str, schema: str) -> int:
        """Return the schema's id, registering it if that is allowed."""
        wanted = Schema(schema, "AVRO")
        normalize = self._settings.normalize_schemas
        try:
            if self._settings.auto_register_schemas:
                return self._client.register_schema(subject, wanted, normalize)
            registered = self._client.lookup_schema(subject, wanted, normalize)
        except SchemaRegistryError as error:
            raise self._meaning(error, subject, schema) from error
        except (TransportError, OAuthTokenError) as error:
            self._unreachable(error)
        except ValueError as error:
            raise RegistryMisconfigured(
                f"what answers at {self._settings.address} is no schema registry: {error}"
            ) from error
        if registered.schema_id is None:
            raise RegistryMisconfigured(
                f"{self._settings.address} knows {subject}, but tells no id"
            )
        return registered.schema_id

    def _unreachable(self, error: Exception) -> NoReturn:
        text = str(error) or type(error).__name__
        if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in text:
            raise RegistryMisconfigured(
                f"{self._settings.address}: {text}; check schema.registry.ssl.truststore.location"
            ) from error
        raise RegistryUnavailable(f"{self._settings.address} does not answer: {text}") from error

    def _meaning(self, error: SchemaRegistryError, subject: str, schema: str) -> StageError:
        status, text = error.http_status_code, error.error_message
        if status >= 500 or status in _BUSY:
            return RegistryUnavailable(f"{self._settings.address} answers {status}: {text}")
        if status in _NOT_ALLOWED:
            return RegistryNotPermitted(
                f"the schema registry refuses {subject} with {status}: {text or 'no reason'}; "
                "check basic.auth.user.info and what that user may do"
            )
        changes = self._changes(subject, schema)
        if status == _INCOMPATIBLE:
            return SchemaIncompatible(
                f"the registry refuses the new schema of {subject}: {changes or text}. Nothing is "
                "lost: what was not written is written by the next start. Bring the "
                "consumers that could not read it up to date, let the change through by "
                f"PUT {self._settings.address}/config/{subject} "
                '{"compatibility": "NONE"}, start again, and set it back'
            )
        if status == _NOT_FOUND and not self._settings.auto_register_schemas:
            return SchemaNotRegistered(
                f"the registry does not have the schema of {subject}"
                + (f" ({changes})" if changes else "")
                + "; register it, or set auto.register.schemas to true"
            )
        if status == _INVALID:
            return SchemaInvalid(
                f"the registry takes the schema of {subject} for no valid one: {text}. "
                "docs/debezium.md names a registry that does so with valid schemas"
            )
        return RegistryMisconfigured(
            f"{self._settings.address} answers {status} for {subject}: {text}; "
            "is the url that of an API like Confluent's (Apicurio: /apis/ccompat/v7)?"
        )

    def _changes(self, subject: str, schema: str) -> str:
        """Say what is different from the latest schema; nothing when that cannot be had."""
        try:
            latest = self._client.get_latest_version(subject).schema.schema_str
            changes = describe_changes(orjson.loads(latest or "null"), orjson.loads(schema))
        except (SchemaRegistryError, TransportError, OAuthTokenError, ValueError, TypeError):
            return ""
        return "; ".join(changes)
