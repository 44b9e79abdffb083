"""What rows of one relation look like in an output: columns, key, schemas. Pure.

The stream's Relation message gives columns and replica identity at the point of the rows that
follow. What it lacks comes from the catalogue as `CatalogFacts`: the key, because with REPLICA
IDENTITY FULL every column counts as identity; what types are made of; which columns may be null
and what their defaults are. The catalogue shows the present: what the stream says wins.

An old row of which only the identity was sent has no other columns: in JSON without schemas they
are left out, in a format bound to a schema they are null, and are optional in the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from producer.column_types.column_type import ColumnType, TypeFacts, ValueModes
from producer.column_types.defaults import default_value, zero_value
from producer.column_types.keyed_hash import NOTHING_HASHED, KeyedHash
from producer.column_types.registry import column_type
from producer.column_types.source_parameters import length_and_scale, with_source_type
from producer.configuration.column_rules import ColumnFacts, ColumnRule
from producer.connect_schema import BYTES, STRUCT, ConnectSchema
from producer.pgoutput import Column, Relation, ReplicaIdentity


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """What the catalogue says of a column."""

    not_null: bool = False
    default_expression: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogFacts:
    """What the catalogue says of a relation, read when the stream described it.

    `key` is None when the relation is not in the catalogue any more: it was dropped after
    the change that is being read.
    """

    key: tuple[str, ...] | None = None
    columns: Mapping[str, CatalogColumn] = field(default_factory=dict)
    types: Mapping[int, TypeFacts] = field(default_factory=dict)
    is_own: bool = False
    """A table of the sink, or a partition of one."""


@dataclass(frozen=True, slots=True)
class TableRules:
    """What the configuration says of one table."""

    key_columns: tuple[str, ...] = ()
    """message.key.columns; () keeps the table's own key."""
    captures_column: Callable[[str], bool] = lambda _column: True
    rule_for: Callable[[ColumnFacts], ColumnRule | None] = lambda _column: None
    propagates_type: Callable[[str, str], bool] = lambda _column, _type: False
    """Whether the schema of a column, of a type, says which type that is."""
    keyed_hash: KeyedHash = NOTHING_HASHED
    """Of which columns a keyed hash takes the place, in rows and in keys."""


@dataclass(frozen=True, slots=True)
class ShapedColumn:
    """A column in an output; without `type` it is left out."""

    name: str
    is_identity: bool
    type: ColumnType | None = None
    schema: ConnectSchema | None = None
    """The type's, optional where the column may be null, with its default."""
    rule: ColumnRule | None = None
    """What is done to each value before it leaves: mask, hash, truncate."""
    zero: Any = None
    """What Debezium invents where the value was not sent and the column is NOT NULL."""
    key_schema: ConnectSchema | None = None
    """The schema in a key, which says nothing of the column's source or rule."""
    is_written: bool = False
    """Whether it is in `before` and `after`; a column of the key may be in that alone."""
    is_hashed: bool = False
    """Whether `type` is that of a keyed hash, and not the one the column has in PostgreSQL."""

    @property
    def has_own_values(self) -> bool:
        """Whether values leave as the column has them, so that the server may write them."""
        return self.rule is None and not self.is_hashed


@dataclass(frozen=True, slots=True)
class TableShape:
    """A relation as one output writes it."""

    oid: int
    pg_schema: str
    table: str
    is_own: bool
    identity_is_full: bool
    columns: tuple[ShapedColumn, ...]
    key: tuple[int, ...]
    """The numbers of the key's columns, in the key's order; () where there is no key."""

    @property
    def written(self) -> tuple[int, ...]:
        """The numbers of the columns that are in the output."""
        return tuple(i for i, column in enumerate(self.columns) if column.is_written)

    def row_schema(self, name: str, adjust: Callable[[str], str]) -> ConnectSchema:
        """Return the schema of `before` and `after`; `adjust` makes fields' names of columns'."""
        columns = [self.columns[number] for number in self.written]
        fields = tuple((adjust(c.name), c.schema) for c in columns if c.schema is not None)
        return ConnectSchema(STRUCT, name, optional=True, fields=fields)

    def key_schema(self, name: str, adjust: Callable[[str], str]) -> ConnectSchema | None:
        """Return the schema of the key, None without a key."""
        if not self.key:
            return None
        columns = [self.columns[number] for number in self.key]
        fields = tuple((adjust(c.name), c.key_schema) for c in columns if c.key_schema is not None)
        return ConnectSchema(STRUCT, name, fields=fields)


def shape(
    relation: Relation, facts: CatalogFacts, modes: ValueModes, rules: TableRules
) -> TableShape:
    """Return how an output with these modes and rules writes the relation."""
    names = [column.name for column in relation.columns]
    key = _key(relation, names, facts, rules)
    identity_is_full = relation.replica_identity is ReplicaIdentity.FULL
    columns = []
    for number, column in enumerate(relation.columns):
        is_written = rules.captures_column(column.name)
        if not (is_written or number in key):
            columns.append(ShapedColumn(column.name, column.is_identity))
            continue
        may_be_unsent = not (identity_is_full or column.is_identity or modes.debezium_values)
        shaped = _column(relation, column, facts, modes, rules, may_be_unsent)
        columns.append(replace(shaped, is_written=is_written and shaped.type is not None))
    return TableShape(
        relation.oid,
        relation.pg_schema,
        relation.table,
        facts.is_own,
        identity_is_full,
        tuple(columns),
        tuple(number for number in key if columns[number].type is not None),
    )


def _column(
    relation: Relation,
    column: Column,
    facts: CatalogFacts,
    modes: ValueModes,
    rules: TableRules,
    may_be_unsent: bool,
) -> ShapedColumn:
    type_facts = facts.types.get(column.type_oid) or TypeFacts(column.type_oid, "", "")
    in_catalog = facts.columns.get(column.name, CatalogColumn())
    kind = column_type(type_facts, column.type_modifier, modes, not_null=in_catalog.not_null)
    if kind is None:
        return ShapedColumn(column.name, column.is_identity)
    is_hashed = rules.keyed_hash.hashes(relation.pg_schema, relation.table, column.name)
    if is_hashed:
        kind = rules.keyed_hash.hashed(kind, modes.unavailable_text)
    schema = kind.schema
    rule = None if is_hashed else rules.rule_for(_column_facts(relation, column, type_facts))
    if rule is not None and schema.type == BYTES and schema.name is not None:
        # A number or bits, in Java no bytes: a part of them would be another value.
        rule = replace(rule, of_bytes=lambda value: value)
    default = None  # That of a hashed column is no hash.
    if not is_hashed:
        default = default_value(
            kind, in_catalog.default_expression, debezium_values=modes.debezium_values
        )
    if default is not None and rule is not None and not modes.debezium_values:
        # Rows that have it would be read off the schema.
        default = rule.of_value(default)
    if default is not None:
        schema = replace(schema, default=default)
    if not in_catalog.not_null or may_be_unsent:
        schema = schema.as_optional()
    key_schema = schema
    if rules.propagates_type(column.name, type_facts.name):
        schema = with_source_type(schema, type_facts, column.type_modifier, column.name)
    zero = None
    if modes.debezium_values and in_catalog.not_null:
        zero = default if default is not None else zero_value(kind, type_facts)
    if rule is not None:
        parameters = {**dict(schema.parameters), **rule.parameters}
        schema = replace(schema, parameters=tuple(parameters.items()))
        zero = None if zero is None else rule.of_value(zero)
    return ShapedColumn(
        column.name,
        column.is_identity,
        kind,
        schema,
        rule,
        zero,
        key_schema=key_schema,
        is_hashed=is_hashed,
    )


def _column_facts(relation: Relation, column: Column, type_facts: TypeFacts) -> ColumnFacts:
    length, _ = length_and_scale(type_facts, column.type_modifier)
    while type_facts.base is not None:
        type_facts = type_facts.base
    return ColumnFacts(
        relation.pg_schema, relation.table, column.name, type_facts.oid, type_facts.kind, length
    )


def _key(
    relation: Relation, names: list[str], facts: CatalogFacts, rules: TableRules
) -> tuple[int, ...]:
    key = rules.key_columns or facts.key
    if key is None:
        # Only FULL marks columns that are no key; nothing is known of its key then.
        if relation.replica_identity is ReplicaIdentity.FULL:
            return ()
        return tuple(i for i, column in enumerate(relation.columns) if column.is_identity)
    # A key column renamed since the row was written is not in this description.
    return tuple(names.index(name) for name in key) if set(key) <= set(names) else ()
