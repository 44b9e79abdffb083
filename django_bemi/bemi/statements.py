"""Which statements carry a context, and how they carry it. Pure: text in, text out.

A context travels as the last comment of its statement: `/*Bemi {json} Bemi*/`. The JSON is
ASCII, and what the comment or a driver could take for its own is written as a JSON escape:
`*/` and `/*` (a comment's ends), `--` (which begins another one), and `%` where a driver looks for
placeholders. Any JSON parser gives the original back, so nothing is lost, nothing in a context can
end the comment, and the trigger takes nothing for one that has another one in it.

Lexical rules: PostgreSQL manual, "Lexical Structure" (comments nest).
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import json.encoder
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.utils.duration import duration_iso_string

from bemi.known_functions import calls_unknown_function
from bemi.recorded_sql import behind_comment

COMMENT_START = "/*Bemi "
COMMENT_END = " Bemi*/"
SQL_KEY = "SQL"

_WRITER = r"(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|CALL|DO|EXECUTE)\b"
_COPY_OUT = re.compile(r"COPY\b\s*(?:\(|(?!.*\bFROM\b))", re.IGNORECASE | re.DOTALL)
_DATA_CHANGE = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_STARTS_WITH_WRITER = re.compile(_WRITER, re.IGNORECASE)
_STARTS_WITH_WRAPPER = re.compile(r"(?:WITH|EXPLAIN)\b", re.IGNORECASE)
_STARTS_WITH_READER = re.compile(r"(?:SELECT|VALUES|WITH|EXPLAIN)\b", re.IGNORECASE)
_LATER_STATEMENT = re.compile(
    rf";(?:\s|\(|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*(?:{_WRITER}|WITH\b)", re.IGNORECASE
)
_BLANKS = " \t\n\r\f\v"
_NOTHING = '{"":}'


def may_write(sql: str) -> bool:
    """Tell whether a statement may change rows and so should carry the context.

    Errs on the side of yes: a comment too many is harmless. A SELECT may write where it calls a
    function that is not known to only read.
    """
    start = _first_word(sql)
    reads = _STARTS_WITH_WRAPPER.match(sql, start) or _COPY_OUT.match(sql, start)
    if not reads and _STARTS_WITH_WRITER.match(sql, start):
        return True
    if reads and _DATA_CHANGE.search(sql, start) is not None:
        return True
    if _STARTS_WITH_READER.match(sql, start) and calls_unknown_function(sql):
        return True
    return ";" in sql and not reads and _LATER_STATEMENT.search(sql, start) is not None


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
            position = behind_comment(sql, position)
        else:
            break
    return position


class Form(NamedTuple):
    """How a context is written."""

    max_size: int
    """The longest comment, in characters."""
    key: bytes | None = None
    """What it is signed with, None where it is not."""
    has_placeholders: bool = True
    """Whether a driver will look for placeholders in it."""


def encode_context(context: Mapping[Any, Any], sql: str, form: Form) -> str | None:
    """Return the comment with the context and the recorded SQL in it, none where that is "".

    A comment that would be too long goes without the SQL; if it still is, one value after the
    other, the longest first, gives way to a note of its length. None where the names alone are too
    long.
    """
    if context and form.key is None and SQL_KEY not in context:
        # Nearly always: the same as below in fewer steps, with what is known of the SQL.
        encoded = f"{COMMENT_START}{_escaped(encode_json(context))[:-1]}{_ending(sql)}"
        if form.has_placeholders:
            encoded = encoded.replace("%", "\\u0025")
        if len(encoded) <= form.max_size:
            return encoded
    encoded = _encode({**context, SQL_KEY: sql} if sql else context, form)
    if sql and len(encoded) > form.max_size:
        encoded = _encode(context, form)
    return encoded if len(encoded) <= form.max_size else _encode_shortened(context, form)


@lru_cache(maxsize=1024)
def _ending(sql: str) -> str:
    if not sql:
        return f"}}{COMMENT_END}"
    return f',"{SQL_KEY}":{_escaped(json.dumps(sql))}}}{COMMENT_END}'


def _escaped(text: str) -> str:
    return text.replace("*/", "*\\u002f").replace("/*", "/\\u002a").replace("--", "-\\u002d")


def _encode_shortened(context: Mapping[Any, Any], form: Form) -> str | None:
    lengths = {
        name: len(encode_json({"": value})) - len(_NOTHING) for name, value in context.items()
    }
    left = sum(lengths.values())
    kept = dict(context)
    for name in sorted(lengths, key=lengths.__getitem__, reverse=True):
        kept[name] = f"... ({lengths[name]} characters left out)"
        left -= lengths[name]
        # Only tried where it may fit: names, escapes and a signature come on top.
        if left <= form.max_size and len(encoded := _encode(kept, form)) <= form.max_size:
            return encoded
    return None


def _encode(context: Mapping[Any, Any], form: Form) -> str:
    text = encode_json(context)
    if form.key is not None:
        # The signed text is a string of its own, so what is escaped below comes back as it was.
        signature = hmac.new(form.key, text.encode(), hashlib.sha256).hexdigest()
        text = _encode_plain({"_signed": text, "_signature": signature})
    text = _escaped(text)
    if form.has_placeholders:
        text = text.replace("%", "\\u0025")
    return f"{COMMENT_START}{text}{COMMENT_END}"


def encode_json(context: Mapping[Any, Any]) -> str:
    """Return the context as JSON in ASCII; what JSON has no word for stands there as text.

    Raises ValueError where it nests too deeply, or holds itself.
    """
    try:
        return _encode_plain(context)
    except (TypeError, ValueError, RecursionError):
        # A key that is no text, a number that JSON has no word for, a context that holds itself.
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


def _made_encoder() -> Callable[[Any], str]:
    """Return what encodes, made once: JSONEncoder.encode makes it anew, 4 us instead of 1."""
    encoder = json.JSONEncoder(default=_plain, allow_nan=False, separators=(",", ":"))
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    escape = json.encoder.encode_basestring_ascii
    chunks = make(None, _plain, escape, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


_encode_plain = _made_encoder()


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
