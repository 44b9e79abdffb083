"""What is taken out of contexts, and what stays as it was sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.settings import InvalidSettings
from stitcher_stream.change_rules import context_rules
from stitcher_stream.contexts import Context, read_context
from stitcher_stream.json_text import Rule, append_member, parse_path, replace_values
from stitcher_stream.settings import StitcherSettings
from stitcher_stream.sql_literals import COMMENT, LITERAL, redact_literals


def redacted(text: str, paths: str = "", *, sql: bool = False) -> Context:
    settings = StitcherSettings.from_environ(
        {
            "BEMI_STITCHER_REDACT_CONTEXT": paths,
            "BEMI_STITCHER_REDACT_SQL_LITERALS": str(sql),
        }
    )
    content = base64.b64encode(text.encode()).decode()
    context, error = read_context(content, context_rules(settings))
    assert error is None
    assert context == json.loads(context.encoded)
    return context


@pytest.mark.parametrize(
    ("paths", "gone"),
    [
        ("user", ["a1", "a2"]),
        ("email", ["c"]),
        ("user.EMAIL", ["a1"]),
        ("user.*", ["a1", "a2"]),
        ("list.email", ["b"]),
        ("**.email", ["a1", "b", "c"]),
        ("*.e*l, nothing", ["a1", "b"]),
    ],
)
def test_value_at_a_path_becomes_redacted(paths: str, gone: list[str]) -> None:
    text = '{"user": {"email": "a1", "id": "a2"}, "list": [{"email": "b"}], "email": "c"}'
    encoded = redacted(text, paths).encoded.decode()
    assert [value for value in ("a1", "a2", "b", "c") if f'"{value}"' not in encoded] == gone
    assert encoded.count('"[redacted]"') == (1 if paths == "user" else len(gone))


def test_everything_else_stays_as_it_was_sent() -> None:
    text = '{ "n": 1.10,\t"big": 1234567890123456789012345, "t": [1, {"a": 2}], "s": "\\ud800\\/"}'
    assert redacted(text, "t").encoded.decode() == text.replace('[1, {"a": 2}]', '"[redacted]"')


def test_a_member_that_stands_there_twice_is_redacted_twice() -> None:
    assert b"secret" not in redacted('{"a": "secret", "a": "secret"}', "a").encoded


def test_a_name_written_in_escapes_is_the_same_name() -> None:
    assert redacted('{"\\u0061": "secret"}', "a") == {"a": "[redacted]"}


@pytest.mark.parametrize("paths", ["a..b", "**", "a.**", "."])
def test_path_that_names_nothing_is_refused(paths: str) -> None:
    with pytest.raises(InvalidSettings, match="BEMI_STITCHER_REDACT_CONTEXT"):
        StitcherSettings.from_environ({"BEMI_STITCHER_REDACT_CONTEXT": paths})


names = st.sampled_from(["a", "b", "ab", "A", 'q"\\', "é"])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
paths = st.lists(st.sampled_from(["a", "b", "*", "a*", "**"]), max_size=3).map(
    lambda path: ".".join([*path, "a"])
)


def matches(pattern: list[str], path: list[str]) -> bool:
    """Tell whether the pattern names the path; slow, and plain to see."""
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**":
        return matches(pattern[1:], path) or matches(pattern, path[1:])
    name, first = path[0].lower(), pattern[0].lower()
    is_equal = name.startswith(first[:-1]) if first.endswith("*") else name == first
    return is_equal and matches(pattern[1:], path[1:])


def oracle(value: Any, pattern: list[str], path: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: 0 if matches(pattern, [*path, name]) else oracle(inner, pattern, [*path, name])
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [oracle(inner, pattern, path) for inner in value]
    return value


@given(json_values, paths, st.sampled_from([None, 1]), st.booleans())
def test_values_are_replaced_where_the_path_says_and_nowhere_else(
    value: Any, path: str, indent: int | None, ensure_ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)
    edited = replace_values(text, [Rule(parse_path(path), lambda _: "0")])
    assert json.loads(edited) == oracle(value, path.split("."), [])
    assert replace_values(text, []) == text


@given(st.dictionaries(names, json_values, max_size=3), st.sampled_from([None, 1]))
def test_a_member_is_put_at_the_end_of_an_object(value: dict[str, Any], indent: int | None) -> None:
    edited = append_member(f" {json.dumps(value, indent=indent)}\n", "_verified", "true")
    assert json.loads(edited) == value | {"_verified": True}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", "SELECT ?"),
        ("WHERE id=-7 AND t1.x2 = 1.5e-3 OR y=.5", "WHERE id=-? AND t1.x2 = ? OR y=?"),
        ("VALUES ('a''b', $1, %s, NULL)", "VALUES (?, $1, %s, NULL)"),
        (r"SELECT 'C:\', 'secret'", "SELECT ?, ?"),
        (r"SELECT E'it\'s', e'\\', 2", "SELECT ?, ?, ?"),
        (r"SELECT U&'d\0061', N'x', B'01', X'ff'", "SELECT ?, ?, ?, ?"),
        ("SELECT $$it's$$, $a$ $$ $b$ $a$, x$a$", "SELECT ?, ?, x$a$"),
        ('SELECT "Secret 1", U&"x" FROM "q""1"', 'SELECT "Secret 1", U&"x" FROM "q""1"'),
        ("SELECT 1 /* a /* 'b' */ 2 */ + 3", "SELECT ? /*?*/ + ?"),
        ("SELECT 1 -- it's 2\n, 3", "SELECT ? /*?*/\n, ?"),
        ("SELECT E'a'\n  'it\\'s'", "SELECT ?"),
        ("SELECT E'a' -- b\n -- c\n  'it\\'s', 2", "SELECT ?, ?"),
        ("SELECT name'5'", "SELECT name?"),
        ("x = 'not closed", "x = ?"),
        (r"x = E'not closed\' ", "x = ?"),
        ("x = $a$ not closed $b$", "x = ?"),
        ("x = /* not closed 'a' ", "x = /*?*/"),
        ('x = "not closed secret', "x = ?"),
        ("SELECT 1_000, 0x1F, 1e5", "SELECT ?, ?, ?"),
        ("a->>'b' = a #- '{c}'", "a->>? = a #- ?"),
        ("", ""),
    ],
)
def test_literals_are_replaced_and_the_statement_stays(sql: str, expected: str) -> None:
    assert redact_literals(sql) == expected
    assert redacted(json.dumps({"SQL": sql}), sql=True) == {"SQL": expected}


SECRET = "s3cr3t"
inner = st.text(st.sampled_from("ab '\"\\$\n-/*é;"), max_size=6)


def dollar_quoted(text: str) -> str:
    return f"$tag${text}$tag$" if not text.endswith("$") else f"$tag${text} $tag$"


# What PostgreSQL reads as one literal or comment, around any text at all.
hidden = st.one_of(
    inner.map(lambda t: ("'" + (t + SECRET + t).replace("'", "''") + "'", LITERAL)),
    inner.map(
        lambda t: ("E'" + (t + SECRET + t).replace("\\", "\\\\").replace("'", "\\'") + "'", LITERAL)
    ),
    inner.map(lambda t: (dollar_quoted(t + SECRET + t), LITERAL)),
    inner.filter(lambda t: "*" not in t and "/" not in t).map(
        lambda t: (f"/* {t} /*{SECRET}*/ {t} */", COMMENT)
    ),
    inner.filter(lambda t: "\n" not in t).map(lambda t: (f"--{t}{SECRET}\n", f"{COMMENT}\n")),
    st.sampled_from([("42", LITERAL), ("0.5", LITERAL), ("1e-9", LITERAL)]),
)
kept = st.one_of(
    st.sampled_from(["SELECT", "t1", "col$x", "<=", "$1", "(", "::text", "é", "%(name)s", "a.b"]),
    inner.map(lambda t: '"' + t.replace('"', '""') + '"'),
).map(lambda text: (text, text))


@given(st.lists(hidden | kept, max_size=8))
def test_no_literal_stays_and_nothing_else_goes(parts: list[tuple[str, str]]) -> None:
    # A comma between them: strings that follow each other on two lines are one.
    sql = " , ".join(text for text, _ in parts)
    shape = " , ".join(shape for _, shape in parts)
    assert redact_literals(sql) == shape


@given(
    st.text(st.sampled_from("eExX'\"$ab1.\\/*-\n \ud800é") | st.characters(exclude_categories=()))
)
def test_any_text_is_taken(sql: str) -> None:
    once = redact_literals(sql)
    assert once.count("'") == 0


@pytest.mark.parametrize(
    "piece", ["$a$ ", "E'a'\n", "--\n", "/*", "'", "E'\\''", '"', "$a", "1e", "E'a' \n --"]
)
def test_long_text_made_to_be_slow_is_taken(piece: str) -> None:
    # Hours, if each piece were a reason to look at all the others.
    assert len(redact_literals(piece * 50_000)) <= 50_000 * max(len(piece), len(COMMENT) + 2)


def test_statement_that_is_no_text_is_redacted_whole() -> None:
    assert redacted('{"SQL": ["secret"], "sql": "a = 1"}', sql=True) == {
        "SQL": "[redacted]",
        "sql": "a = ?",
    }


def test_lone_surrogates_in_a_statement_stay_escapes() -> None:
    assert redacted('{"SQL": "\\ud800 = 1, \\u00e9"}', sql=True) == {"SQL": "\ud800 = ?, é"}
