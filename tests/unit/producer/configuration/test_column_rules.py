"""Masks, hashes and truncations. The expected values are the connector's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.configuration.column_rules import ColumnFacts, ColumnRule, ColumnRules

VARCHAR, JSONB, BYTEA = 1043, 3802, 17
COLUMN = ColumnFacts("s", "t", "c", VARCHAR)
SALTED = "column.mask.hash.v2.SHA-256.with.salt.abc"


def rule(name: str, column: ColumnFacts = COLUMN) -> ColumnRule:
    found = ColumnRules({name: "s.t.c"}).rule_for(column)
    assert found is not None
    return found


def test_a_mask_hides_null_too() -> None:
    mask = rule("column.mask.with.3.chars")
    assert (mask.of_value("secret"), mask.of_value(None)) == ("***", "***")
    assert mask.parameters == {"masked": "true"}


def test_a_hash_is_of_salt_and_text_and_cut_to_the_column() -> None:
    short = rule(SALTED, replace(COLUMN, length=20))
    assert short.of_value("hé😀llo") == "26c83a36c5cab795fc39"
    whole = rule(SALTED)
    assert whole.of_value("hé😀llo")[:20] == short.of_value("hé😀llo")
    assert len(whole.of_value("")) == 64
    assert whole.of_value(None) is None
    assert whole.parameters == {"masked": "true"}


def test_a_truncation_counts_units_of_utf_16() -> None:
    cut = rule("column.truncate.to.3.chars")
    assert cut.of_value("hello") == "hel"
    assert cut.of_value("日本語テキスト") == "日本語"
    # Half of a character that takes two units is none that could be written.
    assert cut.of_value("hé😀llo") == "hé?"
    assert cut.of_value(None) is None
    assert cut.of_value(5) == 5
    assert cut.parameters == {"truncateLength": "3"}


def test_a_truncation_cuts_bytes_too() -> None:
    assert rule("column.truncate.to.2.chars", replace(COLUMN, type_oid=BYTEA)).of_value(
        b"\x01\x02\x03"
    ) == (b"\x01\x02")


def test_a_column_that_is_no_longer_than_the_limit_is_left_as_it_is() -> None:
    rules = ColumnRules({"column.truncate.to.5.chars": ".*"})
    assert rules.rule_for(replace(COLUMN, length=5)) is None
    assert rules.rule_for(replace(COLUMN, length=6)) is not None


@pytest.mark.parametrize("name", ["column.mask.with.3.chars", SALTED])
@pytest.mark.parametrize("type_oid", [18, 19, 25, 1042, 1043])
def test_columns_of_characters_and_enums_are_masked(name: str, type_oid: int) -> None:
    assert rule(name, replace(COLUMN, type_oid=type_oid)).of_value("red") != "red"
    assert rule(name, replace(COLUMN, type_oid=99_999, type_kind="e")).of_value("red") != "red"


@pytest.mark.parametrize("name", ["column.mask.with.3.chars", SALTED])
@pytest.mark.parametrize("type_oid", [JSONB, 114, 142, 869, 2950, 3614, 99_999])
def test_other_columns_are_marked_as_masked_though_they_are_not(name: str, type_oid: int) -> None:
    unmasked = rule(name, replace(COLUMN, type_oid=type_oid))
    assert (unmasked.of_value("{}"), unmasked.of_value(None)) == ("{}", None)
    assert unmasked.parameters == {"masked": "true"}


def test_the_first_rule_that_names_a_column_is_the_only_one() -> None:
    rules = ColumnRules(
        {
            SALTED: ".*",
            "column.mask.with.2.chars": "s.t.c,s.t.d",
            "column.truncate.to.1.chars": "s.t.c",
        }
    )
    values = {}
    for name in "cde":
        found = rules.rule_for(replace(COLUMN, column=name))
        assert found is not None
        values[name] = found.of_value("text")
    assert values["c"] == "t"
    assert values["d"] == "**"
    assert len(values["e"]) == 64


def test_a_column_without_a_rule_has_none() -> None:
    assert ColumnRules({SALTED: "s.t.c"}).rule_for(replace(COLUMN, table="u")) is None
    assert not ColumnRules({})


@pytest.mark.parametrize(
    "name",
    ["column.mask.hash.v2.CRC32.with.salt.a", "column.mask.with.many.chars", "columns"],
)
def test_a_rule_that_cannot_be_applied_is_refused_without_its_salt(name: str) -> None:
    with pytest.raises(ValueError, match="none of"):
        ColumnRules({name: "a"})


@given(st.text(), st.integers(0, 20))
def test_a_truncated_text_is_never_longer_and_can_be_written(text: str, limit: int) -> None:
    writable = text.encode("utf-8", "replace").decode()
    cut = rule(f"column.truncate.to.{limit}.chars").of_text(writable)
    assert len(cut.encode("utf-16-le")) <= 2 * limit
    assert writable.startswith(cut) or (cut[-1] == "?" and writable.startswith(cut[:-1]))


def test_a_truncation_or_a_mask_takes_the_place_of_a_propagated_type() -> None:
    rules = ColumnRules(
        {
            "column.truncate.to.900.chars": "s.t.cut",
            "column.mask.with.0.chars": "s.t.masked",
            "column.mask.hash.v2.SHA-256.with.salt.s": "s.t.*",
        }
    )
    assert [rules.cuts_or_masks(f"s.t.{name}") for name in ("cut", "masked", "hashed")] == [
        *(True, True, False)
    ]
