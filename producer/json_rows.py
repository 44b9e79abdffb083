"""Turn row messages into JSON in one go. Pure.

`RelationEvents.event` takes a message apart into cells, then puts those together; this does both
at once, for the messages that come by the thousand: whole rows and deletes by identity. Where a
value of the new row is the old row's, its cell is too. Everything else, and whatever is not as
described, raises one of MALFORMED, and the slow way decides what it is: both give the same.

Compiled by mypyc where there is a C compiler (docs/architecture.md, "Compiled"): what that gives is
in docs/decisions.md.

Format: PostgreSQL manual, "Logical Replication Message Formats", Insert, Update, Delete, TupleData.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from producer.cell_forms import CellForm
from producer.row_codec import CellCodec, Text

RowEvent = tuple[str, Any, Any, Any, Any]
"""Operation, old key, key, before, after; see `event_writer.Event`."""

_INSERT: Final = 73  # Kinds of messages: I, U and D.
_UPDATE: Final = 85
_DELETE: Final = 68
_NEW: Final = 78  # Tags of rows: N, O and K.
_OLD: Final = 79
_KEY: Final = 75
_TEXT: Final = 116  # Kinds of column values: t, n and u, unchanged and not sent.
_NULL: Final = 110
_UNCHANGED: Final = 117

_ABSENT: Final = "\0"
"""In place of a column's text; PostgreSQL stores no text that has it."""


@dataclass(frozen=True, slots=True)
class JsonFields:
    """The fields of a JSON object: numbers of columns, or Text that is there in any row."""

    fields: tuple[tuple[Text, int | Text], ...]


class JsonObject:
    """Writes a row's cells as one JSON object."""

    def __init__(self, fields: JsonFields) -> None:
        self._constants: list[Text] = []  # Each before the cell of the same place.
        self._numbers: list[int] = []
        pending = "{"
        for place, (name, cell) in enumerate(fields.fields):
            pending += f"{',' if place else ''}{name}:"
            if isinstance(cell, int):
                self._constants.append(pending)
                self._numbers.append(cell)
                pending = ""
            else:
                pending += cell
        self._end = pending + "}"

    def write(self, cells: Sequence[Text]) -> Text:
        """Return the object."""
        return self.written(list(cells))

    def written(self, cells: list[Text]) -> Text:
        """Return the object; of a list, which is faster to take from."""
        texts: list[str] = []
        for place, constant in enumerate(self._constants):
            texts.append(constant)
            texts.append(cells[self._numbers[place]])
        texts.append(self._end)
        return "".join(texts)


class _Column:
    """A column as its values are read; `form` None leaves it out."""

    def __init__(self, codec: CellCodec) -> None:
        self.null: str = codec.null or ""
        self.unavailable: str = codec.unavailable or ""
        self.form: CellForm | None = codec.form


class _Row:
    """A row that was read: each column's text and cell, and where it ends."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.cells: list[str] = []
        self.end = 0


class JsonRows:
    """Reads the row messages of one relation.

    `row` is a whole row, `before` one of which only the identity was sent; `keys` are the keys
    of the two.
    """

    def __init__(
        self,
        codecs: Sequence[CellCodec],
        row: JsonFields,
        before: JsonFields,
        keys: tuple[JsonFields, JsonFields] | None,
    ) -> None:
        self._columns = [_Column(codec) for codec in codecs]
        self._row = JsonObject(row)
        self._before = JsonObject(before)
        self._key = None if keys is None else JsonObject(keys[0])
        self._sent_key = None if keys is None else JsonObject(keys[1])

    def event(self, data: bytes, text: Text, at: int) -> RowEvent:
        """Return what the row message that begins at `at` says; raises one of MALFORMED."""
        kind = data[at]
        tag = data[at + 5]
        if kind == _UPDATE and tag == _OLD:
            old = self._read(data, text, at + 6, None)
            if data[old.end] != _NEW:
                raise ValueError("no new row behind the old one")
            new = self._read(data, text, old.end + 1, old)
            self._check_end(data, new)
            before, after = self._row.written(old.cells), self._row.written(new.cells)
            key = self._key
            if key is None:
                return "u", None, None, before, after
            return "u", key.written(old.cells), key.written(new.cells), before, after
        row = self._read(data, text, at + 6, None)
        self._check_end(data, row)
        if tag == _NEW and kind == _INSERT:
            return "c", None, self._key_of(row), "null", self._row.written(row.cells)
        if tag == _NEW and kind == _UPDATE:
            return "u", None, self._key_of(row), "null", self._row.written(row.cells)
        if tag == _OLD and kind == _DELETE:
            return "d", None, self._key_of(row), self._row.written(row.cells), "null"
        if tag == _KEY and kind == _DELETE:
            key = self._sent_key
            sent_key = None if key is None else key.written(row.cells)
            return "d", None, sent_key, self._before.written(row.cells), "null"
        raise ValueError("a message for the slow way")

    def _key_of(self, row: _Row) -> Text | None:
        key = self._key
        return None if key is None else key.written(row.cells)

    def _check_end(self, data: bytes, row: _Row) -> None:
        if row.end != len(data):
            raise ValueError("something behind the row")

    def _read(self, data: bytes, text: Text, at: int, old: _Row | None) -> _Row:
        """Read the row that begins at `at`; what was not sent of it is as in `old`."""
        if data[at] << 8 | data[at + 1] != len(self._columns):
            raise ValueError("a row of other columns than described")
        at += 2
        row = _Row()
        texts, cells = row.texts, row.cells
        for number, column in enumerate(self._columns):
            kind = data[at]
            if kind == _TEXT:
                start = at + 5
                at = start + (
                    data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4]
                )
                value = text[start:at]
                form = column.form
                if form is None:
                    cells.append("")
                elif old is not None and value == old.texts[number]:
                    cells.append(old.cells[number])
                else:
                    cells.append(form.cell(value))
                texts.append(value)
            elif kind == _NULL:
                at += 1
                cells.append(column.null)
                texts.append(_ABSENT)
            elif kind == _UNCHANGED:
                at += 1
                cells.append(column.unavailable if old is None else old.cells[number])
                texts.append(_ABSENT)
            else:
                raise ValueError("unknown kind of column value")
        row.end = at
        return row
