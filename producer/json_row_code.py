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
    columns = [_Column(number, codec) for number, codec in enumerate(codecs)]
    constants = _Constants(names)
    code = _EVENT.format(
        count=len(codecs),
        new="".join(column.new() for column in columns),
        old="".join(column.old() for column in columns),
        after_old="".join(column.after_old() for column in columns),
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


@dataclass(frozen=True, slots=True)
class _Column:
    """Writes the lines that read one column; `v` is a new row's cell, `o` an old one's."""

    number: int
    codec: CellCodec

    def new(self) -> str:
        number = self.number
        if self.codec.encode is None:
            return _SKIP.format(indent="    ")
        return _NEW.format(number=number, assignment=self._assignment("v"))

    def old(self) -> str:
        if self.codec.encode is None:
            return _SKIP.format(indent="        ")
        return _OLD.format(number=self.number, assignment=self._assignment("o"))

    def after_old(self) -> str:
        if self.codec.encode is None:
            return _SKIP.format(indent="        ")
        return _AFTER_OLD.format(number=self.number, assignment=self._assignment("v"))

    def _assignment(self, prefix: str) -> str:
        call = f"encode{self.number}(data[start:at])"
        form = call if self.codec.form is None else self.codec.form.format(call=call)
        return f"{prefix}{self.number} = {form}"


# `data` is read with the column's kind: `t` text, `n` null, `u` unchanged and not sent.
_SKIP = """\
{indent}if data[at] == 116:
{indent}    at += 5 + uint32(data, at + 1)[0]
{indent}else:
{indent}    at += 1
"""
_NEW = """\
    column = data[at]
    if column == 116:
        start = at + 5
        at = start + uint32(data, at + 1)[0]
        value = text[start:at]
        {assignment}
    elif column == 110:
        at += 1
        v{number} = null{number}
    elif column == 117:
        at += 1
        v{number} = unavailable{number}
    else:
        raise ValueError("unknown kind of column value")
"""
_OLD = """\
        column = data[at]
        if column == 116:
            start = at + 5
            at = start + uint32(data, at + 1)[0]
            value = r{number} = text[start:at]
            {assignment}
        elif column == 110:
            at += 1
            r{number} = None
            o{number} = null{number}
        elif column == 117:
            at += 1
            r{number} = None
            o{number} = unavailable{number}
        else:
            raise ValueError("unknown kind of column value")
"""
_AFTER_OLD = """\
        column = data[at]
        if column == 116:
            start = at + 5
            at = start + uint32(data, at + 1)[0]
            value = text[start:at]
            if value == r{number}:
                v{number} = o{number}
            else:
                {assignment}
        elif column == 110:
            at += 1
            v{number} = null{number}
        elif column == 117:
            at += 1
            v{number} = o{number}
        else:
            raise ValueError("unknown kind of column value")
"""


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
