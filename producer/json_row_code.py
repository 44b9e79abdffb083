"""Turn row messages into JSON by code made for one relation. Pure.

`RelationEvents.event` takes a message apart into cells, then puts those together; this does both
at once, for the messages that come by the thousand: whole rows and deletes by identity. Where a
value of the new row is the old row's, its cell is too. Everything else, and whatever is not as
described, raises one of MALFORMED, and the slow way decides what it is: both give the same.

The code is made of column numbers and of the lines below only: no name from the database is
ever part of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from textwrap import indent
from typing import Any, Final, cast

from producer.row_codec import CellCodec, Cells, Text

RowEvent = tuple[str, Any, Any, Any, Any]
"""Operation, old key, key, before, after; see `event_writer.Event`."""

EventCode = Callable[[bytes, Text, int], RowEvent]

MOST_COLUMNS: Final = 250
"""A wider row would make more code than is worth its time to compile."""


@dataclass(frozen=True, slots=True)
class JsonFields:
    """The fields of a JSON object: numbers of columns, or Text that is there in any row."""

    fields: tuple[tuple[Text, int | Text], ...]


def compile_event(
    codecs: Sequence[CellCodec],
    row: JsonFields,
    before: JsonFields,
    keys: tuple[JsonFields, JsonFields] | None,
) -> EventCode:
    """Return the function that turns row messages into events.

    `row` is a whole row, `before` one of which only the identity was sent; `keys` are the keys
    of the two.
    """
    names: dict[str, Any] = {
        "uint32": struct.Struct(">I").unpack_from,
        "quote": encode_basestring,
        "booleans": {"t": "true", "f": "false"},
    }
    for number, codec in enumerate(codecs):
        names[f"null{number}"] = codec.null
        names[f"unavailable{number}"] = codec.unavailable
        names[f"encode{number}"] = codec.encode
    constants = _Constants(names)
    code = _EVENT.format(
        count=len(codecs),
        new=_NEW.lines(codecs, 1),
        old=_OLD.lines(codecs, 2),
        after_old=_AFTER_OLD.lines(codecs, 2),
        row=constants.format(row, "v"),
        old_row=constants.format(row, "o"),
        before=constants.format(before, "v"),
        key="None" if keys is None else constants.format(keys[0], "v"),
        old_key="None" if keys is None else constants.format(keys[0], "o"),
        sent_key="None" if keys is None else constants.format(keys[1], "v"),
    )
    exec(code, names)  # noqa: S102 - see above what the code is made of.
    return cast("EventCode", names["event"])


def compile_json_object(fields: JsonFields) -> Callable[[Cells], Text]:
    """Return the function that writes a row's cells as the JSON object."""
    names: dict[str, Any] = {}
    numbers = sorted({cell for _, cell in fields.fields if isinstance(cell, int)})
    assignments = "".join(f"    v{number} = cells[{number}]\n" for number in numbers)
    body = _Constants(names).format(fields, "v")
    exec(f"def write(cells):\n{assignments}    return {body}\n", names)  # noqa: S102 - as above.
    return cast("Callable[[Cells], Text]", names["write"])


_EVENT = """\
def event(data, text, at):
    kind = data[at]
    tag = data[at + 5]
    if data[at + 6] << 8 | data[at + 7] != {count}:
        raise ValueError("a row of other columns than described")
    at += 8
    if kind == 85 and tag == 79:
{old}
        if data[at] != 78 or data[at + 1] << 8 | data[at + 2] != {count}:
            raise ValueError("no new row behind the old one")
        at += 3
{after_old}
        if at != len(data):
            raise ValueError("something behind the row")
        return "u", {old_key}, {key}, {old_row}, {row}
{new}
    if at != len(data):
        raise ValueError("something behind the row")
    if kind == 73 and tag == 78:
        return "c", None, {key}, "null", {row}
    if kind == 85 and tag == 78:
        return "u", None, {key}, "null", {row}
    if kind == 68 and tag == 79:
        return "d", None, {key}, {row}, "null"
    if kind == 68 and tag == 75:
        return "d", None, {sent_key}, {before}, "null"
    raise ValueError("a message for the slow way")
"""


# `data` is read with the column's kind: `t` text, `n` null, `u` unchanged and not sent.
_SKIP = """\
if data[at] == 116:
    at += 5 + uint32(data, at + 1)[0]
else:
    at += 1
"""
_COLUMN = """\
column = data[at]
if column == 116:
    start = at + 5
    at = start + uint32(data, at + 1)[0]
    value = {keep}text[start:at]
    {cell} = {form}
elif column == 110:
    at += 1
    {forget}{cell} = null{number}
elif column == 117:
    at += 1
    {forget}{cell} = {unchanged}
else:
    raise ValueError("unknown kind of column value")
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """How the lines for the columns of a row differ: `v` is a new row's cell, `o` an old one's."""

    cell: str = "v{number}"
    form: str = "{form}"
    unchanged: str = "unavailable{number}"
    keep: str = ""
    forget: str = ""

    def lines(self, codecs: Sequence[CellCodec], depth: int) -> str:
        """Return the lines that read the columns, indented so deep."""
        lines = []
        for number, codec in enumerate(codecs):
            call = f"encode{number}(data[start:at])"
            form = call if codec.form is None else codec.form.format(call=call)
            column = _COLUMN.format(
                number=number,
                cell=self.cell.format(number=number),
                form=self.form.format(number=number, form=form),
                unchanged=self.unchanged.format(number=number),
                keep=self.keep.format(number=number),
                forget=self.forget.format(number=number),
            )
            lines.append(_SKIP if codec.encode is None else column)
        return indent("".join(lines), "    " * depth)


_NEW: Final = _Row()
# The texts of an old row are kept in `r`, for the new one's that are the same.
_OLD: Final = _Row(cell="o{number}", keep="r{number} = ", forget="r{number} = None; ")
_AFTER_OLD: Final = _Row(
    form="o{number} if value == r{number} else ({form})", unchanged="o{number}"
)


class _Constants:
    """Gives the constant texts of a format names in the code's globals."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._texts: dict[Text, str] = {}

    def format(self, fields: JsonFields, prefix: str) -> str:
        """Return the expression that writes the object."""
        body, pending = "", "{"
        for place, (name, cell) in enumerate(fields.fields):
            pending += f"{',' if place else ''}{name}:"
            if isinstance(cell, int):
                body += f"{{{self._named(pending)}}}{{{prefix}{cell}}}"
                pending = ""
            else:
                pending += cell
        return f"f'{body}{{{self._named(pending + '}')}}}'"

    def _named(self, text: Text) -> str:
        name = self._texts.get(text)
        if name is None:
            name = self._texts[text] = f"t{len(self._texts)}"
            self._names[name] = text
        return name
