"""What an erasure may be about, and what is too much."""

from __future__ import annotations

import pytest

from sink_pg.erasure_selection import Member, Selection, parse_member
from sink_pg.errors import UnusableSelection


@pytest.mark.parametrize(
    ("text", "is_path", "member"),
    [
        ("user_id=7", True, Member(("user_id",), "7")),
        ("user.id=7", True, Member(("user", "id"), "7")),
        ("a.b=7", False, Member(("a.b",), "7")),
        ("note=a=b", False, Member(("note",), "a=b")),
        ("note=", False, Member(("note",), "")),
    ],
)
def test_a_member_is_its_name_and_its_value(text: str, is_path: bool, member: Member) -> None:
    assert parse_member(text, is_path=is_path) == member


@pytest.mark.parametrize("text", ["user_id", "=7", "user.=7", ""])
def test_what_names_no_member_is_refused(text: str) -> None:
    with pytest.raises(UnusableSelection, match="name=value"):
        parse_member(text, is_path=True)


@pytest.mark.parametrize(
    ("member", "documents"),
    [
        (Member(("a",), "7"), ['{"a": "7"}', '{"a": 7}']),
        (Member(("a",), "-1.50e3"), ['{"a": "-1.50e3"}', '{"a": -1.50e3}']),
        (Member(("a",), "true"), ['{"a": "true"}', '{"a": true}']),
        (Member(("a",), "007"), ['{"a": "007"}']),
        (Member(("a",), "null"), ['{"a": "null"}']),
        (Member(("a", 'b"'), "x\\"), ['{"a": {"b\\"": "x\\\\"}}']),
    ],
)
def test_a_value_is_looked_for_as_text_and_as_what_else_it_may_be(
    member: Member, documents: list[str]
) -> None:
    assert list(member.documents()) == documents


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ({}, "whose changes"),
        ({"table": "public.user"}, "whose changes"),
        ({"primary_key": "7"}, "--table"),
        ({"primary_key": "7", "table": "public.*"}, "--table"),
    ],
)
def test_what_would_erase_whole_tables_is_refused(selection: dict[str, str], says: str) -> None:
    with pytest.raises(UnusableSelection, match=says):
        Selection(**selection)  # type: ignore[arg-type]
