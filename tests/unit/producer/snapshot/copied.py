"""Write rows as the server's COPY does, and tables to read them into."""

from __future__ import annotations

from collections.abc import Sequence

from producer.column_types.column_type import READABLE, TypeFacts, ValueModes
from producer.event_source import Server
from producer.event_writer import WriterOptions
from producer.json_events import JsonEvents
from producer.pgoutput import Column, Relation, ReplicaIdentity
from producer.snapshot.copied_rows import DELIMITER, CopiedColumn
from producer.snapshot.marks import Reading
from producer.snapshot.server_forms import ESCAPE
from producer.snapshot.table_records import TableRecords
from producer.table_shape import CatalogFacts, TableRules, shape
from schemas.change_id import Lsn

TYPES = {"int4": 23, "int8": 20, "text": 25, "bool": 16, "timestamptz": 1184, "bytea": 17}
_QUOTED_BY_ALL = (DELIMITER, b'"', b"\n", b"\r")
READING = Reading(Lsn(0x1000), 7, 1_700_000_000_000_000)
NOW_US = 1_700_000_001_000_000


def table(**columns: str) -> Relation:
    """Return a relation with columns of these types; the first is its key."""
    return Relation(
        16400,
        "public",
        "todo",
        ReplicaIdentity.DEFAULT,
        tuple(
            Column(name, TYPES[type_name], -1, number == 0)
            for number, (name, type_name) in enumerate(columns.items())
        ),
    )


def records(
    relation: Relation, *, modes: ValueModes = READABLE, schemas: bool = False
) -> TableRecords:
    """Return the relation's records as JSON."""
    facts = CatalogFacts(
        key=(relation.columns[0].name,),
        types={oid: TypeFacts(oid, "pg_catalog", name) for name, oid in TYPES.items()},
    )
    options = WriterOptions(Server("shop", "db"), modes, key_schemas=schemas, value_schemas=schemas)
    writer = JsonEvents(options)
    described = shape(relation, facts, modes, TableRules())
    relation_events = writer.relation(described, "shop.public.todo")
    return TableRecords(writer, relation, relation_events, READING)


def csv_line(texts: Sequence[bytes | None], of: TableRecords) -> bytes:
    """Return the line that the COPY of `statements` writes."""
    return DELIMITER.join(
        _field(text, column) for text, column in zip(texts, of.columns, strict=True)
    )


def _field(text: bytes | None, column: CopiedColumn) -> bytes:
    if text is None:
        return b"null"
    content, form = text, column.form
    if form is not None and not form.is_text:
        content = _written_by_the_server(text, column)
    is_special = content == b"null" or any(c in content for c in _QUOTED_BY_ALL)
    if is_special or (form is not None and form.is_quoted):
        return b'"%b"' % content.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return content


def _written_by_the_server(text: bytes, column: CopiedColumn) -> bytes:
    if text.endswith((b"infinity", b"BC")):
        return ESCAPE.encode() + text
    assert column.codec.encode is not None
    return bytes(column.codec.encode(text).strip('"').encode("latin-1"))
