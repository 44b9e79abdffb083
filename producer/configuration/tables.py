"""Settings that choose what is captured and how rows are keyed. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from producer.column_types.keyed_hash import KeyedHash
from producer.configuration.column_rules import ColumnRules
from producer.configuration.property import (
    Adopted,
    Expressions,
    Flag,
    Named,
    Property,
    Words,
    checked,
)
from producer.configuration.table_filters import parse_key_columns, parse_operations
from runtime.settings import StageSettings


class TableSettings(StageSettings):
    """Which tables, columns, messages and operations become events.

    A list of expressions is separated by commas, `\\,` being a comma within one; each must match
    the whole name, without regard to case.
    """

    schema_include_list: Annotated[Expressions, Property("schema.include.list")] = Field(
        (), description="Expressions of the schemas to capture; all when empty."
    )
    schema_exclude_list: Annotated[Expressions, Property("schema.exclude.list")] = Field(
        (), description="Expressions of the schemas to leave out."
    )
    table_include_list: Annotated[Expressions, Property("table.include.list")] = Field(
        (), description="Expressions of the tables to capture, `schema.table`; all when empty."
    )
    table_exclude_list: Annotated[Expressions, Property("table.exclude.list")] = Field(
        (), description="Expressions of the tables to leave out."
    )
    table_ignore_builtin: Annotated[Flag, Property("table.ignore.builtin", debezium=True)] = Field(
        False,
        description="Leave out tables that extensions keep among those of users, "
        "`spatial_ref_sys`. The server's catalogues are never published.",
    )
    column_include_list: Annotated[Expressions, Property("column.include.list")] = Field(
        (),
        description="Expressions of the columns in events, `schema.table.column`; all when empty. "
        "Those of the primary key are always in the key.",
    )
    column_exclude_list: Annotated[Expressions, Property("column.exclude.list")] = Field(
        (), description="Expressions of the columns to leave out of events."
    )
    message_prefix_include_list: Annotated[Expressions, Property("message.prefix.include.list")] = (
        Field((), description="Expressions of the prefixes of logical messages; all when empty.")
    )
    message_prefix_exclude_list: Annotated[Expressions, Property("message.prefix.exclude.list")] = (
        Field((), description="Expressions of the prefixes of logical messages to leave out.")
    )
    message_key_columns: Annotated[
        str, checked(parse_key_columns), Property("message.key.columns")
    ] = Field(
        "",
        description="Key columns in place of the primary key's: `schema.table:a,b;(.*).t:c`.",
    )
    skipped_operations: Annotated[
        Words,
        AfterValidator(parse_operations),
        Property("skipped.operations", debezium=("t",), adopted=Adopted.WITH_DEBEZIUM_VALUES),
    ] = Field(
        (),
        description="Operations that become no events: c, u, d, t, separated by commas, or none.",
    )
    skip_messages_without_change: Annotated[Flag, Property("skip.messages.without.change")] = Field(
        False,
        description="Leave out updates that change none of the columns in events; needs replica "
        "identity FULL.",
    )
    column_rules: Annotated[Named, checked(ColumnRules), Property("bemi.column.rules")] = Field(
        {},
        repr=False,
        description="The properties column.truncate.to.N.chars, column.mask.with.N.chars and "
        "column.mask.hash.v2.ALGORITHM.with.salt.SALT. A file has each by its own name; in the "
        'environment they are one JSON object: `{"column.mask.with.4.chars": "public.users.ssn"}`.',
    )
    column_hmac: Annotated[Expressions, Property("bemi.column.hmac")] = Field(
        (),
        description="Expressions of the columns, `schema.table.column` of any type, in whose place "
        "a keyed hash is published: HMAC-SHA256 of PostgreSQL's text, in hexadecimal. It goes "
        "before the column rules and holds in keys, `.wal` and snapshots, too: docs/privacy.md.",
    )
    column_hmac_key: Annotated[SecretStr, Property("bemi.column.hmac.key")] = Field(
        SecretStr(""),
        description="The key of that hash, 16 characters at least: best given as "
        "BEMI_PRODUCER_COLUMN_HMAC_KEY_FILE. Another key makes other hashes of the same values.",
    )
    column_propagate_source_type: Annotated[
        Expressions, Property("column.propagate.source.type")
    ] = Field(
        (),
        description="Expressions of the columns whose schemas say the column's type in "
        "`__debezium.source.column.*` parameters.",
    )
    datatype_propagate_source_type: Annotated[
        Expressions, Property("datatype.propagate.source.type")
    ] = Field((), description="The same for all columns of these types, `schema.table.TYPE`.")

    @model_validator(mode="after")
    def _has_a_key_to_hash_with(self) -> TableSettings:
        KeyedHash.of(self.column_hmac, self.column_hmac_key.get_secret_value())
        return self

    @model_validator(mode="after")
    def _has_one_list_of_each(self) -> TableSettings:
        for name in ("schema", "table", "column", "message_prefix"):
            if getattr(self, f"{name}_include_list") and getattr(self, f"{name}_exclude_list"):
                dotted = name.replace("_", ".")
                raise ValueError(
                    f"{dotted}.include.list and {dotted}.exclude.list exclude each other"
                )
        return self
