"""Settings of the stitcher, all from the environment."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from runtime.settings import StageSettings
from schemas.topics import Topics
from stitcher_stream.ignore_rules import COLUMN_PARTS, TABLE_PARTS, parse_patterns
from stitcher_stream.redaction import parse_redactions
from stitcher_stream.signatures import parse_keys


class StitcherSettings(StageSettings):
    """What the stitcher is told. Several processes with the same settings share the work."""

    own_prefixes: ClassVar[tuple[str, ...]] = (*StageSettings.own_prefixes, "BEMI_STITCHER_")

    wal_from: Literal["bemi", "debezium"] = Field(
        "bemi",
        validation_alias="BEMI_STITCHER_WAL_FROM",
        description=(
            "Who writes `.wal`: `bemi`, the producer, or `debezium`, a connector that routes all "
            "tables to it (deploy/debezium/connector.properties)."
        ),
    )
    max_context_bytes: int = Field(
        1_000_000,
        validation_alias="BEMI_STITCHER_MAX_CONTEXT_BYTES",
        ge=100,
        description=(
            "The largest context that is put on a change, in bytes; a larger one is left out "
            "and the change says so in `context_error`."
        ),
    )
    context_keys: SecretStr = Field(
        SecretStr(""),
        validation_alias="BEMI_STITCHER_CONTEXT_KEY",
        description=(
            "Keys that contexts may be signed with, one a line, 16 characters at least; several "
            "while one replaces another. With any, each context says in `_verified` whether it "
            "was signed. Best given as BEMI_STITCHER_CONTEXT_KEY_FILE."
        ),
    )
    redact_context: str = Field(
        "",
        validation_alias="BEMI_STITCHER_REDACT_CONTEXT",
        description=(
            "Paths in contexts whose values become `[redacted]`, separated by commas: "
            "`user.email`, `headers.*`, `*_token`, `**.password` (at any depth). Capitals do not "
            "matter."
        ),
    )
    redact_sql_literals: bool = Field(
        False,
        validation_alias="BEMI_STITCHER_REDACT_SQL_LITERALS",
        description="Put `?` for each literal in the context's `SQL`, and empty its comments.",
    )
    ignore_tables: str = Field(
        "",
        validation_alias="BEMI_STITCHER_IGNORE_TABLES",
        description=(
            "Tables whose changes are left out, `schema.table`, separated by commas; `*` stands "
            "for any name or part of one: `app.tmp_*`."
        ),
    )
    ignore_columns: str = Field(
        "",
        validation_alias="BEMI_STITCHER_IGNORE_COLUMNS",
        description=(
            "Columns that are left out of `before` and `after`, `schema.table.column` with `*` "
            "as above."
        ),
    )
    ignore_updates_of: str = Field(
        "",
        validation_alias="BEMI_STITCHER_IGNORE_UPDATES_OF",
        description=(
            "Columns, written as above: an UPDATE that changes only such columns is left out. "
            "Needs REPLICA IDENTITY FULL; without it the change is kept."
        ),
    )
    change_hook: str = Field(
        "",
        validation_alias="BEMI_STITCHER_CHANGE_HOOK",
        description=(
            "Dotted path of a callable that is given each change and returns what to override "
            "of it, or None to drop it."
        ),
    )
    changes_format: Literal["json", "avro"] = Field(
        "json",
        validation_alias="BEMI_STITCHER_CHANGES_FORMAT",
        description=(
            "What `.changes` is written in: `json`, or `avro` by schemas/change.avsc. The sink "
            "reads both, also mixed."
        ),
    )
    registry_url: str = Field(
        "",
        validation_alias="BEMI_STITCHER_SCHEMA_REGISTRY_URL",
        description=(
            "A schema registry with Confluent's API, in which the schema of `.changes` is "
            "registered as `{topic}-value`; records then begin as its clients expect. Without one "
            "they are in Avro's single-object encoding."
        ),
    )
    registry_user_info: SecretStr = Field(
        SecretStr(""),
        validation_alias="BEMI_STITCHER_SCHEMA_REGISTRY_USER_INFO",
        description="`user:password` for the registry; also by a file.",
    )
    registry_ca_location: str = Field(
        "",
        validation_alias="BEMI_STITCHER_SCHEMA_REGISTRY_CA_LOCATION",
        description="PEM file of the authorities that sign the registry's certificate.",
    )
    commit_interval_seconds: float = Field(
        0.5,
        validation_alias="BEMI_STITCHER_COMMIT_INTERVAL_SECONDS",
        ge=0.05,
        le=60,
        description="How often the group's offsets are committed, in seconds.",
    )
    session_timeout_seconds: float = Field(
        10.0,
        validation_alias="BEMI_STITCHER_SESSION_TIMEOUT_SECONDS",
        ge=6,
        le=60,
        description=(
            "After how many seconds without a sign of life the partitions of a stitcher go to "
            "the others; the brokers' group.min.session.timeout.ms must allow it."
        ),
    )
    fetch_bytes: int = Field(
        4 * 1024 * 1024,
        validation_alias="BEMI_STITCHER_FETCH_BYTES",
        ge=64 * 1024,
        description=(
            "How much of a partition is fetched, and how much is unpacked and stitched, at a "
            "time, in bytes; a single larger record still passes."
        ),
    )
    fetch_records: int = Field(
        2000,
        validation_alias="BEMI_STITCHER_FETCH_RECORDS",
        ge=1,
        description="How many records are stitched at a time at most.",
    )
    in_flight_bytes: int = Field(
        64 * 1024 * 1024,
        validation_alias="BEMI_STITCHER_IN_FLIGHT_BYTES",
        ge=1024 * 1024,
        description=(
            "How many bytes of stitched changes may wait for the brokers' acknowledgement "
            "before reading goes on; a single larger batch still passes."
        ),
    )
    stop_seconds: float = Field(
        20.0,
        validation_alias="BEMI_STITCHER_STOP_SECONDS",
        ge=1,
        description=(
            "How many seconds the end may take after SIGTERM, with what is on its way stored "
            "and committed; then the process ends anyway, with exit code 1 and nothing lost."
        ),
    )
    changes_retention_ms: int = Field(
        -1,
        validation_alias="BEMI_STITCHER_CHANGES_RETENTION_MS",
        ge=-1,
        description=(
            "retention.ms of the topics `.changes`, `.dead-letters` and `.left-out` when the "
            "stitcher makes them, in milliseconds; -1 keeps everything, so that a sink that is "
            "down for long misses nothing."
        ),
    )

    @field_validator("ignore_tables")
    @classmethod
    def _tables_can_be_read(cls, text: str) -> str:
        parse_patterns(text, TABLE_PARTS)
        return text

    @field_validator("ignore_columns", "ignore_updates_of")
    @classmethod
    def _columns_can_be_read(cls, text: str) -> str:
        parse_patterns(text, COLUMN_PARTS)
        return text

    @field_validator("redact_context")
    @classmethod
    def _paths_can_be_read(cls, text: str) -> str:
        parse_redactions(text)
        return text

    @field_validator("context_keys")
    @classmethod
    def _keys_can_be_read(cls, keys: SecretStr) -> SecretStr:
        parse_keys(keys.get_secret_value())
        return keys

    @property
    def leaves_changes_out(self) -> bool:
        """Whether a change of `.wal` may be missing in `.changes` on purpose."""
        return bool(self.ignore_tables or self.ignore_updates_of or self.change_hook)

    @property
    def group_id(self) -> str:
        """The consumer group that all stitchers of this pipeline share."""
        return Topics(self.topic_prefix).stitcher_group
