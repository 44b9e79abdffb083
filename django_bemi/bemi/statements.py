"""Which statements carry a context, and how they carry it. Pure: text in, text out.

A context travels as the last comment of its statement: `/*Bemi {json} Bemi*/`. The JSON is
ASCII, and what the comment or a driver could take for its own is written as a JSON escape:
`%` (a placeholder), `*/` and `/*` (a comment's ends). Any JSON parser gives the original
back, so nothing is lost, and nothing in a context can end the comment.

Lexical rules: PostgreSQL manual, "Lexical Structure" (comments nest).
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from django.utils.duration import duration_iso_string

COMMENT_START = "/*Bemi "
COMMENT_END = " Bemi*/"
SQL_KEY = "SQL"

_WRITER = r"(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|CALL|DO|EXECUTE)\b"
_COPY_OUT = re.compile(r"COPY\b\s*(?:\(|(?!.*\bFROM\b))", re.IGNORECASE | re.DOTALL)
_DATA_CHANGE = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_STARTS_WITH_WRITER = re.compile(_WRITER, re.IGNORECASE)
_STARTS_WITH_WRAPPER = re.compile(r"(?:WITH|EXPLAIN)\b", re.IGNORECASE)
_LATER_STATEMENT = re.compile(
    rf";(?:\s|\(|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*(?:{_WRITER}|WITH\b)", re.IGNORECASE
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_TOKEN = re.compile(
    r"""
    (?P<line_comment>--[^\r\n]*)
    |(?P<comment>/\*)
    |(?P<text>[eE]'(?:[^'\\]|\\.|'')*'?|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'?)
    |(?P<dollar>\$(?:[^\W\d]\w*)?\$)
    |(?P<name>[^\W\d][\w$]*|"(?:[^"]|"")*"?|\$\d+)
    |(?P<number>(?:0[xXoObB][\da-fA-F_]+|\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLANKS = " \t\n\r\f\v"
_NOTHING = '{"": }'


def may_write(sql: str) -> bool:
    """Tell whether a statement may change rows and so should carry the context.

    Errs on the side of yes: a comment too many is harmless. It says no to a SELECT that
    calls a function which writes; that is not to be seen from its text.
    """
    start = _first_word(sql)
    reads = _STARTS_WITH_WRAPPER.match(sql, start) or _COPY_OUT.match(sql, start)
    if not reads and _STARTS_WITH_WRITER.match(sql, start):
        return True
    if reads:
        return _DATA_CHANGE.search(sql, start) is not None
    return ";" in sql and _LATER_STATEMENT.search(sql, start) is not None


def _first_word(sql: str) -> int:
    """Return where the statement begins, behind blanks, brackets and comments."""
    position = 0
    while position < len(sql):
        if sql[position] in _BLANKS or sql[position] == "(":
            position += 1
        elif sql.startswith("--", position):
            line_end = sql.find("\n", position)
            position = len(sql) if line_end < 0 else line_end + 1
        elif sql.startswith("/*", position):
            position = _behind_comment(sql, position)
        else:
            break
    return position


def _behind_comment(sql: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def encode_context(
    context: Mapping[Any, Any],
    sql: str,
    *,
    sql_max_length: int,
    max_size: int,
    key: bytes | None = None,
    redact_literals: bool = False,
) -> str | None:
    """Return the comment with the context and the statement in it, signed where there is a key.

    The statement goes without its literals where that is asked for, and is cut to
    sql_max_length characters. A comment longer than max_size goes without the statement; if it
    still is, one value after the other, the longest first, gives way to a note of its length.
    None where the names alone are too long.
    """
    encoded = None
    if sql_max_length > 0:
        if redact_literals:
            sql = without_literals(sql)
        encoded = _encode({**context, SQL_KEY: _shortened(sql, sql_max_length)}, key)
    if encoded is None or len(encoded) > max_size:
        encoded = _encode(context, key)
    return encoded if len(encoded) <= max_size else _encode_shortened(context, max_size, key)


def _encode_shortened(context: Mapping[Any, Any], max_size: int, key: bytes | None) -> str | None:
    lengths = {
        name: len(encode_json({"": value})) - len(_NOTHING) for name, value in context.items()
    }
    left = sum(lengths.values())
    kept = dict(context)
    for name in sorted(lengths, key=lengths.__getitem__, reverse=True):
        kept[name] = f"... ({lengths[name]} characters left out)"
        left -= lengths[name]
        # Only tried where it may fit: names, escapes and a signature come on top.
        if left <= max_size and len(encoded := _encode(kept, key)) <= max_size:
            return encoded
    return None


def without_literals(sql: str) -> str:
    """Return the statement with `?` for each value written into it, and without its comments.

    Texts, dollar-quoted ones too, and numbers are values; names and placeholders stay. Where
    the server has standard_conforming_strings off, a backslash before a quote in an ordinary
    text is taken for the text's end.
    """
    parts: list[str] = []
    position = 0
    while (token := _TOKEN.search(sql, position)) is not None:
        parts.append(sql[position : token.start()])
        position = token.end()
        if token.lastgroup == "name":
            parts.append(token.group())
        elif token.lastgroup == "line_comment":
            parts.append(" ")
        elif token.lastgroup == "comment":
            parts.append(" ")
            position = _behind_comment(sql, token.start())
        else:
            parts.append("?")
            if token.lastgroup == "dollar":
                end = sql.find(token.group(), position)
                position = len(sql) if end < 0 else end + len(token.group())
    return "".join(parts) + sql[position:]


def _shortened(sql: str, max_length: int) -> str:
    if len(sql) <= max_length:
        return sql
    return f"{sql[:max_length]}... ({len(sql)} characters)"


def _encode(context: Mapping[Any, Any], key: bytes | None) -> str:
    text = encode_json(context)
    if key is not None:
        # The signed text is a string of its own, so what is escaped below comes back as it was.
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        text = json.dumps({"_signed": text, "_signature": signature})
    text = text.replace("%", "\\u0025").replace("*/", "*\\u002f").replace("/*", "/\\u002a")
    return f"{COMMENT_START}{text}{COMMENT_END}"


def encode_json(context: Mapping[Any, Any]) -> str:
    """Return the context as JSON in ASCII; what JSON has no word for stands there as text.

    Raises ValueError where it nests too deeply, or holds itself.
    """
    try:
        return _encode_plain(context)
    except (TypeError, ValueError):
        # A key that is no text, a number that JSON has no word for.
        return _encode_plain(_storable(context))


def _plain(value: object) -> object:
    """Return what stands in JSON for a value JSON does not know; at worst its text."""
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return duration_iso_string(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    return str(value)


# Made once: json.dumps makes one for each call that has options.
_encode_plain = json.JSONEncoder(default=_plain, allow_nan=False).encode


def _storable(value: object, depth: int = 0) -> object:
    if depth > 100:
        raise ValueError("the context is nested too deeply, or holds itself")
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(_plain(key)): _storable(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def carries_comment(sql: str) -> bool:
    """Tell whether the statement already ends in a context, which then is left alone."""
    return sql.rstrip(_BLANKS + ";").endswith(COMMENT_END)


def read_comment(sql: str) -> dict[str, Any] | None:
    """Return the context that the statement ends in, None where it ends in none.

    For tests: what the trigger takes is decided in SQL. A signature is not verified.
    """
    body = sql.rstrip(_BLANKS + ";")
    start = body.rfind(COMMENT_START)
    if start < 0 or not body.endswith(COMMENT_END):
        return None
    context = json.loads(body[start + len(COMMENT_START) : -len(COMMENT_END)])
    signed = context.get("_signed")
    if isinstance(signed, str):
        context = json.loads(signed)
    return dict(context)


def append_comment(sql: str, comment: str, *, has_parameters: bool) -> str:
    """Return the statement with the comment as its last, before a closing semicolon.

    It stands on a line of its own where a line comment could have begun on the last line:
    it would disappear in it. A driver may write parameters into that line later, and these
    may hold anything.
    """
    body = sql.rstrip(_BLANKS)
    ending = ""
    if body.endswith(";"):
        body, ending = body[:-1], ";"
    last_line = body[max(body.rfind("\n"), body.rfind("\r")) + 1 :]
    if "--" in last_line:
        # The semicolon may be part of the line comment; then none is needed either.
        return f"{body}\n{comment}{ending}"
    separator = "\n" if has_parameters else " "
    return f"{body}{separator}{comment}{ending}"
