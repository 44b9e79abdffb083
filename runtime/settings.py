"""Settings from the environment: each stage declares its own, this is what they share.

A setting's name is the environment variable's. Secrets may come from a file: `NAME_FILE`
holds its path. A name under one of the stage's own prefixes that no setting has is refused,
because a misspelt setting that is ignored is found too late.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from runtime.errors import Stop
from runtime.kafka_settings import KafkaSettings
from runtime.kafka_settings import problems as kafka_problems
from runtime.postgres import trust_problem

SSLMODES = "^(disable|allow|prefer|require|verify-ca|verify-full)$"
SettingsT = TypeVar("SettingsT", bound="StageSettings")


class InvalidSettings(Stop):
    """A setting is missing, unknown or has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody gave it, and the name they gave it by."""

    name: str
    value: Any


class StageSettings(KafkaSettings):
    """What every stage is told. Frozen; only `from_environ` makes one."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    own_prefixes: ClassVar[tuple[str, ...]] = (
        "BEMI_KAFKA_",
        "BEMI_TOPIC_",
        "BEMI_LOG_",
        "BEMI_METRICS_",
        "BEMI_HEALTH_",
    )

    topic_prefix: str = Field(
        "bemi",
        validation_alias="BEMI_TOPIC_PREFIX",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="What every topic of this pipeline begins with (Debezium's topic.prefix).",
    )
    kafka_max_message_bytes: int = Field(
        128 * 1024 * 1024,
        validation_alias="BEMI_KAFKA_MAX_MESSAGE_BYTES",
        ge=1_000_000,
        description="The largest record, in bytes: limit of the clients and of the topics made.",
    )
    log_level: str = Field(
        "INFO",
        validation_alias="BEMI_LOG_LEVEL",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        validation_alias="BEMI_LOG_FORMAT",
        description="`text`, a line for people, or `json`, an object a line.",
    )
    metrics_address: str = Field(
        "",
        validation_alias="BEMI_METRICS_ADDRESS",
        pattern=r"^(|[A-Za-z0-9.-]+:\d{1,5}|\[[0-9A-Fa-f:]+\]:\d{1,5})$",
        description=(
            "Where `/metrics`, `/livez` and `/readyz` are served, `host:port`, as 127.0.0.1:9464; "
            "nowhere where it is empty. Nobody is asked for a password there."
        ),
    )
    health_stalled_seconds: float = Field(
        300.0,
        validation_alias="BEMI_HEALTH_STALLED_SECONDS",
        ge=5,
        description=(
            "After how many seconds without a turn of its main loop a stage is not alive to "
            "`/livez`. Waiting for Kafka or PostgreSQL to come back is no standing still, one "
            "long statement is."
        ),
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from what `from_environ` is given, and from nowhere else."""
        return (init_settings,)

    @classmethod
    def environment_names(cls) -> dict[str, tuple[str, ...]]:
        """Return each field's environment variables, the preferred one first."""
        names = {}
        for field_name, field in cls.model_fields.items():
            alias = field.validation_alias
            if isinstance(alias, AliasChoices):
                names[field_name] = tuple(str(choice) for choice in alias.choices)
            else:
                names[field_name] = (str(alias),)
        return names

    @classmethod
    def from_environ(cls: type[SettingsT], environ: Mapping[str, str]) -> SettingsT:
        """Return the stage's settings as the environment gives them.

        Raises InvalidSettings, naming every setting that is missing, unknown or malformed.
        """
        return cls.of(cls.given_by(environ))

    @classmethod
    def given_by(cls, environ: Mapping[str, str]) -> dict[str, Given]:
        """Return what the environment gives, by attribute; the preferred variable goes first."""
        variables = cls.environment_names()
        known = {name for names in variables.values() for name in names}
        values: dict[str, str] = {}
        for name, value in environ.items():
            if name in known:
                values[name] = value
            elif name.endswith("_FILE") and name.removesuffix("_FILE") in known:
                values[name.removesuffix("_FILE")] = _read_secret(name, value)
            elif name.startswith(cls.own_prefixes):
                raise InvalidSettings(cls.why_unknown(name, known))
        given = {}
        for attribute, names in variables.items():
            name_given = next((name for name in names if name in values), None)
            if name_given is not None:
                given[attribute] = Given(name_given, values[name_given])
        return given

    @classmethod
    def why_unknown(cls, name: str, known: Iterable[str]) -> str:
        """Return what to tell of a variable that is none of the known ones."""
        near = difflib.get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"unknown setting {name}{hint}"

    @classmethod
    def of(
        cls: type[SettingsT],
        given: Mapping[str, Given],
        defaults: Mapping[str, Any] | None = None,
    ) -> SettingsT:
        """Return the settings made of what was given, over other defaults than the fields' own."""
        values = {attribute: given_value.value for attribute, given_value in given.items()}
        try:
            settings = cls(**{**(defaults or {}), **values})
        except ValidationError as error:
            attributes = {
                name: attribute
                for attribute, names in cls.environment_names().items()
                for name in (attribute, *names)
            }
            problems = []
            for problem in error.errors():
                attribute = attributes.get(str(problem["loc"][0]), "") if problem["loc"] else ""
                name = given[attribute].name if attribute in given else attribute
                reason = problem["msg"].removeprefix("Value error, ")
                problems.append(f"{name}: {reason}" if name else reason)
            raise InvalidSettings(f"cannot use the settings: {'; '.join(problems)}") from None
        # What a configuration made for another client says of Kafka may be about other connections.
        own = [attribute for attribute in given if given[attribute].name.startswith("BEMI_")]
        if problems := kafka_problems(settings, own):
            raise InvalidSettings(f"cannot use the settings: {'; '.join(problems)}")
        return settings


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text().rstrip("\n")
    except OSError as error:
        raise InvalidSettings(f"{name} names a file that cannot be read: {error}") from error


class SourceDatabase(StageSettings):
    """Where the tracked database is; the names are those of Bemi's container."""

    db_host: str = Field(
        "127.0.0.1", validation_alias="DB_HOST", description="Host of the tracked database."
    )
    db_port: int = Field(
        5432, validation_alias="DB_PORT", description="Port of the tracked database."
    )
    db_name: str = Field(
        "postgres", validation_alias="DB_NAME", description="The tracked database."
    )
    db_user: str = Field(
        "postgres",
        validation_alias="DB_USER",
        description="Role that may replicate (REPLICATION attribute).",
    )
    db_password: SecretStr = Field(
        SecretStr(""),
        validation_alias="DB_PASSWORD",
        description="Its password; also by DB_PASSWORD_FILE.",
    )
    db_sslmode: str = Field(
        "prefer",
        validation_alias="DB_SSLMODE",
        pattern=SSLMODES,
        description="libpq's sslmode for the tracked database.",
    )
    db_sslrootcert: str = Field(
        "",
        validation_alias="DB_SSLROOTCERT",
        description="File with the certificates that the server's is checked by (libpq's "
        "sslrootcert); `system` for those that the system, or SSL_CERT_FILE, trusts, which needs "
        "sslmode `verify-full`.",
    )
    db_sslcert: str = Field(
        "",
        validation_alias="DB_SSLCERT",
        description="File with the client's certificate (libpq's sslcert).",
    )
    db_sslkey: str = Field(
        "",
        validation_alias="DB_SSLKEY",
        description="File with its key, PEM or DER, which nobody else may read (libpq's sslkey). A "
        "PKCS-12 file, as Debezium's driver also reads, has to be converted.",
    )
    db_sslpassword: SecretStr = Field(
        SecretStr(""),
        validation_alias="DB_SSLPASSWORD",
        description="Password of that key (libpq's sslpassword); also by a file.",
    )

    @model_validator(mode="after")
    def _trusts_safely(self) -> SourceDatabase:
        if problem := trust_problem(self.db_sslmode, self.db_sslrootcert, "DB_"):
            raise ValueError(problem)
        return self
