"""What the sink is told by its environment; nothing else here reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field, SecretStr

from runtime.settings import SettingsT, StageSettings
from schemas.topics import Topics


class SinkSettings(StageSettings):
    """Where changes are stored, and how many at a time.

    The destination is the tracked database itself unless DESTINATION_DB_* name another;
    each of these falls back to its DB_* alone, so a destination that differs in the host
    only needs only the host.
    """

    own_prefixes: ClassVar[tuple[str, ...]] = (
        *StageSettings.own_prefixes,
        "BEMI_SINK_",
        "BEMI_RETENTION_",
        "DESTINATION_DB_",
    )

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
        description="libpq's sslmode for the destination.",
    )
    batch_rows: int = Field(
        5_000,
        validation_alias="BEMI_SINK_BATCH_ROWS",
        ge=1,
        le=1_000_000,
        description="Most records stored in one transaction.",
    )
    batch_bytes: int = Field(
        16 * 1024 * 1024,
        validation_alias="BEMI_SINK_BATCH_BYTES",
        ge=1,
        description="Bytes of records after which a transaction takes no more of them.",
    )
    batch_milliseconds: int = Field(
        20,
        validation_alias="BEMI_SINK_BATCH_MILLISECONDS",
        ge=0,
        le=60_000,
        description="Longest wait, in milliseconds, for more records before storing those read.",
    )
    fetch_bytes: int = Field(
        64 * 1024 * 1024,
        validation_alias="BEMI_SINK_FETCH_BYTES",
        ge=1024 * 1024,
        description="Bytes of records fetched ahead, over all partitions; bounds the memory.",
    )

    partition_by: Literal["day", "week", "month"] = Field(
        "month",
        validation_alias="BEMI_SINK_PARTITION_BY",
        description="What a new partition of `changes` holds: a day, week or month (UTC).",
    )
    gin_indexes: Literal["none", "closed", "all"] = Field(
        "none",
        validation_alias="BEMI_SINK_GIN_INDEXES",
        description="Where to build GIN indexes on `before`, `after` and `context`: nowhere, on"
        " partitions that get no more rows, or on all, which more than halves the rate of storing.",
    )
    retention_days: int | None = Field(
        None,
        validation_alias="BEMI_RETENTION_DAYS",
        ge=1,
        le=36_500,
        description="Age in days after which changes are removed; never where it is not set.",
    )

    seals: bool = Field(
        False,
        validation_alias="BEMI_SINK_SEALS",
        description=(
            "Whether each stored batch is sealed in a hash chain, which `bemi-sink verify --seals`"
            " checks. Once begun, leave it on: rows without a seal count as added by another."
        ),
    )

    @property
    def changes_group(self) -> str:
        """The consumer group: one for all sinks of a pipeline, so that they share it."""
        return Topics(self.topic_prefix).sink_group

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
