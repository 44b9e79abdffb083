"""The producer's settings; `docs/settings.md` is made from them.

They come from a configuration written for Debezium and from the environment, which goes before
it. With the environment alone the defaults are those of an audit trail that people read; with
a configuration they are Debezium's, except where those lose or falsify what was stored.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator
from pydantic.fields import FieldInfo

from producer.configuration import unused
from producer.configuration.assignment import assign
from producer.configuration.config_providers import resolve
from producer.configuration.configuration_file import read_properties
from producer.configuration.delivery import DeliverySettings
from producer.configuration.property import ENVIRONMENT, OWN, Adopted, Property, variable_of
from producer.configuration.snapshots import SnapshotSettings
from producer.configuration.source import SourceSettings
from producer.configuration.tables import TableSettings
from producer.configuration.values import ValueSettings
from runtime.kafka_settings import KafkaSettings
from runtime.settings import Given, InvalidSettings, SourceDatabase

CONFIG_FILE = "BEMI_PRODUCER_CONFIG_FILE"

SHARED: dict[str, Property] = {
    "kafka_bootstrap_servers": Property("bootstrap.servers"),
    **{
        # A file says these by the names of the Java client: see configuration.kafka_client.
        name: Property(f"{OWN}{name.replace('_', '.')}")
        for name in KafkaSettings.model_fields
        if name != "kafka_bootstrap_servers"
    },
    "topic_prefix": Property("topic.prefix", required=True),
    "kafka_max_message_bytes": Property("bemi.kafka.max.message.bytes"),
    "log_level": Property("bemi.log.level"),
    "log_format": Property("bemi.log.format"),
    "metrics_address": Property("bemi.metrics.address"),
    "health_stalled_seconds": Property("bemi.health.stalled.seconds"),
    "db_host": Property("database.hostname", required=True),
    "db_port": Property("database.port"),
    "db_name": Property("database.dbname", required=True),
    "db_user": Property("database.user", required=True),
    "db_password": Property("database.password"),
    "db_sslmode": Property("database.sslmode"),
    "db_sslrootcert": Property("database.sslrootcert"),
    "db_sslcert": Property("database.sslcert"),
    "db_sslkey": Property("database.sslkey"),
    "db_sslpassword": Property("database.sslpassword"),
}
"""The properties behind the settings that the producer has in common with other stages."""


class ProducerSettings(
    DeliverySettings, SnapshotSettings, ValueSettings, TableSettings, SourceSettings
):
    """What the producer is told."""

    own_prefixes: ClassVar[tuple[str, ...]] = (
        *SourceDatabase.own_prefixes,
        "BEMI_CONFIRM_",
        ENVIRONMENT,
    )

    @model_validator(mode="after")
    def _sinks_have_something_to_confirm(self) -> ProducerSettings:
        if self.confirm_after == "sink" and not self.publish_wal:
            raise ValueError(
                "bemi.confirm.after=sink needs bemi.publish.wal=true: sinks store that"
            )
        return self

    @classmethod
    def properties(cls) -> dict[str, Property]:
        """Return each attribute's property, in the order of the fields."""
        return {name: _property(name, field) for name, field in cls.model_fields.items()}

    @classmethod
    def environment_names(cls) -> dict[str, tuple[str, ...]]:
        """Return each field's environment variables, the preferred one first."""
        names: dict[str, tuple[str, ...]] = {}
        for name, prop in cls.properties().items():
            alias = cls.model_fields[name].validation_alias
            names[name] = (prop.variable,) if alias is None else (str(alias), prop.variable)
        return names

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ProducerSettings:
        """Return the settings as the environment and the file that it names give them."""
        return cls.configured(environ)[0]

    @classmethod
    def configured(
        cls, environ: Mapping[str, str], config_files: Sequence[Path] = ()
    ) -> tuple[ProducerSettings, list[str]]:
        """Return the settings, and a line for each property that is not used.

        The files are the given ones or those that BEMI_PRODUCER_CONFIG_FILE names; what a later
        one says counts, so that a Connect worker's file may stand before the connector's. Raises
        InvalidSettings for what cannot be used.
        """
        variables = dict(environ)
        named = variables.pop(CONFIG_FILE, "").split(os.pathsep)
        paths = config_files or [Path(name) for name in named if name]
        given = cls.given_by(variables)
        if not paths:
            return cls.of(given, cls._defaults(given, with_file=False)), []
        properties: dict[str, str] = {}
        for path in paths:
            properties |= read_properties(path)
        assigned = assign(resolve(properties, environ), cls.properties())
        given = {**assigned.given, **given}
        missing = [
            f"{prop.name} is missing"
            for attribute, prop in cls.properties().items()
            if prop.required and attribute not in given
        ]
        if problems := [*assigned.problems, *missing]:
            names = " and ".join(map(str, paths))
            raise InvalidSettings(f"cannot use {names}: {'; '.join(problems)}")
        return cls.of(given, cls._defaults(given, with_file=True)), assigned.notes

    @classmethod
    def why_unknown(cls, name: str, known: Iterable[str]) -> str:
        """Return why a property of Debezium cannot be set by the environment, or a near name."""
        if name.startswith(("BEMI_PRODUCER_COLUMN_MASK", "BEMI_PRODUCER_COLUMN_TRUNCATE")):
            return f"{name} cannot be told from others; use BEMI_PRODUCER_COLUMN_RULES"
        for entry in unused.UNUSED:
            family = entry.name.endswith("*")
            variable = variable_of(entry.name.rstrip("*."))
            if name == variable or (family and name.startswith(f"{variable}_")):
                return f"{name} ({entry.name}) is not used: {entry.reason}"
        return super().why_unknown(name, known)

    @classmethod
    def _defaults(cls, given: Mapping[str, Given], *, with_file: bool) -> dict[str, Any]:
        """Return the defaults of Debezium's that hold beside what was given."""
        adopted = {Adopted.WITH_FILE} if with_file else set()
        if (
            "debezium_values" in given
            and cls.of({"debezium_values": given["debezium_values"]}).debezium_values
        ):
            adopted.add(Adopted.WITH_DEBEZIUM_VALUES)
        return {
            attribute: prop.debezium
            for attribute, prop in cls.properties().items()
            if prop.debezium is not None and prop.adopted in adopted
        }


def _property(name: str, field: FieldInfo) -> Property:
    found = [item for item in field.metadata if isinstance(item, Property)]
    return found[0] if found else SHARED[name]
