"""What the settings mean to hide and leave in clear text. Pure.

A rule that names no column says so nowhere else: what it was meant for is published as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from producer.column_types.keyed_hash import KeyedHash
from producer.configuration.column_rules import ColumnFacts, ColumnRules
from producer.configuration.expressions import Expression
from producer.configuration.table_filters import TableFilters
from producer.doctor.facts import ColumnFound
from producer.doctor.findings import Finding, Severity, some_of

_OK, _WARNING = Severity.OK, Severity.WARNING
_HASH = "bemi.column.hmac hashes columns of any type, in keys, too."


def check_hiding(
    columns: Sequence[ColumnFound],
    filters: TableFilters,
    rules: ColumnRules,
    keyed_hash: KeyedHash,
) -> Iterator[Finding]:
    """Return what there is to say of the rules; `columns` are all of the database."""
    yield from _matching_nothing(columns, filters, rules, keyed_hash)
    captured = [each for each in columns if filters.captures_table(each.pg_schema, each.table)]
    hashed = [each for each in captured if keyed_hash.hashes(*each.place)]
    others = [each for each in captured if each not in hashed]
    clear = [each for each in others if filters.captures_column(*each.place)]
    unchanged = [each for each in clear if _is_kept_by_its_rule(each, rules)]
    if unchanged:
        yield Finding(
            "hiding",
            _WARNING,
            f"{_some(unchanged)}: a rule masks or hashes texts only, as in Debezium, so they are "
            "published in clear text",
            _HASH,
        )
    keys = [each for each in others if each.is_in_key and each not in clear]
    if keys:
        yield Finding(
            "hiding",
            _WARNING,
            f"{_some(keys)}: left out of rows, and part of the primary key, so they are in clear "
            "text in each record's key",
            _HASH,
        )
    if hashed:
        yield Finding("hiding", _OK, f"{len(hashed)} columns are published as keyed hashes")


def _matching_nothing(
    columns: Sequence[ColumnFound],
    filters: TableFilters,
    rules: ColumnRules,
    keyed_hash: KeyedHash,
) -> Iterator[Finding]:
    names = [each.name for each in columns]
    tables = {f"{each.pg_schema}.{each.table}" for each in columns}
    schemas = {each.pg_schema for each in columns}
    lists: list[tuple[str, Sequence[Expression], Collection[str]]] = [
        ("bemi.column.hmac", keyed_hash.columns, names),
        ("column.exclude.list", filters.columns.excluded, names),
        ("column.mask.* and column.truncate.*", rules.expressions, names),
        ("table.exclude.list", filters.tables.excluded, tables),
        ("schema.exclude.list", filters.schemas.excluded, schemas),
    ]
    for name, expressions, found in lists:
        idle = [each.pattern for each in expressions if not any(map(each.fullmatch, found))]
        if idle:
            yield Finding(
                "hiding",
                _WARNING,
                f"{name}: {some_of(idle)} matches nothing in the database, so nothing is hidden "
                "by it",
                "Names are schema.table.column; an expression has to match the whole name.",
            )


def _is_kept_by_its_rule(column: ColumnFound, rules: ColumnRules) -> bool:
    rule = rules.rule_for(ColumnFacts(*column.place, column.type_oid, column.type_kind))
    return rule is not None and rule.keeps_values


def _some(columns: Sequence[ColumnFound]) -> str:
    return some_of(each.name for each in columns)
