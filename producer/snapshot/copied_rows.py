"""Turn the lines of a COPY into records, by code made for one table. Pure.

COPY writes CSV, and a JSON string is CSV too: in `"`, with a backslash before each `"` and
backslash. So COPY quotes text columns itself (FORCE_QUOTE), numbers are JSON as they are, and what
else the server can write is in `server_forms`; only the other types' values go through their
encoders. What CSV does not escape is control characters: a line that has one, or that does not
split into its columns, goes the slow way, field by field, and so does one with a value that
has no form, so that the error names it.

A record is constants with cells between them. They are found by writing one row of markers
with the very function that writes any row, and cutting its result at the markers: so whatever
the output's format puts around a row, it is the same here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict, cast

from producer.row_codec import Cell, CellCodec, Text
from producer.snapshot.server_forms import ServerForm

DELIMITER: Final = b"\x1f"
NULL: Final = b"null"

_MARKER: Final = "\0"  # No JSON has it: it would be escaped.
_CONTROLS: Final = bytes(range(0x1F))
_FIELD: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^"\x1f]*)', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED_TEXT: Final = re.compile(r"\\(.)", re.DOTALL)


class Message(TypedDict):
    """One record, as `Producer.produce_batch` takes it."""

    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class CopiedColumn:
    """A column that is read, and how its field becomes a cell."""

    number: int  # Among the relation's columns.
    name: str
    codec: CellCodec
    form: ServerForm | None = None

    def cell(self, field: Text) -> Cell:
        """Return the cell of a field that its form does not make one."""
        if field == NULL.decode():
            return self.codec.null
        text = _unquoted_text(field) if field[:1] == '"' else field
        if self.form is not None and not self.form.is_text:
            text = text[1:]
        assert self.codec.encode is not None  # noqa: S101 - other columns are not read.
        return self.codec.encode(text.encode("latin-1"))


@dataclass(frozen=True, slots=True)
class Template:
    """What is around the cells: one constant more than there are cells."""

    constants: tuple[Text, ...]
    numbers: tuple[int, ...]


ReadLines = Callable[[Sequence[bytes], Template, Template | None], list[Message]]


def marker(number: int) -> Text:
    """Return what stands in place of a column's cell in the row that templates are cut from."""
    return f"{_MARKER}{number}{_MARKER}"


def cut_template(marked: bytes) -> Template:
    """Return the constants around the markers of a record's key or value."""
    parts = marked.decode("latin-1").split(_MARKER)
    return Template(tuple(parts[::2]), tuple(int(number) for number in parts[1::2]))


def compile_read_lines(
    columns: Sequence[CopiedColumn],
    value: Template,
    key: Template | None,
    read_slowly: Callable[[bytes], Message],
) -> ReadLines:
    """Return the function that turns lines, without their newlines, into messages.

    It takes its templates anew with each call, because they hold the time; their numbers are
    those given here. `read_slowly` makes the message of a line that is not plain.
    """
    names: dict[str, Any] = {
        "read_slowly": read_slowly,
        "unquoted": _unquoted_text,
        "CONTROLS": _CONTROLS,
        "DELIMITER": DELIMITER.decode(),
    }
    fields = "".join(f"v{column.number}, " for column in columns)
    body = "".join(_assignment(column, names) for column in columns)
    code = _FUNCTION.format(
        fields=fields,
        body=body,
        value=_format(value, "c"),
        value_constants=_constants(value, "c"),
        key="None" if key is None else _format(key, "k") + ".encode('latin-1')",
        key_constants="" if key is None else _constants(key, "k") + " = key.constants",
    )
    exec(code, names)  # noqa: S102 - made of the lines above and of column numbers only.
    return cast("ReadLines", names["read_lines"])


_FUNCTION = """\
def read_lines(lines, value, key):
    {value_constants} = value.constants
    {key_constants}
    messages = []
    append = messages.append
    for line in lines:
        if len(line.translate(None, CONTROLS)) != len(line):
            append(read_slowly(line))
            continue
        try:
            {fields} = str(line, 'latin-1').split(DELIMITER)
{body}
        except (LookupError, ValueError):
            append(read_slowly(line))
            continue
        append({{'key': {key}, 'value': {value}.encode('latin-1')}})
    return messages
"""


def _assignment(column: CopiedColumn, names: dict[str, Any]) -> str:
    number, codec, server = column.number, column.codec, column.form
    names[f"null{number}"] = codec.null
    code = ""
    if server is not None:
        if server.is_other is not None:
            names[f"cell{number}"] = column.cell
            code += f"            value = v{number}\n"
            code += f"            if {server.is_other}: v{number} = cell{number}(value)\n"
        if codec.null != NULL.decode():
            code += f"            if v{number} == 'null': v{number} = null{number}\n"
        return code
    if codec.form is None:
        names[f"encode{number}"] = codec.encode
        cell = f"encode{number}(value.encode('latin-1'))"
    else:
        names[f"cell{number}"] = codec.form.cell
        cell = f"cell{number}(value)"
    return (
        f"            value = v{number}\n"
        f"            if value == 'null': v{number} = null{number}\n"
        "            else:\n"
        "                if value[:1] == '\"': value = unquoted(value)\n"
        f"                v{number} = {cell}\n"
    )


def _format(template: Template, prefix: str) -> str:
    body = f"{{{prefix}0}}"
    for place, number in enumerate(template.numbers, 1):
        body += f"{{v{number}}}{{{prefix}{place}}}"
    return f"f'{body}'"


def _constants(template: Template, prefix: str) -> str:
    return "".join(f"{prefix}{place}, " for place in range(len(template.constants)))


def split_fields(line: bytes) -> list[bytes | None]:
    """Return the texts of a line's fields, None for NULL; any text may be in them.

    Raises ValueError where the line is not what COPY writes.
    """
    fields: list[bytes | None] = []
    at = 0
    while True:
        match = _FIELD.match(line, at)
        if match is None:
            raise ValueError("a line of COPY has a field that does not end")
        quoted, plain = match.groups()
        if quoted is not None:
            fields.append(_ESCAPED.sub(rb"\1", quoted))
        else:
            fields.append(None if plain == NULL else plain)
        at = match.end()
        if at == len(line):
            return fields
        if line[at : at + 1] != DELIMITER:
            raise ValueError("a line of COPY has something behind a field")
        at += 1


def _unquoted_text(field: Text) -> Text:
    return _ESCAPED_TEXT.sub(r"\1", field[1:-1])
