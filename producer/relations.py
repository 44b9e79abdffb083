"""The row messages of one relation, as the cells of one output. Pure.

Bytes that are no row of the relation raise MalformedMessage; a value that has no form in the
output's value modes raises ValueNotConvertible or becomes null, as the configuration says.

Format: PostgreSQL manual, "Logical Replication Message Formats", Insert, Update, Delete.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from enum import Enum

from producer.errors import MalformedMessage, ValueNotConvertible
from producer.row_codec import MALFORMED, CellCodec, Cells, Text, compile_row_decoder
from producer.table_shape import TableShape

ROW_AT = 5
"""Where the tag of a row message's first row is: behind the kind and the relation's oid."""

_NEW, _OLD, _KEY = b"NOK"
_TEXT, _NULL, _UNCHANGED = b"tnu"
_UINT32 = struct.Struct(">I").unpack_from

log = logging.getLogger(__name__)


class ConversionFailure(str, Enum):
    """What is done with a value that has no form: event.converting.failure.handling.mode."""

    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


class RelationRows:
    """Decodes the rows of one relation; `at` is where their message begins in `data`."""

    def __init__(
        self,
        shape: TableShape,
        codecs: Sequence[CellCodec],
        on_failure: ConversionFailure = ConversionFailure.FAIL,
    ) -> None:
        self.shape = shape
        self.codecs = tuple(codecs)
        self._on_failure = on_failure
        self._decode = compile_row_decoder(self.codecs)
        self._unavailable: Cells = tuple(codec.unavailable for codec in codecs)

    def inserted(self, data: bytes, text: Text, at: int) -> Cells:
        """Return the row of an Insert message."""
        tag, cells, end = self._tagged_row(data, text, at + ROW_AT, self._unavailable)
        if tag != _NEW or end != len(data):
            raise self._malformed(data, at)
        return cells

    def updated(self, data: bytes, text: Text, at: int) -> tuple[Cells | None, bool, Cells]:
        """Return what was sent of the old row, whether that is all of it, and the new row.

        What was not sent of the new row is taken from the old one if that is full.
        """
        tag, cells, end = self._tagged_row(data, text, at + ROW_AT, self._unavailable)
        if tag == _NEW:
            if end != len(data):
                raise self._malformed(data, at)
            return None, False, cells
        is_full = tag == _OLD
        missing = cells if is_full else self._unavailable
        tag, new, end = self._tagged_row(data, text, end, missing)
        if tag != _NEW or end != len(data):
            raise self._malformed(data, at)
        return cells, is_full, new

    def deleted(self, data: bytes, text: Text, at: int) -> tuple[Cells, bool]:
        """Return what was sent of the row of a Delete message, and whether that is all of it."""
        tag, cells, end = self._tagged_row(data, text, at + ROW_AT, self._unavailable)
        if tag == _NEW or end != len(data):
            raise self._malformed(data, at)
        return cells, tag == _OLD

    def have_same_nulls(self, data: bytes, at: int, columns: Sequence[int]) -> bool:
        """Tell whether an Update with a whole old row has NULL in the same of these columns.

        The message was read before.
        """
        old, end = _nulls(data, at + ROW_AT + 1)
        new, _ = _nulls(data, end + 1)
        return all(old[number] == new[number] for number in columns)

    def from_texts(self, texts: Sequence[bytes | None]) -> Cells:
        """Return the cells of a row that was read by a query, its columns in the same order."""
        return tuple(
            codec.null if text is None else self._convert(number, text)
            for number, (codec, text) in enumerate(zip(self.codecs, texts, strict=True))
        )

    def _tagged_row(
        self, data: bytes, text: Text, at: int, missing: Cells
    ) -> tuple[int, Cells, int]:
        try:
            tag = data[at]
            if tag != _NEW and tag != _OLD and tag != _KEY:
                raise ValueError("no row begins here")
            cells, end = self._decode(data, text, at + 1, missing)
        except MALFORMED:
            return self._tagged_row_slowly(data, at, missing)
        return tag, cells, end

    def _tagged_row_slowly(self, data: bytes, at: int, missing: Cells) -> tuple[int, Cells, int]:
        """Decode value by value, to tell bytes that are no row from a value without a form."""
        try:
            tag = data[at]
            count = int.from_bytes(data[at + 1 : at + 3], "big")
            if tag not in (_NEW, _OLD, _KEY) or count != len(self.codecs):
                raise self._malformed(data, at)
            at += 3
            cells = []
            for number, codec in enumerate(self.codecs):
                kind = data[at]
                at += 1
                if kind == _TEXT:
                    start = at + 4
                    at = start + _UINT32(data, at)[0]
                    if at > len(data):
                        raise self._malformed(data, at)
                    cells.append(self._convert(number, data[start:at]))
                elif kind == _NULL:
                    cells.append(codec.null)
                elif kind == _UNCHANGED:
                    cells.append(missing[number])
                else:
                    raise self._malformed(data, at)
        except (IndexError, struct.error) as error:
            raise self._malformed(data, at) from error
        return tag, tuple(cells), at

    def _convert(self, number: int, text: bytes) -> object:
        codec = self.codecs[number]
        if codec.encode is None:
            return None
        try:
            return codec.encode(text)
        except (LookupError, ValueError) as error:
            column = f"{self.shape.pg_schema}.{self.shape.table}.{self.shape.columns[number].name}"
            advice = (
                f"a value of column {column} has no form in the value modes that are set "
                f"({error}); use decimal.handling.mode=string or time.precision.mode=isostring, "
                "or have event.converting.failure.handling.mode=warn write null in its place"
            )
            if self._on_failure is ConversionFailure.FAIL:
                raise ValueNotConvertible(advice) from error
            log.warning("%s", advice)
            return codec.null

    def _malformed(self, data: bytes, at: int) -> MalformedMessage:
        return MalformedMessage(
            f"a row message of {len(data)} bytes is no row of "
            f"{self.shape.pg_schema}.{self.shape.table} as it was described, from byte {at} on"
        )


def _nulls(data: bytes, at: int) -> tuple[list[bool], int]:
    """Return which columns of the row that begins at `at` are NULL, and where it ends."""
    count = int.from_bytes(data[at : at + 2], "big")
    at += 2
    nulls = []
    for _ in range(count):
        kind = data[at]
        nulls.append(kind == _NULL)
        at += 5 + _UINT32(data, at + 1)[0] if kind == _TEXT else 1
    return nulls, at
