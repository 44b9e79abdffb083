"""Read the rows of one relation by code made for it. Pure.

A row arrives as TupleData: for each column a kind and, for a value, its length and text. A loop
over the columns that calls an encoder for each takes twice as long as straight-line code for
the relation's columns, which loops over nothing.
The code is made of column numbers and of the lines below only: no name from the database is
ever part of it.

`Text` is UTF-8 in a str, one code point a byte: what `bytes.decode("latin-1")` gives. Nothing is
translated, so `encode("latin-1")` gives the bytes back, while slicing, quoting and formatting
cost half of what they do on bytes (4.7 against 7.6 us for the rows of a change, nine columns).

Format: PostgreSQL manual, "Logical Replication Message Formats", TupleData.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from producer.cell_forms import CellForm, cell_form
from producer.column_types.column_type import ColumnType

Text = str
Cell = Any
"""One column's value in an output: JSON as Text, or a Connect value."""
Cells = tuple[Cell, ...]

DecodeRow = Callable[[bytes, Text, int, Cells], tuple[Cells, int]]
"""From a message, the same as Text, where a row begins in it and the cells that stand for values
not sent, to the row's cells and where it ends.

Raises IndexError, KeyError, ValueError or struct.error where the bytes are no such row, or have a
value that cannot be converted; an end beyond the message's must be looked for by the caller.
"""

MALFORMED: Final = (LookupError, ValueError, struct.error)
"""What a DecodeRow raises."""


@dataclass(frozen=True, slots=True)
class CellCodec:
    """How one column's values become cells; `column_type` None leaves the column out."""

    column_type: ColumnType | None
    encode: Callable[[bytes], Cell] | None
    """From a value's text to its cell."""
    null: Cell
    unavailable: Cell
    """Stands for a value that was not sent: stored out of line and unchanged."""
    form: CellForm | None = None
    """Does what `encode` does, of a value's Text; where cells are JSON each column has one."""


def json_cell_codec(
    column_type: ColumnType, *, null: Text = "null", unavailable: Text
) -> CellCodec:
    """Return the codec whose cells are JSON."""
    form = cell_form(column_type)
    return CellCodec(column_type, form.encode, null, unavailable, form)


LEFT_OUT: Final = CellCodec(None, None, None, None)

_HEAD = """\
def decode_row(data, text, at, missing):
    if data[at] << 8 | data[at + 1] != {count}:
        raise ValueError("a row of other columns than described")
    at += 2
"""
_COLUMN = """\
    kind = data[at]
    if kind == 116:
        start = at + 5
        at = start + uint32(data, at + 1)[0]
        {assignment}
    elif kind == 110:
        at += 1
        v{number} = null{number}
    elif kind == 117:
        at += 1
        v{number} = missing[{number}]
    else:
        raise ValueError("unknown kind of column value")
"""
_TAIL = "    return ({values}), at\n"


def compile_row_decoder(codecs: Sequence[CellCodec]) -> DecodeRow:
    """Return the function that decodes rows with these columns, in their order.

    A column that is left out has the cell None.
    """
    lines = [_HEAD.format(count=len(codecs))]
    names: dict[str, Any] = {"uint32": struct.Struct(">I").unpack_from}
    for number, codec in enumerate(codecs):
        names[f"null{number}"] = codec.null
        if codec.encode is None:
            assignment = f"v{number} = None"
        elif codec.form is None:
            assignment = f"v{number} = encode{number}(data[start:at])"
        else:
            assignment = f"v{number} = cell{number}(text[start:at])"
            names[f"cell{number}"] = codec.form.cell
        names[f"encode{number}"] = codec.encode
        lines.append(_COLUMN.format(number=number, assignment=assignment))
    values = "".join(f"v{number}, " for number in range(len(codecs)))
    lines.append(_TAIL.format(values=values))
    exec("".join(lines), names)  # noqa: S102 - see above what the code is made of.
    return cast("DecodeRow", names["decode_row"])
