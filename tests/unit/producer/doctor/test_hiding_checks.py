"""What the doctor says of columns that the settings mean to hide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.column_types.keyed_hash import NOTHING_HASHED, KeyedHash
from producer.configuration.column_rules import ColumnRules
from producer.configuration.expressions import compile_expressions
from producer.configuration.table_filters import Choice, TableFilters
from producer.doctor.facts import ColumnFound
from producer.doctor.findings import Finding, Severity
from producer.doctor.hiding_checks import check_hiding

ID = ColumnFound("public", "person", "id", 20, "b", True)
EMAIL = ColumnFound("public", "person", "email", 25, "b", False)
BORN = ColumnFound("public", "person", "born", 1082, "b", False)
COLUMNS = (ID, EMAIL, BORN)
NO_RULES = ColumnRules({})
ALL = TableFilters()


def hashing(*expressions: str) -> KeyedHash:
    return KeyedHash.of(expressions, "0123456789abcdef")


def hiding(*expressions: str) -> TableFilters:
    return TableFilters(columns=Choice(excluded=compile_expressions(expressions)))


def found(
    filters: TableFilters = ALL,
    rules: ColumnRules = NO_RULES,
    keyed_hash: KeyedHash = NOTHING_HASHED,
) -> list[Finding]:
    return list(check_hiding(COLUMNS, filters, rules, keyed_hash))


def test_where_nothing_is_to_be_hidden_nothing_is_said() -> None:
    assert not found()


def test_columns_that_are_hashed_are_counted() -> None:
    (finding,) = found(keyed_hash=hashing("public[.]person[.](id|email)"))
    assert (finding.severity, finding.summary[:2]) == (Severity.OK, "2 ")


@pytest.mark.parametrize(
    ("filters", "rules", "keyed_hash", "name"),
    [
        (ALL, NO_RULES, hashing("public.person.emial"), "public.person.emial"),
        (hiding("person.email"), NO_RULES, NOTHING_HASHED, "person.email"),
        (ALL, ColumnRules({"column.mask.with.3.chars": "email"}), NOTHING_HASHED, "email"),
        (
            TableFilters(tables=Choice(excluded=compile_expressions(["public.persons"]))),
            NO_RULES,
            NOTHING_HASHED,
            "public.persons",
        ),
    ],
)
def test_a_rule_that_names_nothing_is_told(
    filters: TableFilters, rules: ColumnRules, keyed_hash: KeyedHash, name: str
) -> None:
    (finding,) = found(filters, rules, keyed_hash)
    assert finding.severity is Severity.WARNING
    assert f" {name} matches nothing" in finding.summary


@pytest.mark.parametrize("name", ["mask.with.3.chars", "mask.hash.v2.SHA-256.with.salt.hunter2"])
def test_a_mask_of_what_is_no_text_is_told_without_its_salt(name: str) -> None:
    rules = ColumnRules({f"column.{name}": "public.person.*"})
    (finding,) = found(rules=rules)
    assert finding.summary.startswith("public.person.id, public.person.born: ")
    assert "clear text" in finding.summary
    assert "hunter2" not in f"{finding}"


def test_a_column_left_out_that_is_in_the_key_is_told() -> None:
    (finding,) = found(hiding("public.person.(id|email)"))
    assert finding.summary.startswith("public.person.id: ")
    assert "key" in finding.summary


def test_what_is_hashed_besides_has_nothing_wrong() -> None:
    rules = ColumnRules({"column.mask.with.3.chars": "public.person.born"})
    findings = found(hiding("public.person.id"), rules, hashing("public.person.(id|born)"))
    assert [finding.severity for finding in findings] == [Severity.OK]


def test_a_table_that_is_left_out_is_not_looked_at() -> None:
    filters = replace(
        hiding("public.person.id"), tables=Choice(excluded=compile_expressions([".*person"]))
    )
    assert not found(filters)
