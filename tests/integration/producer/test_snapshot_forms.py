"""What the server writes of a row for a snapshot is what the encoders write of the same row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from producer.catalog import Catalog
from producer.column_types.column_type import READABLE, ValueModes
from producer.event_source import Server
from producer.event_writer import WriterOptions
from producer.json_events import JsonEvents
from producer.pgoutput import Column, Relation, ReplicaIdentity
from producer.snapshot.chunks import Chunk, Heap, SnapshotTable
from producer.snapshot.copy_lines import copy_lines
from producer.snapshot.marks import Mark, Reading
from producer.snapshot.server_forms import server_form
from producer.snapshot.shared_snapshot import READ_OPTIONS
from producer.snapshot.statements import copy_chunk
from producer.snapshot.table_records import TableRecords
from producer.table_shape import TableRules, TableShape, shape
from schemas.change_id import Lsn
from tests.fixtures.postgres import Database

NOW_US = 1_700_000_000_000_000
TIMES = ["00:00", "04:05:11.789", "23:59:59.999999", "24:00"]
DATES = [
    "2016-11-04",
    "0001-01-01",
    "0001-12-31 BC",
    "1500-02-28",
    "9999-12-31",
    "10000-01-01",
    "infinity",
]
TIMESTAMPS = [
    *("2016-11-04 13:51:30", "2016-11-04 13:51:30.1", "2016-11-04 13:51:30.123456"),
    *(
        "1969-12-31 23:59:59.999999",
        "1500-02-28 12:00:00.5",
        "0001-01-01 00:00:00",
        "0044-03-15 12:00:00 BC",
    ),
    *("9999-12-31 23:59:59.999999", "10000-01-01 00:00:00", "infinity", "-infinity"),
]
TEXTS = ["", "null", "a", '"', "\\", '\\"', "a\nb\tc\rd\x08\x0c\x1f\x7f", "Grüße 🌍", "?", "\u2028"]
VALUES = {
    "smallint": ["-32768", "0", "32767"],
    "integer": ["-2147483648", "0", "2147483647"],
    "bigint": ["-9223372036854775808", "0", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "boolean": ["true", "false"],
    "text": TEXTS,
    "varchar(20)": TEXTS,
    "char(3)": ["a", "", "ab "],
    "json": ['{"a": "\\"b\\u0041"}', "null", '"x"'],
    "jsonb": ['{"a": [1, null]}', "null"],
    "uuid": ["00000000-0000-0000-0000-000000000000"],
    "inet": ["192.168.0.1/24"],
    "numeric": ["1.50", "-0.000000001", "NaN", "1e30"],
    "numeric(10,2)": ["1.5", "NaN"],
    "real": ["1.1", "1e-30", "NaN", "Infinity"],
    "double precision": ["1e300", "0.1", "-Infinity"],
    "bytea": ["\\x", "\\x00ff2c22"],
    "date": [*DATES, "-infinity"],
    "time": TIMES,
    "time(0)": TIMES,
    "time(3)": TIMES,
    "timestamp": TIMESTAMPS,
    "timestamp(0)": TIMESTAMPS,
    "timestamp(3)": TIMESTAMPS,
    "timestamptz": TIMESTAMPS,
    "timestamptz(0)": TIMESTAMPS,
    "timestamptz(3)": TIMESTAMPS,
    "timestamptz(6)": TIMESTAMPS,
    "timetz": ["04:05:06.7+02"],
    "interval": ["1 year 2 months 3 days 4:05:06.7"],
    "integer[]": ["{1,NULL,3}"],
    "text[]": ['{"a,b",NULL,"\\"null\\""}'],
    "int4range": ["[1,5)"],
}
MODES = {
    "readable": READABLE,
    "adaptive": ValueModes(decimal_handling_mode="string"),
    "adaptive_time_microseconds": ValueModes(
        decimal_handling_mode="double", time_precision_mode="adaptive_time_microseconds"
    ),
    "connect": ValueModes(decimal_handling_mode="string", time_precision_mode="connect"),
    "microseconds": ValueModes(decimal_handling_mode="string", time_precision_mode="microseconds"),
    "nanoseconds": ValueModes(decimal_handling_mode="string", time_precision_mode="nanoseconds"),
    "isostring": ValueModes(decimal_handling_mode="string", time_precision_mode="isostring"),
    "debezium": ValueModes(debezium_values=True),
    "debezium_isostring": ValueModes(
        decimal_handling_mode="string", time_precision_mode="isostring", debezium_values=True
    ),
}


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with closing(
        psycopg.connect(database.dsn, autocommit=True, options=READ_OPTIONS)
    ) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', '\"')")
        connection.execute("CREATE DOMAIN short AS varchar(5)")
        connection.execute("CREATE DOMAIN moment AS timestamptz(3)")
        yield connection


def relation_of(connection: psycopg.Connection[tuple[object, ...]], table: str) -> Relation:
    rows = connection.execute(
        "SELECT attname::text, atttypid::bigint, atttypmod, attrelid::bigint FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0",
        [table],
    ).fetchall()
    columns = tuple(Column(str(n), int(str(t)), int(str(m)), False) for n, t, m, _ in rows)
    return Relation(int(str(rows[0][3])), "public", table, ReplicaIdentity.DEFAULT, columns)


@pytest.mark.parametrize("mode", MODES)
def test_the_server_writes_each_value_as_its_encoder_does(
    connection: psycopg.Connection[tuple[object, ...]], mode: str
) -> None:
    modes, catalog = MODES[mode], Catalog(connection)
    values = VALUES | {"mood": ["sad", '"'], "short": ["a"], "moment": TIMESTAMPS}
    for number, (type_name, texts) in enumerate(values.items()):
        table = f"t{number}"
        connection.execute(f"CREATE TABLE {table} (v {type_name})")
        for text in [*texts, None]:
            connection.execute(f"INSERT INTO {table} VALUES (%s)", [text])
        relation = relation_of(connection, table)
        described = shape(relation, catalog.facts(relation), modes, TableRules())
        column = described.columns[0]
        if column.type is None or server_form(relation.columns[0], column.type) is None:
            continue
        _compare(connection, relation, described, modes, type_name)


def _compare(
    connection: psycopg.Connection[tuple[object, ...]],
    relation: Relation,
    described: TableShape,
    modes: ValueModes,
    type_name: str,
) -> None:
    writer = JsonEvents(WriterOptions(Server("shop", "db"), modes))
    events = writer.relation(described, "shop.public.t")
    reading = Reading(Lsn(1), 2, NOW_US)
    records = TableRecords(writer, relation, events, reading)
    heap = Heap(relation.oid, "public", relation.table, None, 1)
    of = SnapshotTable(relation, (heap,))
    statement = copy_chunk(of, Chunk(relation.oid, heap), records.columns)
    lines = [
        line for batch in copy_lines(connection, statement.as_bytes(connection)) for line in batch
    ]
    fast = [message["value"] for message in records.messages(lines, NOW_US)]
    slow = []
    result = connection.execute(f"SELECT v FROM {relation.table} ORDER BY ctid").pgresult
    assert result is not None
    for number in range(result.ntuples):
        raw = result.get_value(number, 0)  # As the type's own output has it, like the stream.
        row = events.row(events.rows.from_texts([raw]))
        source = reading.source(described, Mark.ROW)
        slow.append(writer.read(events, source, reading.lsn, row, NOW_US))
    assert fast == slow, type_name
