"""Where the changes are stored, for whoever writes or reads there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import AliasChoices, Field, SecretStr, model_validator

from runtime.postgres import trust_problem
from runtime.settings import SSLMODES, SettingsT, StageSettings


class DestinationDatabase(StageSettings):
    """The database with the table `changes`.

    It is the tracked database itself unless DESTINATION_DB_* name another; each of these falls
    back to its DB_* alone, so a destination that differs in the host only needs only the host.
    """

    own_prefixes: ClassVar[tuple[str, ...]] = (*StageSettings.own_prefixes, "DESTINATION_DB_")

    db_host: str = Field(
        "127.0.0.1",
        validation_alias=AliasChoices("DESTINATION_DB_HOST", "DB_HOST"),
        description="Host of the database that holds `changes`.",
    )
    db_port: int = Field(
        5432,
        validation_alias=AliasChoices("DESTINATION_DB_PORT", "DB_PORT"),
        ge=1,
        le=65535,
        description="Port of the database that holds `changes`.",
    )
    db_name: str = Field(
        "postgres",
        validation_alias=AliasChoices("DESTINATION_DB_NAME", "DESTINATION_DB_DATABASE", "DB_NAME"),
        description="The database that holds `changes`, in its schema public.",
    )
    db_user: str = Field(
        "postgres",
        validation_alias=AliasChoices("DESTINATION_DB_USER", "DESTINATION_DB_USERNAME", "DB_USER"),
        description="Role that owns, or may make, the sink's tables.",
    )
    db_password: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("DESTINATION_DB_PASSWORD", "DB_PASSWORD"),
        description="Its password; also by DESTINATION_DB_PASSWORD_FILE.",
    )
    db_sslmode: str = Field(
        "prefer",
        validation_alias=AliasChoices("DESTINATION_DB_SSLMODE", "DB_SSLMODE"),
        pattern=SSLMODES,
        description="libpq's sslmode for the destination.",
    )
    db_sslrootcert: str = Field(
        "",
        validation_alias=AliasChoices("DESTINATION_DB_SSLROOTCERT", "DB_SSLROOTCERT"),
        description="File with the certificates that the server's is checked by (libpq's "
        "sslrootcert); `system` for those that the system, or SSL_CERT_FILE, trusts, which needs "
        "sslmode `verify-full`.",
    )
    db_sslcert: str = Field(
        "",
        validation_alias=AliasChoices("DESTINATION_DB_SSLCERT", "DB_SSLCERT"),
        description="File with the client's certificate (libpq's sslcert).",
    )
    db_sslkey: str = Field(
        "",
        validation_alias=AliasChoices("DESTINATION_DB_SSLKEY", "DB_SSLKEY"),
        description="File with its key, PEM or DER, which nobody else may read (libpq's sslkey).",
    )
    db_sslpassword: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("DESTINATION_DB_SSLPASSWORD", "DB_SSLPASSWORD"),
        description="Password of that key (libpq's sslpassword); also by a file.",
    )

    @model_validator(mode="after")
    def _trusts_safely(self) -> DestinationDatabase:
        if problem := trust_problem(self.db_sslmode, self.db_sslrootcert, "DESTINATION_DB_"):
            raise ValueError(problem)
        return self

    @classmethod
    def from_environ(cls: type[SettingsT], environ: Mapping[str, str]) -> SettingsT:
        """Return the settings, each by the first of its names that the environment has."""
        shadowed = {
            name
            for names in cls.environment_names().values()
            for name in _names_behind_the_first_given(names, environ)
        }
        return super().from_environ(
            {name: value for name, value in environ.items() if name not in shadowed}
        )


def _names_behind_the_first_given(names: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
    variables = [(name, f"{name}_FILE") for name in names]
    given = [pair for pair in variables if not environ.keys().isdisjoint(pair)]
    return [variable for pair in given[1:] for variable in pair]
