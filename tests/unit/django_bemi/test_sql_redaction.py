"""What is left of a statement when the values written into it are left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi.recorded_sql import without_literals


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("UPDATE t SET a = 'it''s', b = 5", "UPDATE t SET a = ?, b = ?"),
        (r"SELECT E'it\'s', e'\\', 'C:\', x", "SELECT ?, ?, ?, x"),
        ("SELECT $$a 'b' $c$ $$, $tag$ $$ 'x' $tag$, $1", "SELECT ?, ?, $1"),
        ("SELECT U&'d\\0061t', x'1F', B'01', n'x'", "SELECT ?, ?, ?, ?"),
        ("SELECT 1, 1.5, .5, 1e10, 1.e-3, 0x1F, 1_000", "SELECT ?, ?, ?, ?, ?, ?, ?"),
        ('SELECT t1.c2, "a\'b", "x""1", a$1', 'SELECT t1.c2, "a\'b", "x""1", a$1'),
        ("INSERT INTO t VALUES (%s, %(name2)s)", "INSERT INTO t VALUES (%s, %(name2)s)"),
        (
            "DELETE FROM t -- 'line'\nWHERE a /* x /* 'y' */ 5 */ = b",
            "DELETE FROM t  \nWHERE a   = b",
        ),
        ("SELECT 'never ends", "SELECT ?"),
        ("SELECT $x$ never ends", "SELECT ?"),
        ("SELECT 5 /* never ends", "SELECT ?  "),
    ],
)
def test_names_and_placeholders_stay_and_values_go(sql: str, left: str) -> None:
    assert without_literals(sql) == left


SECRET = "s3cr3t"
NAMES = st.sampled_from(["t", "col1", '"Odd 1"', "=", ",", "(", ")", " ", "\n", "%s", "$1"])


@st.composite
def literals(draw: st.DrawFn) -> str:
    text = draw(st.text("'\\$-/*\"ae1 ", max_size=5)) + SECRET
    text += draw(st.text("'\\$-/*\"ae1 ", max_size=5))
    kind = draw(st.sampled_from(["'", "E", "$$", "$a$", "--", "/*"]))
    if kind == "'":
        return "'" + text.replace("'", "''") + "'"
    if kind == "E":
        return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if kind == "--":
        return f"--{text}\n"
    if kind == "/*":
        return "/* " + text.replace("*", "").replace("/", "") + " */"
    return kind + text.replace("$", "") + kind


@given(parts=st.lists(st.one_of(NAMES, literals()), max_size=12))
def test_no_value_is_left_and_every_name_is(parts: list[str]) -> None:
    left = without_literals(" ".join(parts))
    assert SECRET not in left
    for name in ("col1", '"Odd 1"', "%s", "$1"):
        assert left.count(name) == parts.count(name)
