"""Turn the rows of one relation into JSON values, by code made for that relation. Pure.

A row arrives as TupleData: for each column a kind and, for a value, its length and text. A
loop over the columns that calls an encoder for each took 7.4 us for a row of nine columns;
straight-line code for the relation's columns takes 4.3 us, because it loops over nothing,
copies numbers and quotes plain strings in place. The code is made of column numbers and of
the lines below only: no name from the database is ever part of it.

Format: PostgreSQL manual, "Logical Replication Message Formats", TupleData.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, cast

from producer.column_values import (
    EncodeValue,
    copy_number,
    encode_escaped,
    encode_string,
    must_escape,
)

RowValues = tuple[bytes | None, ...]
"""Each value as JSON; None is a value that was not sent: out of line and unchanged."""

DecodeRow = Callable[[bytes, int], tuple[RowValues, int]]
"""From a message and where a row begins in it to the row's values and where it ends.

Raises IndexError, ValueError or struct.error where the bytes are no such row; an end beyond
the message's must be looked for by the caller.
"""

_HEAD = """\
def decode_row(payload, at):
    if payload[at] << 8 | payload[at + 1] != {count}:
        raise ValueError("a row of other columns than described")
    at += 2
"""
_COLUMN = """\
    kind = payload[at]
    if kind == 116:
        start = at + 5
        at = start + uint32(payload, at + 1)[0]
        text = payload[start:at]
        v{number} = {expression}
    elif kind == 110:
        at += 1
        v{number} = b"null"
    elif kind == 117:
        at += 1
        v{number} = None
    else:
        raise ValueError("unknown kind of column value")
"""
_TAIL = "    return ({values}), at\n"

# What stands in place of a call of these two, the most frequent by far.
_INLINE: dict[EncodeValue, str] = {
    copy_number: "text",
    encode_string: "b'\"%b\"' % text if must_escape(text) is None else encode_escaped(text)",
}


def compile_row_decoder(encoders: Sequence[EncodeValue]) -> DecodeRow:
    """Return the function that decodes rows with these columns, in their order."""
    lines = [_HEAD.format(count=len(encoders))]
    names: dict[str, Any] = {
        "uint32": struct.Struct(">I").unpack_from,
        "must_escape": must_escape,
        "encode_escaped": encode_escaped,
    }
    for number, encoder in enumerate(encoders):
        expression = _INLINE.get(encoder)
        if expression is None:
            expression = f"encode{number}(text)"
            names[f"encode{number}"] = encoder
        lines.append(_COLUMN.format(number=number, expression=expression))
    values = "".join(f"v{number}, " for number in range(len(encoders)))
    lines.append(_TAIL.format(values=values))
    exec("".join(lines), names)  # noqa: S102 - see above what the code is made of.
    return cast("DecodeRow", names["decode_row"])
