r"""Take the literals out of a statement and leave its shape. Pure.

    SELECT * FROM task WHERE id = 7 AND title = E'it\'s'  ->  ... WHERE id = ? AND title = ?

Any text is taken: what is not closed reaches to the end, as PostgreSQL's own lexer has it, and
is replaced as a whole. Every character is looked at a bounded number of times, so the time
grows with the length.

Replaced are strings ('', E'', U&'', B'', X'', N'' and dollar quotes) and numbers. Comments are
emptied, since they may hold anything. Kept are words, quoted names, operators, parameters ($1,
%s) and with them TRUE, FALSE and NULL.

Strings are read with standard_conforming_strings on, PostgreSQL's default since 9.1. With it
off, a string with a backslash may end elsewhere than it is taken to.

Rules: PostgreSQL manual, "Lexical Structure".
"""

from __future__ import annotations

import re

LITERAL = "?"
COMMENT = "/*?*/"

_TOKEN = re.compile(
    r"""
      (?P<kept>    [^'"$\-/0-9.A-Za-z_\u0080-\U0010ffff]+ | \$[0-9]+ )
    | (?P<escaped> [eE]' )
    | (?P<string>  (?:[uU]&|[bBxXnN])?'[^']*(?:''[^']*)*'? )
    | (?P<name>    (?:[uU]&)?"[^"]*(?:""[^"]*)*(?P<name_end>"?) )
    | (?P<word>    [A-Za-z_\u0080-\U0010ffff][0-9A-Za-z_$\u0080-\U0010ffff]* )
    | (?P<number>  (?:[0-9]|\.[0-9])(?:[eE][+-][0-9]|[0-9A-Za-z_.])* )
    | (?P<dollar>  \$(?:[A-Za-z_\u0080-\U0010ffff][0-9A-Za-z_\u0080-\U0010ffff]*)?\$ )
    | (?P<line>    --[^\r\n]* )
    | (?P<block>   /\* )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED_REST = re.compile(r"[^'\\]*(?:(?:''|\\.)[^'\\]*)*(?:'|\\?\Z)", re.DOTALL)
# A string goes on behind a line's end, in the kind of string it began as.
_CONTINUED = re.compile(
    r"[ \t\f\v]*(?:--[^\r\n]*)?[\r\n](?:[ \t\r\n\f\v]|--[^\r\n]*[\r\n])*'", re.DOTALL
)
_COMMENT_MARK = re.compile(r"/\*|\*/")


def redact_literals(sql: str) -> str:
    """Return the statement with `?` for each literal."""
    parts: list[str] = []
    at = 0
    while at < len(sql):
        token = _TOKEN.match(sql, at)
        assert token is not None  # noqa: S101 -- the last alternative takes anything.
        kind, start, at = token.lastgroup, at, token.end()
        if kind == "name":
            # A name that is not closed may be a string whose quotes are cut off.
            parts.append(token[0] if token["name_end"] else LITERAL)
        elif kind in ("string", "number"):
            parts.append(LITERAL)
        elif kind == "escaped":
            at = _end_of_escaped(sql, at)
            parts.append(LITERAL)
        elif kind == "dollar":
            at = _past(sql.find(token[0], at), len(token[0]), len(sql))
            parts.append(LITERAL)
        elif kind == "line":
            parts.append(COMMENT)
        elif kind == "block":
            at = _end_of_comment(sql, at)
            parts.append(COMMENT)
        else:
            parts.append(sql[start:at])
    return "".join(parts)


def _end_of_escaped(sql: str, at: int) -> int:
    """Return the end of E'...', given where its text begins, with what continues it."""
    while True:
        rest = _ESCAPED_REST.match(sql, at)
        at = len(sql) if rest is None else rest.end()
        continued = _CONTINUED.match(sql, at)
        if continued is None:
            return at
        at = continued.end()


def _end_of_comment(sql: str, at: int) -> int:
    """Return the end of a block comment, given where its text begins; comments nest."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(sql, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


def _past(found: int, length: int, end: int) -> int:
    return end if found < 0 else found + length
