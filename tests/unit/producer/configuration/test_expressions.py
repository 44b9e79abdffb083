"""Debezium's lists of regular expressions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.configuration.expressions import (
    compile_expression,
    compile_expressions,
    matches_any,
    split_list,
)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (" a , b ,", ("a", "b")),
        (r"a\,b", ("a,b",)),
        (r"a\\,b", (r"a\\", "b")),
        (r"public\.t,x", (r"public\.t", "x")),
        (",,", ()),
    ],
)
def test_a_list_is_split_at_commas_that_are_not_escaped(text: str, items: tuple[str, ...]) -> None:
    assert split_list(text) == items


def test_a_list_that_ends_within_an_escape_is_refused() -> None:
    with pytest.raises(ValueError, match="backslash"):
        split_list("a\\")


@given(st.lists(st.text("abc.*", min_size=1)))
def test_what_is_joined_by_commas_is_split_again(items: list[str]) -> None:
    assert split_list(",".join(items)) == tuple(items)


@given(st.text())
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        items = split_list(text)
    except ValueError:
        return
    assert all(items)


@pytest.mark.parametrize(
    ("expression", "name", "matches"),
    [
        ("public.t", "public.t", True),
        ("public.t", "public.tt", False),
        ("public.t", "apublic.t", False),
        ("public.t", "PUBLIC.T", True),
        (r"public\..*", "public.orders", True),
        ("a|b", "b", True),
        # Java tells apart what is no ASCII letter, and knows ASCII digits only.
        ("é", "É", False),
        (r"\d", "٣", False),
    ],
)
def test_an_expression_matches_the_whole_name(expression: str, name: str, matches: bool) -> None:
    assert matches_any(compile_expressions([expression]), name) is matches


@pytest.mark.parametrize("expression", ["(", "[a-z&&[^b]]", r"\p{Alpha}", r"\Qa.b\E", "(?<x>a)"])
def test_an_expression_that_java_and_python_may_read_differently_is_refused(
    expression: str,
) -> None:
    with pytest.raises(ValueError, match="cannot use the expression"):
        compile_expression(expression)


@given(st.text())
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        compile_expression(text)
    except ValueError as error:
        assert text in str(error)  # noqa: PT017
