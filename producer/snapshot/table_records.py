"""Turn what COPY writes of one table into records of the output. Pure; the clock is an argument.

With JSON, rows go through code made for the table (`copied_rows`); any other format is written
row by row by the writer that writes the stream's events. Both give the same bytes: the fast way is
cut from what the writer writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from producer.errors import MalformedMessage
from producer.event_writer import EventWriter, RelationEvents
from producer.json_events import JsonEvents
from producer.pgoutput import Relation
from producer.row_codec import Cell, Cells
from producer.snapshot.copied_rows import (
    CopiedColumn,
    Message,
    Template,
    compile_read_lines,
    cut_template,
    marker,
    split_fields,
)
from producer.snapshot.marks import Mark, Reading
from producer.snapshot.server_forms import ESCAPE, server_form


class TableRecords:
    """One table's rows in the output; `columns` is what a COPY of it must write."""

    def __init__(
        self,
        writer: EventWriter,
        described: Relation,
        relation: RelationEvents,
        reading: Reading,
        mark: Mark = Mark.ROW,
    ) -> None:
        """Write rows of the relation; `mark` is what those say that are at no end."""
        self._writer = writer
        self._relation = relation
        self._reading = reading
        self._mark = mark
        self._now_us = 0
        shape = relation.shape
        self._width = len(shape.columns)
        self.topic = relation.topic
        is_json = isinstance(writer, JsonEvents)
        self.columns = []
        for number, codec in enumerate(relation.rows.codecs):
            column, form = shape.columns[number], None
            if codec.encode is None or column.type is None:
                continue
            if is_json and column.has_own_values:
                form = server_form(described.columns[number], column.type)
            self.columns.append(CopiedColumn(number, column.name, codec, form))
        self._read_lines = None
        if is_json:
            value, key = self._templates()
            self._read_lines = compile_read_lines(self.columns, value, key, self._read_slowly)

    def read_at(self, at_us: int) -> None:
        """Let what is read from here on say that it was read then."""
        self._reading = replace(self._reading, at_us=at_us)

    def messages(self, lines: Sequence[bytes], now_us: int) -> list[Message]:
        """Return the records of these lines of a COPY, which are without their newlines."""
        self._now_us = now_us
        if self._read_lines is None:
            return [self._read_slowly(line) for line in lines]
        value, key = self._templates()
        return self._read_lines(lines, value, key)

    def marked(self, line: bytes, mark: Mark, now_us: int) -> Message:
        """Return the record of a line that is the first or the last one of something."""
        self._now_us = now_us
        return self._read_slowly(line, mark)

    def _templates(self) -> tuple[Template, Template | None]:
        markers = tuple(marker(number) for number in range(self._width))
        marked = self._message(markers, self._mark)
        assert marked["value"] is not None  # noqa: S101 - a row that was read has an event.
        key = marked["key"]
        return cut_template(marked["value"]), None if key is None else cut_template(key)

    def _read_slowly(self, line: bytes, mark: Mark | None = None) -> Message:
        try:
            fields = split_fields(line)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error
        if len(fields) != len(self.columns):
            raise MalformedMessage(
                f"COPY of {self._relation.collection} wrote {len(fields)} fields "
                f"for {len(self.columns)} columns"
            )
        texts: list[bytes | None] = [None] * self._width
        written: dict[int, Cell] = {}
        for column, field in zip(self.columns, fields, strict=True):
            form = column.form
            if field is None or form is None or form.is_text:
                texts[column.number] = field
            elif field[:1] == ESCAPE.encode():
                texts[column.number] = field[1:]
            else:
                text = field.decode("latin-1")
                written[column.number] = f'"{text}"' if form.is_quoted else text
        cells = list(self._relation.rows.from_texts(texts))
        for number, cell in written.items():
            cells[number] = cell
        return self._message(tuple(cells), mark or self._mark)

    def _message(self, cells: Cells, mark: Mark) -> Message:
        relation, writer = self._relation, self._writer
        source = self._reading.source(relation.shape, mark)
        return {
            "key": writer.key(relation, relation.key(cells)),
            "value": writer.read(
                relation, source, self._reading.lsn, relation.row(cells), self._now_us
            ),
        }
