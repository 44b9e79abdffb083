r"""Turn a record of `.changes` into a line for COPY. Pure.

One record gives one ChangeRow or one UnreadableChange; nothing else is ever raised. The JSON
of `before`, `after` and `context` goes to PostgreSQL as it was written, never through
Python's numbers, so a numeric keeps every digit. PostgreSQL parses it anyway: text between
the braces that is not JSON is refused there and set aside by pg_writer, and what is beyond
jsonb's limits gets another form by unstorable.

What PostgreSQL's text and jsonb cannot hold is replaced, not refused: U+0000 by U+2400
(SYMBOL FOR NULL) and a surrogate without its other half by U+FFFD (REPLACEMENT CHARACTER).
`characters_replaced` of the row says so; the record in Kafka keeps the original.

Records as the stitcher writes them (the fields of schemas/change.py in their order, no
whitespace) take a short way: 9 us for a record of 900 bytes, against 97 us for any other JSON
text of the same fields. Both ways give the same line.

Format of the line: PostgreSQL manual, "COPY", "Text Format".
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from schemas.avro import AVRO_MARKS, as_json
from schemas.change import Operation
from sink_pg.errors import UnreadableChange

COPY_COLUMNS = (
    "id",
    "database",
    "schema",
    "table",
    "primary_key",
    "operation",
    "before",
    "after",
    "context",
    "committed_at",
    "queued_at",
    "transaction_id",
    "position",
    "commit_lsn",
    "ordinal",
    "epoch",
    "context_error",
    "characters_replaced",
    "stored_as_text",
)
"""The columns of a line, in its order."""

_COMMITTED_AT = COPY_COLUMNS.index("committed_at")

NULL_SYMBOL = "\u2400"
REPLACEMENT_CHARACTER = "\ufffd"
_MAX_BIGINT = (1 << 63) - 1


class Record(NamedTuple):
    """A record as Kafka has it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


class ChangeRow(NamedTuple):
    """A change as a line for COPY, with its position and the record it came in."""

    line: bytes
    epoch: str
    commit_lsn: int
    ordinal: int
    record: Record

    @property
    def committed_at(self) -> str:
        """When it was committed, in the form its time is written in."""
        return self.line.split(b"\t", _COMMITTED_AT + 1)[_COMMITTED_AT].decode()

    @property
    def commit_day(self) -> str:
        """The day it was committed on, as 2026-01-31, by the clock its time is written in."""
        return self.committed_at[:10]


def change_row(record: Record) -> ChangeRow:
    """Return the row of the change that the record holds.

    Raises UnreadableChange, with the reason and without any value of the record.
    """
    value = record.value
    if value is None:
        raise UnreadableChange("the record has no value")
    if value[:1] in AVRO_MARKS:
        try:
            value = as_json(value)
        except ValueError as error:
            raise UnreadableChange(str(error)) from None
    return _canonical_row(value, record) or _any_row(value, record)


# A field's text without anything that JSON or COPY would escape.
_PLAIN = rb'"([^"\\\x00-\x1f]*)"'
_TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)"
_UUID = rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Up to 18 digits always fit a bigint.
_BIGINT = rb"(0|[1-9]\d{0,17})"

_HEAD = re.compile(
    rb'\{"id":"(' + _UUID + rb')","database":' + _PLAIN + rb',"schema":' + _PLAIN + rb',"table":'
    rb"" + _PLAIN + rb',"primary_key":(?:null|' + _PLAIN + rb'),"operation":'
    rb'"(' + "|".join(Operation).encode() + rb')","before":(?=\{)'
)
_TAIL = re.compile(
    rb',"committed_at":"(' + _TIME + rb')","queued_at":"(' + _TIME + rb')","transaction_id":'
    rb"" + _BIGINT + rb',"position":' + _BIGINT + rb',"commit_lsn":' + _BIGINT + rb',"ordinal":'
    rb"" + _BIGINT + rb',"epoch":' + _PLAIN + rb',"context_error":(?:null|' + _PLAIN + rb")\}"
)
_TAIL_START = b',"committed_at":"'
_AFTER = b'},"after":{'
_CONTEXT = b'},"context":{'


def _canonical_row(value: bytes, record: Record) -> ChangeRow | None:
    head = _HEAD.match(value)
    tail_start = value.rfind(_TAIL_START)
    tail = _TAIL.fullmatch(value, tail_start) if tail_start > 0 else None
    if head is None or tail is None:
        return None
    body, is_replaced = _copy_json(value[head.end() : tail_start])
    # Quotes inside a string are escaped, so these are members' names wherever they stand. If
    # each stands there once and in a wrong place, the pieces are no JSON and are refused.
    before, *rest = body.split(_AFTER)
    if len(rest) != 1:
        return None
    after, *contexts = rest[0].split(_CONTEXT)
    if len(contexts) != 1 or _CONTEXT in before:
        return None
    identifier, database, pg_schema, table, primary_key, operation = head.groups()
    committed_at, queued_at, xid, position, commit_lsn, ordinal, epoch, error = tail.groups()
    try:
        epoch_text = epoch.decode()
    except UnicodeDecodeError:
        return None
    line = b"%b\t%b\t%b\t%b\t%b\t%b\t%b}\t{%b}\t{%b\t%b\t%b\t%b\t%b\t%b\t%b\t%b\t%b\t%b\t\\N\n" % (
        identifier,
        database,
        pg_schema,
        table,
        rb"\N" if primary_key is None else primary_key,
        operation,
        before,
        after,
        contexts[0],
        committed_at,
        queued_at,
        xid,
        position,
        commit_lsn,
        ordinal,
        epoch,
        rb"\N" if error is None else error,
        b"t" if is_replaced else b"f",
    )
    return ChangeRow(line, epoch_text, int(commit_lsn), int(ordinal), record)


def _any_row(value: bytes, record: Record) -> ChangeRow:
    members = _members(value)
    fields: dict[str, bytes] = {}
    is_replaced = False
    for name in ("id", "database", "schema", "table", "operation", "epoch"):
        text = _text(members, name)
        fields[name], replaced = _copy_text(text)
        is_replaced |= replaced
    for name in ("primary_key", "context_error"):
        if name not in members or _scalar(members, name) is None:
            fields[name] = rb"\N"
        else:
            fields[name], replaced = _copy_text(_text(members, name))
            is_replaced |= replaced
    for name in ("committed_at", "queued_at"):
        fields[name], _ = _copy_text(_text(members, name))
        if not re.fullmatch(_TIME, fields[name]):
            raise UnreadableChange(f"{name} is not a time in UTC")
    for name in ("before", "after", "context"):
        document = _member(members, name).strip().encode()
        if not document.startswith(b"{"):
            raise UnreadableChange(f"{name} is not a JSON object")
        fields[name], replaced = _copy_json(document)
        is_replaced |= replaced
    for name in ("transaction_id", "position", "commit_lsn", "ordinal"):
        fields[name] = b"%d" % _bigint(members, name)
    if not re.fullmatch(_UUID, fields["id"]):
        raise UnreadableChange("id is not a UUID")
    if fields["operation"].decode() not in tuple(Operation):
        raise UnreadableChange("operation is not one of " + ", ".join(Operation))
    fields["characters_replaced"] = b"t" if is_replaced else b"f"
    fields["stored_as_text"] = rb"\N"
    return ChangeRow(
        b"\t".join([fields[name] for name in COPY_COLUMNS]) + b"\n",
        storable_text(_text(members, "epoch")),
        int(fields["commit_lsn"]),
        int(fields["ordinal"]),
        record,
    )


def _copy_json(document: bytes) -> tuple[bytes, bool]:
    is_replaced = False
    if b"\\" in document:
        if rb"\u" in document and _UNSTORABLE_ESCAPE.search(document):
            storable = _ESCAPE.sub(_storable_escape, document)
            is_replaced = storable != document
            document = storable
        document = document.replace(b"\\", rb"\\")
    # Whitespace between tokens; inside a string these are no JSON, and PostgreSQL says so.
    if b"\n" in document or b"\r" in document or b"\t" in document:
        document = document.replace(b"\n", rb"\n").replace(b"\r", rb"\r").replace(b"\t", rb"\t")
    return document, is_replaced


_UNSTORABLE_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# An escape of any kind, so that the pairs of `\\u0000` stay pairs; a low surrogate is taken
# together with what precedes it, because only a high surrogate makes it whole.
_ESCAPE = re.compile(
    rb"\\(?:u([0-9a-fA-F]{4})(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|.)",
    re.DOTALL,
)


def _storable_escape(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        return escape[0]
    code = int(escape[1], 16)
    if 0xD800 <= code < 0xDC00 and escape[2] is not None:
        return escape[0]
    if code == 0:
        first = rb"\u2400"
    elif 0xD800 <= code < 0xE000:
        first = rb"\ufffd"
    else:
        first = rb"\u" + escape[1]
    return first if escape[2] is None else first + rb"\ufffd"


_SURROGATE = re.compile("[\ud800-\udfff]")


def storable_text(text: str) -> str:
    """Return the text as PostgreSQL can hold it; see the module for what is replaced."""
    return _SURROGATE.sub(REPLACEMENT_CHARACTER, text.replace("\0", NULL_SYMBOL))


def _copy_text(text: str) -> tuple[bytes, bool]:
    storable = storable_text(text)
    escaped = storable.replace("\\", r"\\").replace("\n", r"\n").replace("\r", r"\r")
    return escaped.replace("\t", r"\t").encode(), storable != text


_STRUCTURE = re.compile(r'["{}\[\]:,]')
_DECODER = json.JSONDecoder()


def _members(value: bytes) -> dict[str, str]:
    try:
        return members_of(value.decode())
    except UnicodeDecodeError:
        raise UnreadableChange("the record is not UTF-8") from None


def members_of(document: str) -> dict[str, str]:
    """Return the members of a JSON object, each as the text it was written in.

    Only strings and the members' own boundaries are understood here; what stands between
    them is checked by whoever reads it. Raises UnreadableChange where there is no object.
    """
    text = document.strip()
    if not text.startswith("{"):
        raise UnreadableChange("the record is not a JSON object")
    try:
        return _split(text)
    # Raised by the decoder for a string, and where the text ends before the object does.
    except ValueError:
        raise UnreadableChange("the record is not JSON") from None


def _split(text: str) -> dict[str, str]:
    members: dict[str, str] = {}
    name: str | None = None
    start = at = depth = 1
    while token := _STRUCTURE.search(text, at):
        at = token.end()
        mark = token[0]
        if mark == '"':
            string, at = _DECODER.raw_decode(text, token.start())
            if depth == 1 and name is None:
                name = string
        elif mark in "{[":
            depth += 1
        elif depth == 1 and mark == ":":
            start = at
        elif depth == 1 and mark != "]":
            if name is not None:
                members[name] = text[start : token.start()]
            name = None
            if mark == "}":
                if at != len(text):
                    break
                return members
        elif mark in "}]":
            depth -= 1
    raise ValueError("the object has no end, or something behind it")


def _member(members: dict[str, str], name: str) -> str:
    try:
        return members[name]
    except KeyError:
        raise UnreadableChange(f"the change has no {name}") from None


def _scalar(members: dict[str, str], name: str) -> Any:
    try:
        return json.loads(_member(members, name))
    # A ValueError is text that is no JSON; deep nesting exhausts the parser.
    except (ValueError, RecursionError):
        raise UnreadableChange(f"{name} is not JSON") from None


def _text(members: dict[str, str], name: str) -> str:
    value = _scalar(members, name)
    if not isinstance(value, str):
        raise UnreadableChange(f"{name} is not a text")
    return value


def _bigint(members: dict[str, str], name: str) -> int:
    value = _scalar(members, name)
    if type(value) is not int or not 0 <= value <= _MAX_BIGINT:
        raise UnreadableChange(f"{name} is not a number that fits a bigint")
    return value
