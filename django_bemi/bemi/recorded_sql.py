"""What of a statement goes into its context, under the key `SQL`. Pure: text in, text out.

Parameters never stand in it, only their placeholders. What a change says already is left out: the
one-row INSERT and UPDATE that `save()` sends name every column, which would be most of what such
a change adds to the log.

Lexical rules: PostgreSQL manual, "Lexical Structure" (comments nest).
"""

from __future__ import annotations

import re
from collections.abc import Callable

KeyColumn = Callable[[str], str | None]
"""Takes a table's name as it stands in statements, returns its key's column, None if unknown."""

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
# As Django writes them, names quoted; whatever differs is recorded whole.
_VALUE = r"(?:%s(?:::[\w\[\]]+)?|NULL|DEFAULT)"
_RETURNING = r"(?:[ ]RETURNING[ ][^()%]*)?"
_PLAIN_INSERT = re.compile(
    rf"""
    INSERT[ ]INTO[ ]"(?P<table>[^"]+)"[ ]\("[^"]+"(?:,[ ]"[^"]+")*\)
    [ ]VALUES[ ]\({_VALUE}(?:,[ ]{_VALUE})*\){_RETURNING}
    """,
    re.VERBOSE,
)
_PLAIN_UPDATE = re.compile(
    rf"""
    UPDATE[ ]"(?P<table>[^"]+)"[ ]SET[ ]"[^"]+"[ ]=[ ]{_VALUE}(?:,[ ]"[^"]+"[ ]=[ ]{_VALUE})*
    [ ]WHERE[ ]"(?P=table)"\."(?P<key>[^"]+)"[ ]=[ ]%s{_RETURNING}
    """,
    re.VERBOSE,
)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def recorded_sql(
    sql: str,
    *,
    max_length: int,
    key_column: KeyColumn,
    whole: bool = False,
    redact_literals: bool = False,
) -> str:
    """Return the statement as its context has it; "" where max_length is 0.

    Cut to max_length characters, and it says so then. Of an INSERT of one row, and of an UPDATE of
    the one with a key, only what stands before the columns is left, `UPDATE todo_task`, unless it
    is wanted whole. Without its literals where that is asked for.
    """
    if max_length == 0:
        return ""
    if not whole:
        sql = _without_columns(sql, key_column) or sql
    if redact_literals:
        sql = without_literals(sql)
    if len(sql) <= max_length:
        return sql
    return f"{sql[:max_length]}... ({len(sql)} characters)"


def _without_columns(sql: str, key_column: KeyColumn) -> str | None:
    if (insert := _PLAIN_INSERT.fullmatch(sql)) is not None:
        return f"INSERT INTO {_name(insert['table'])}"
    update = _PLAIN_UPDATE.fullmatch(sql)
    if update is not None and update["key"] == key_column(update["table"]):
        return f"UPDATE {_name(update['table'])}"
    return None


def _name(table: str) -> str:
    return table if _PLAIN_NAME.fullmatch(table) else f'"{table}"'


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
            position = behind_comment(sql, token.start())
        else:
            parts.append("?")
            if token.lastgroup == "dollar":
                end = sql.find(token.group(), position)
                position = len(sql) if end < 0 else end + len(token.group())
    return "".join(parts) + sql[position:]


def behind_comment(sql: str, start: int) -> int:
    """Return where the comment that begins at `start` ends: comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)
