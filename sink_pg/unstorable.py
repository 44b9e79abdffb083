"""Give a change that jsonb refuses a form that it takes. Edge: psycopg.

JSON has numbers of any length and nesting of any depth; jsonb has the limits of numeric and of
the server's stack. A change beyond them is a change all the same. The members of `before`,
`after` and `context` that PostgreSQL refuses for their size become strings that hold their JSON
as it was written, and `stored_as_text` names them. PostgreSQL itself is asked which they are:
its limits differ by version and settings.

Text that is no JSON at all is nothing to store; nothing here touches it.
"""

from __future__ import annotations

import json
import re

import psycopg

from sink_pg.change_rows import COPY_COLUMNS, ChangeRow, members_of
from sink_pg.errors import UnreadableChange
from sink_pg.pg_connection import Connection, is_about_a_row
from sink_pg.statements import statement

_DOCUMENTS = ("before", "after", "context")
_ESCAPE = re.compile(rb"\\(.)")
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
# Out of range for numeric; beyond a limit of the program: size, elements, stack.
_BEYOND_LIMITS = ("22003", "54")


def with_text(connection: Connection, row: ChangeRow) -> ChangeRow | None:
    """Return the row in the form that can be stored; None where that is not what it lacks.

    Runs in the open transaction and leaves nothing in it.
    """
    fields = row.line.removesuffix(b"\n").split(b"\t")
    replaced: list[str] = []
    for name in _DOCUMENTS:
        place = COPY_COLUMNS.index(name)
        try:
            document = _unescaped(fields[place]).decode()
            if _is_beyond_limits(connection, document):
                members = members_of(document)
                refused = [
                    member
                    for member, text in members.items()
                    if _is_beyond_limits(connection, text.strip())
                ]
                fields[place] = _escaped(_document(members, refused))
                replaced += [f"{name}.{member}" for member in refused]
        except (UnicodeDecodeError, UnreadableChange):
            return None
    if not replaced:
        return None
    fields[COPY_COLUMNS.index("stored_as_text")] = _escaped(_array(replaced))
    return row._replace(line=b"\t".join(fields) + b"\n")


def _is_beyond_limits(connection: Connection, document: str) -> bool:
    if "\0" in document:
        return False
    try:
        with connection.transaction():
            connection.execute(statement("read_json"), {"document": document})
    except psycopg.Error as error:
        if not is_about_a_row(error):
            raise
        return (error.sqlstate or "").startswith(_BEYOND_LIMITS)
    return False


def _document(members: dict[str, str], refused: list[str]) -> str:
    written = (
        f"{json.dumps(name)}:{json.dumps(text.strip()) if name in refused else text}"
        for name, text in members.items()
    )
    return "{" + ",".join(written) + "}"


def _array(values: list[str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def _unescaped(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), field)


def _escaped(text: str) -> bytes:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n").replace("\r", r"\r")
    return escaped.replace("\t", r"\t").encode()
