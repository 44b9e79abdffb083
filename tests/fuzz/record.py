"""Record what a real server sends, for the fuzzer to damage: `python -m tests.fuzz.record`.

Writes `recorded.json`: every kind of message, rows of many types, and what the catalogue says
of the types. To be run again when a table is added below.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from producer import pgoutput
from producer.catalog import Catalog
from producer.copy_messages import PAYLOAD_AT, XLOG_DATA
from producer.replication_stream import ReplicationStream
from producer.sql_connection import Connection, connect
from schemas.change_id import Lsn

RECORDED = Path(__file__).with_name("recorded.json")
SLOT = "recorder"
END = "_end_of_recording"

TABLES = """
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS numeric(8, 3) CHECK (VALUE > 0);
    CREATE TABLE many (
        id int PRIMARY KEY, b bool, s smallint, l bigint, r real, d double precision, n numeric,
        n2 numeric(10, 2), m money, t text, c char(4), bin bytea, da date, ti time, tz timetz,
        ts timestamp, tstz timestamptz, iv interval, j json, jb jsonb, x xml, u uuid, ip inet,
        bits bit(3), p point, ra int4range, ar int[], ta text[], tsa timestamptz[], mo mood,
        pa pair, po positive, o oid, v tsvector
    );
    ALTER TABLE many REPLICA IDENTITY FULL;
    CREATE TABLE keyed (a int, b text, note text, big text, PRIMARY KEY (b, a));
    CREATE TABLE keyless (line text);
    ALTER TABLE keyless REPLICA IDENTITY FULL;
    CREATE PUBLICATION recorder FOR ALL TABLES;
"""
VALUES = """
    1, true, -5, 9007199254740993, 1.5, 'NaN', 12345678901234567890.12345, 1.5, 12.34,
    E'\u20ac "quoted" \\\\ \\n', 'ab', '\\x00ff', '2016-11-04', '04:05:11.789', '04:05:11+02',
    '2016-11-04 11:51:30.123456', '2016-11-04 13:51:30+02', '1 year 2 days 03:04:05', '{"a": 1}',
    '{"b": [1.50]}', '<a/>', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '192.168.0.1/24', B'101',
    '(1,2)', '[1,3)', '{1,NULL,3}', ARRAY['a,b', 'c"d'], ARRAY[timestamptz '2016-11-04 00:00+00'],
    'sad', ROW(1, 'x y'), 7.125, 26, 'a b'
"""
STATEMENTS = [
    ("insert with every type", f"INSERT INTO many VALUES ({VALUES})"),
    ("insert of nulls", "INSERT INTO many (id) VALUES (2)"),
    ("update with the whole old row", "UPDATE many SET t = 'y' WHERE id = 1"),
    ("infinities", "UPDATE many SET d = 'Infinity', da = 'infinity', ts = '-infinity', n = 'NaN'"),
    ("dates before Christ", "UPDATE many SET da = '0044-03-15 BC', ts = '0044-03-15 01:02:03 BC'"),
    ("delete with the whole old row", "DELETE FROM many WHERE id = 1"),
    (
        "large value",
        "INSERT INTO keyed SELECT 1, 'k', 'n', string_agg(md5(i::text), '')"
        " FROM generate_series(1, 100) i",
    ),
    ("update without an old row", "UPDATE keyed SET note = 'other'"),
    ("update of a key", "UPDATE keyed SET a = 2"),
    ("delete with a key", "DELETE FROM keyed"),
    ("row without a key", "INSERT INTO keyless VALUES ('a'), (NULL)"),
    ("altered table", "ALTER TABLE keyed ADD COLUMN more int DEFAULT 3"),
    ("row of the altered table", "INSERT INTO keyed VALUES (3, 'z', NULL, NULL, 4)"),
    ("truncate", "TRUNCATE keyed, keyless RESTART IDENTITY CASCADE"),
    ("context", """SELECT pg_logical_emit_message(true, '_bemi', '{"user": 1}')"""),
    ("message outside of transactions", "SELECT pg_logical_emit_message(false, 'other', '')"),
    ("end", f"SELECT pg_logical_emit_message(true, '{END}', '')"),
]


def record(connection: Connection, stream: ReplicationStream) -> dict[str, Any]:
    """Run the statements and return what the stream says of them."""
    connection.execute(TABLES.encode())
    connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [SLOT])
    large = "ALTER TABLE keyed ALTER COLUMN big SET STORAGE EXTERNAL"
    connection.execute(large)
    for _, statement in STATEMENTS:
        connection.execute(statement.encode())
    stream.start(SLOT, SLOT, Lsn(0))
    catalog = Catalog(connection)
    types: dict[str, Any] = {}
    messages: list[str] = []
    while True:
        for data in stream.read(10.0):
            if data[0] != XLOG_DATA:
                continue
            payload = data[PAYLOAD_AT:]
            message = pgoutput.decode(payload)
            if isinstance(message, pgoutput.LogicalMessage) and message.prefix == END:
                return {"types": types, "messages": messages}
            messages.append(payload.hex())
            if isinstance(message, pgoutput.Relation):
                facts = catalog.facts(message)
                types |= {str(oid): asdict(each) for oid, each in facts.types.items()}


def main() -> None:
    """Record on a server of one's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        server = LocalPostgres(Path(folder) / "postgres", free_port())
        server.start()
        try:
            parameters = {
                "host": server.host,
                "port": server.port,
                "user": server.user,
                "password": server.password,
                "dbname": "postgres",
            }
            recorded = record(connect(parameters), ReplicationStream.connect(parameters))
        finally:
            server.kill()
    RECORDED.write_text(json.dumps(recorded, indent=0) + "\n")
    print(f"{len(recorded['messages'])} messages in {RECORDED}")


if __name__ == "__main__":
    main()
