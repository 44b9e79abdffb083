"""What is left out of the trail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.settings import InvalidSettings
from schemas.change import Change
from schemas.envelope import UNAVAILABLE_VALUE
from stitcher_stream.ignore_rules import (
    COLUMN_PARTS,
    TABLE_PARTS,
    Columns,
    IgnoreRules,
    parse_patterns,
    touches_only,
)
from stitcher_stream.name_patterns import name_pattern
from stitcher_stream.settings import StitcherSettings
from tests.unit.stitcher_stream.changes import a_change


def rules(tables: str = "", columns: str = "", updates_of: str = "") -> IgnoreRules:
    return IgnoreRules(
        parse_patterns(tables, TABLE_PARTS),
        parse_patterns(columns, COLUMN_PARTS),
        parse_patterns(updates_of, COLUMN_PARTS),
    )


def after_rules(change: Change, **given_rules: str) -> Change | None:
    return rules(**given_rules).reshape(change)


@pytest.mark.parametrize(
    "tables",
    ["public.task", "public.*", "*.task", "*.t*", "pub*.t*k", "other.x, public.task", "*.*"],
)
def test_changes_of_an_ignored_table_are_left_out(tables: str) -> None:
    assert after_rules(a_change(), tables=tables) is None


@pytest.mark.parametrize(
    "tables", ["", "public.tas", "public.task_x", "app.task", "Public.task", "public.t?sk", ","]
)
def test_changes_of_another_table_stay_as_they_are(tables: str) -> None:
    change = a_change()
    assert after_rules(change, tables=tables) is change


def test_the_dot_in_a_tables_name_is_matched_by_a_star_only_in_its_own_part() -> None:
    change = a_change(table="task.archive")
    assert after_rules(change, tables="public.task*") is None
    assert after_rules(change, tables="*.archive") is change


def test_ignored_columns_are_taken_out_of_both_rows_and_the_key_stays() -> None:
    change = after_rules(a_change(), columns="public.task.seen, *.*.i*")
    assert change is not None
    assert (change["before"], change["after"]) == ({"title": "a"}, {"title": "b"})
    assert change["primary_key"] == "1"
    assert list(change) == list(Change.__annotations__)


def test_update_of_nothing_but_the_named_columns_is_left_out() -> None:
    seen = a_change(after={"id": 1, "title": "a", "seen": 2})
    assert after_rules(seen, updates_of="public.task.seen") is None
    assert after_rules(seen, updates_of="public.*.se*") is None
    assert after_rules(seen, updates_of="public.task.title") is seen
    both = a_change(after={"id": 1, "title": "b", "seen": 2})
    assert after_rules(both, updates_of="public.task.seen") is both
    assert after_rules(both, updates_of="public.task.seen,public.task.title") is None


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        ("CREATE", {}, {"seen": 1}),
        ("DELETE", {"seen": 1}, {}),
        ("UPDATE", {}, {"seen": 1}),
        ("UPDATE", {"seen": 1}, {"seen": 1}),
        ("UPDATE", {"seen": 1}, {"seen": 2, "title": "a"}),
        ("TRUNCATE", {}, {}),
    ],
)
def test_a_change_that_is_not_surely_of_those_columns_only_is_kept(
    operation: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    change = a_change(operation=operation, before=before, after=after)
    assert after_rules(change, updates_of="*.*.seen") is change


def test_value_that_was_not_sent_again_has_not_changed() -> None:
    change = a_change(before={"seen": 1, "t": "x" * 9}, after={"seen": 2, "t": UNAVAILABLE_VALUE})
    assert after_rules(change, updates_of="*.*.seen") is None


@pytest.mark.parametrize(
    ("old", "new"), [(1, True), (1, 1.0), ([1], [True]), ({"a": 0}, {"a": 0.0})]
)
def test_values_that_only_python_calls_equal_are_a_change(old: object, new: object) -> None:
    change = a_change(before={"t": old, "seen": 1}, after={"t": new, "seen": 2})
    assert after_rules(change, updates_of="*.*.seen") is change


def test_an_update_is_judged_before_its_columns_are_taken_out() -> None:
    change = a_change(after={"id": 1, "title": "a", "seen": 2})
    both = after_rules(change, columns="*.*.title", updates_of="*.*.seen")
    assert both is None
    only_title = a_change()
    kept = after_rules(only_title, columns="*.*.title", updates_of="*.*.seen")
    assert kept is not None


def test_each_table_has_its_own_rules_however_many_there_are() -> None:
    few = rules(tables="public.task1*")
    left = [n for n in range(25_000) if few.reshape(a_change(table=f"task{n}")) is not None]
    assert left == [n for n in range(25_000) if not str(n).startswith("1")]


rows = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)


@given(rows, rows, st.sets(st.sampled_from("abcd")))
def test_an_update_touches_only_the_columns_in_which_the_rows_differ(
    before: dict[str, int], after: dict[str, int], named: set[str]
) -> None:
    differing = {c for c in "abcd" if before.get(c) != after.get(c)}
    expected = before.keys() == after.keys() and bool(differing) and differing <= named
    columns = Columns(name_pattern(name) for name in sorted(named))
    assert touches_only(before, after, columns) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BEMI_STITCHER_IGNORE_TABLES", "task"),
        ("BEMI_STITCHER_IGNORE_TABLES", "a.b.c"),
        ("BEMI_STITCHER_IGNORE_COLUMNS", "public.task"),
        ("BEMI_STITCHER_IGNORE_UPDATES_OF", "public..seen"),
    ],
)
def test_a_rule_that_names_nothing_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"{name}: .* is not schema\.table"):
        StitcherSettings.from_environ({name: value})
