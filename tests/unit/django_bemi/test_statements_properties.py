"""Any context survives in a comment, and nothing in it can end the comment."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bemi import statements

HOSTILE = st.sampled_from(["*/", "/*", "%", "%s", "--", "\x00", "Bemi*/", "/*Bemi {", "\\", "'"])
TEXT = st.lists(st.one_of(HOSTILE, st.text(max_size=5)), max_size=6).map("".join)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(TEXT, children, max_size=3)
    ),
    max_leaves=8,
)
CONTEXTS = st.dictionaries(TEXT, VALUES.filter(lambda value: not _is_infinite(value)), max_size=4)


def _is_infinite(value: Any) -> bool:
    return "Infinity" in json.dumps(value)


@given(context=CONTEXTS, sql=TEXT.filter(bool))
def test_any_context_and_statement_come_back_exactly(context: dict[str, Any], sql: str) -> None:
    comment = statements.encode_context(context, sql, statements.Form(1_000_000))
    assert comment is not None
    assert comment.isascii()
    assert "%" not in comment
    assert "\n" not in comment
    inner = comment.removeprefix("/*").removesuffix("*/")
    assert "*/" not in inner
    assert "/*" not in inner
    assert "--" not in inner
    text = comment.removeprefix("/*Bemi ").removesuffix(" Bemi*/")
    assert json.loads(text) == {**context, "SQL": sql}


@given(sql=TEXT)
def test_any_text_can_be_looked_at(sql: str) -> None:
    statements.may_write(sql)
    statements.may_write(f"SELECT 1;{sql}")
    assert statements.append_comment(sql, "/*Bemi {} Bemi*/", has_parameters=True)
