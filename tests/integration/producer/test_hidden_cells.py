"""Every rule that hides, on every kind of column, on every way a row is read and in every format.

A row is read by COPY (the first, the last and the others apart), beside the stream, and by the
stream: new, old, deleted, and in keys. What stands for a value must be the same on all of them, and
the value itself in no byte of any record. What a value looks like in the clear is what a table
without rules shows of it in the same output.
"""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka.admin import AdminClient

from producer.avro_encoding import encode_long
from tests.fixtures.capture import Capture
from tests.fixtures.stages import StageProcess
from tests.fixtures.topics import TopicRecord, read_topic
from tests.fixtures.waiting import eventually

ENUM = '"Secret Label"'
# A value of each kind; `%d` is a number of the rule's own, so that none is the other's.
TEXTS = {
    "text": "text-%d@hidden.example",
    "varchar(60)": "varying-%d@hidden.example",
    "char(40)": "fixed-%d@hidden.example",
    "name": "name_%d_of_somebody",
    ENUM: "label-%d-of-an-enum",
    "secret_text": "domain-%d@hidden.example",
}
"""What masks, hashes and truncations are about."""
STRINGS = {
    "citext": "Caseless-%d@hidden.example",
    "json": '{"iban": "DE89370400%d"}',
    "jsonb": '{"iban": "DE99370400%d"}',
    "xml": "<card>4000-1234-%d</card>",
    "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a%d",
    "bytea": r"\xfacade0815%dfeedbeef00aa",
}
"""What truncations are about, too."""
NUMBERS_AND_OTHERS = {
    "boolean": "t",
    "smallint": "271%d",
    "integer": "16180339%d",
    "bigint": "81548162%d0017",
    "oid": "41029384%d",
    "real": "2718%d.5",
    "double precision": "31415%d6.535897932",
    "numeric": "72048151%d342.7751",
    "numeric(30,4)": "62048151%d342.7752",
    "numeric(30,0)": "52048151%d3427753",
    "money": "815471%d34.56",
    "secret_amount": "42048151%d342.7754",
    "secret_number": "32048151%d3427755",
    "bit(64)": "1011%d" + "10110111" * 7,
    "varbit": "1100%d" + "10110111" * 7,
    "date": "1964-08-%d",
    "time": "04:%d:06.789123",
    "time(3)": "05:%d:06.789",
    "timetz": "06:%d:06.789123+02",
    "timestamp": "1964-09-%d 13:51:30.123456",
    "timestamp(3)": "1964-10-%d 13:51:30.123",
    "timestamptz": "1964-11-%d 13:51:30.123456+00",
    "interval": "P1Y2M%dDT4H5M6.789S",
    "inet": "192.168.123.2%d",
    "macaddr": "08:00:2b:01:02:%d",
    "point": "(1964.08%d,1964.09%d)",
    "int8range": "[81548162%d0027,81548162%d0037)",
    "numrange": "[82048151%d342.7756,92048151%d342.7757)",
    "text[]": "{array-%d@hidden.example,NULL}",
    "bigint[]": "{81548162%d0047,1}",
    "numeric(30,4)[]": "{12048151%d342.7758}",
    "hstore": '"phone"=>"+49 8154711%d"',
    "tsvector": "'lexeme-%d@hidden.example'",
    "secret_pair": "(pair-%d@hidden.example,1)",
}
KINDS = {**TEXTS, **STRINGS, **NUMBERS_AND_OTHERS}
COLUMNS = {kind: f"c{number}" for number, kind in enumerate(KINDS)}
NO_KEYS = {"json", "xml", "point", "hstore", "tsvector", "secret_pair", "boolean"}
KEYS = [kind for kind in KINDS if kind not in NO_KEYS][:31]  # An index takes 32, one is the id.


@dataclass(frozen=True)
class Rule:
    """A rule, the number in its values, and the kinds that it hides."""

    number: int
    hides: frozenset[str]
    is_of_keys: bool = True


RULES = {
    "hmac": Rule(11, frozenset(KINDS)),
    "excluded": Rule(12, frozenset(KINDS), is_of_keys=False),
    "masked": Rule(10, frozenset(TEXTS)),
    "digested": Rule(14, frozenset(TEXTS)),
    "cut": Rule(15, frozenset({**TEXTS, **STRINGS})),
}
HIDING = {
    "BEMI_PRODUCER_COLUMN_HMAC": r"public\.hmac.*\.c\d+",
    "BEMI_PRODUCER_COLUMN_EXCLUDE_LIST": r"public\.excluded.*\.c\d+",
    "BEMI_PRODUCER_COLUMN_RULES": json.dumps(
        {
            "column.mask.with.5.chars": r"public\.masked.*\.c\d+",
            "column.mask.hash.v2.SHA-256.with.salt.CzQMA0cB5K": r"public\.digested.*\.c\d+",
            "column.truncate.to.3.chars": r"public\.cut.*\.c\d+",
        }
    ),
}
SCHEMA = """
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE DOMAIN secret_text AS varchar(60); CREATE DOMAIN secret_amount AS numeric(30,4);
CREATE DOMAIN secret_number AS numeric; CREATE TYPE secret_pair AS (a text, b int);
CREATE TABLE signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));
CREATE TABLE done (id int PRIMARY KEY);
"""
AVRO = {"BEMI_PRODUCER_KEY_FORMAT": "avro", "BEMI_PRODUCER_VALUE_FORMAT": "avro"}
SCHEMAS = {
    "BEMI_PRODUCER_KEY_FORMAT": "json_schemas",
    "BEMI_PRODUCER_VALUE_FORMAT": "json_schemas",
}
DEBEZIUM = {
    "BEMI_PRODUCER_DECIMAL_HANDLING_MODE": "precise",
    "BEMI_PRODUCER_TIME_PRECISION_MODE": "adaptive",
    "BEMI_PRODUCER_INTERVAL_HANDLING_MODE": "numeric",
    "BEMI_PRODUCER_BINARY_HANDLING_MODE": "bytes",
}
OUTPUTS = {
    "json": {},
    "json, Debezium's values": {**DEBEZIUM, "BEMI_PRODUCER_DEBEZIUM_VALUES": "true"},
    "json with schemas": {**SCHEMAS, **DEBEZIUM},
    "json with schemas, doubles": {**SCHEMAS, "BEMI_PRODUCER_DECIMAL_HANDLING_MODE": "double"},
    "avro": {**AVRO, **DEBEZIUM},
    "avro, strings": AVRO,
    "avro beside json": {"BEMI_PRODUCER_KEY_FORMAT": "avro", **DEBEZIUM},
}
FEWEST_BYTES = 7
"""Of what is looked for: less would be found by chance."""
ROWS = 5


def literals(number: int, kinds: list[str]) -> str:
    texts = (KINDS[kind].replace("%d", _digits(kind, number)) for kind in kinds)
    return ", ".join(f"'{text.replace(chr(39), chr(39) * 2)}'" for text in texts)


def _digits(kind: str, number: int) -> str:
    return f"{number - 10:04b}" if "bit" in kind else str(number)


def create_tables(capture: Capture) -> None:
    labels = ", ".join(literals(rule.number, [ENUM]) for rule in RULES.values())
    capture.execute(f'CREATE TYPE "Secret Label" AS ENUM ({labels})')
    for statement in SCHEMA.split(";"):
        capture.execute(statement)
    names = {name: list(KINDS) for name in (*RULES, "plain")}
    names |= {f"{name}_keyed": KEYS for name, rule in RULES.items() if rule.is_of_keys}
    for name, kinds in names.items():
        # Schemas have the defaults, and rows that have one would be read off them.
        rule = RULES.get(name.removesuffix("_keyed"))
        defaults = {kind: f" DEFAULT {literals(rule.number, [kind])}" for kind in kinds if rule}
        columns = "".join(f", {COLUMNS[kind]} {kind}{defaults.get(kind, '')}" for kind in kinds)
        key = ", ".join(["id", *(COLUMNS[kind] for kind in kinds if "_keyed" in name)])
        capture.execute(f"CREATE TABLE {name} (id int, note text{columns}, PRIMARY KEY ({key}))")
        capture.execute(f"ALTER TABLE {name} REPLICA IDENTITY FULL")


def tables() -> Iterator[tuple[str, Rule, list[str]]]:
    """Yield the tables with a rule, and their kinds."""
    for name, rule in RULES.items():
        yield name, rule, list(KINDS)
        if rule.is_of_keys:
            yield f"{name}_keyed", rule, KEYS


def write_and_read_everything(capture: Capture, environ: dict[str, str]) -> StageProcess:
    create_tables(capture)
    for name, rule, kinds in tables():
        row = literals(rule.number, kinds)
        capture.execute(
            f"INSERT INTO {name} SELECT g, 'n', {row} FROM generate_series(1, {ROWS}) g"
        )
    for rule in RULES.values():
        row = literals(rule.number, list(KINDS))
        capture.execute(f"INSERT INTO plain VALUES ({rule.number}, 'n', {row})")
    stage = capture.start(
        **HIDING,
        **environ,
        BEMI_PRODUCER_SNAPSHOT_MODE="initial",
        BEMI_PRODUCER_SIGNAL_DATA_COLLECTION="public.signal",
        BEMI_PRODUCER_EXTENDED_HEADERS_ENABLED="true",
        BEMI_PRODUCER_INCREMENTAL_SNAPSHOT_CHUNK_SIZE="2",
    )
    for name, rule, kinds in tables():
        row = literals(rule.number, kinds)
        capture.execute(f"INSERT INTO {name} VALUES ({ROWS + 1}, 'n', {row})")
        capture.execute(f"UPDATE {name} SET note = 'changed' WHERE id > {ROWS}")
        capture.execute(f"UPDATE {name} SET id = id + 1 WHERE id > {ROWS}")
        capture.execute(f"DELETE FROM {name} WHERE id > {ROWS}")
    capture.execute("UPDATE plain SET note = 'changed'")  # In `.wal` as well.
    capture.execute(
        "INSERT INTO signal VALUES ('s', 'execute-snapshot', %s)",
        [json.dumps({"data-collections": [f"public.{name}" for name, _, _ in tables()]})],
    )
    eventually(
        lambda: all(f"public.{name} is read" in stage.output() for name, _, _ in tables()), 60
    )
    capture.execute("INSERT INTO done VALUES (1)")
    eventually(lambda: capture.table("done"), 60)
    eventually(lambda: any(is_done(record) for record in capture.records(capture.topics.wal)), 60)
    return stage


def is_done(record: TopicRecord) -> bool:
    return b'"table":"done"' in (record.value or b"")


@dataclass
class Shown:
    """What the outputs show of one table."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    ways: set[str] = field(default_factory=set)
    records: list[bytes] = field(default_factory=list)


class Reader:
    """Reads records of any of the outputs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema = cache(self._read_schema)

    def value(self, content: bytes | None) -> Any:
        if content is None:
            return None
        if content[:1] == b"\0":
            (schema_id,) = struct.unpack(">I", content[1:5])
            return fastavro.schemaless_reader(
                io.BytesIO(content[5:]), self._schema(schema_id), None
            )
        read = json.loads(content)
        return read["payload"] if isinstance(read, dict) and "payload" in read else read

    def _read_schema(self, schema_id: int) -> Any:
        ids = json.loads((self._folder / "ids.json").read_text())
        schema = json.loads((self._folder / ids[str(schema_id)]).read_text())
        return fastavro.parse_schema(_without_logical_types(schema))


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_logical_types(v) for k, v in node.items() if k != "logicalType"}
    return [_without_logical_types(v) for v in node] if isinstance(node, list) else node


def everything(capture: Capture) -> dict[str, list[TopicRecord]]:
    servers = capture.kafka_broker.bootstrap_servers
    names = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=20).topics
    return {name: read_topic(servers, name) for name in names if capture.topic_prefix in name}


def parts(record: TopicRecord) -> bytes:
    return b"\n".join((record.key or b"", record.value or b"", *record.headers.values()))


def by_table(
    capture: Capture, topics: dict[str, list[TopicRecord]], reader: Reader, *, wal: bool
) -> dict[str, Shown]:
    """Return what stands in the tables' topics, or of each table in `.wal`; else under ''."""
    shown: dict[str, Shown] = {}
    for topic, records in topics.items():
        if (topic == capture.topics.wal) != wal:
            continue
        for record in records:
            value = reader.value(record.value)
            table = topic.removeprefix(f"{capture.topic_prefix}.public.")
            if table == topic:
                table = value["source"]["table"] if wal and "source" in value else ""
            found = shown.setdefault(table, Shown())
            found.records.append(parts(record))
            if not table or not value:
                continue
            found.keys.append(reader.value(record.key))
            found.ways.add(value["op"] + value["source"]["snapshot"][:3])
            found.rows += [value[side] for side in ("before", "after") if value[side]]
    return shown


def needles(cell: Any) -> Iterator[bytes]:
    """Yield the bytes that would give a value away."""
    if isinstance(cell, dict):
        cell = list(cell.values())
    if isinstance(cell, list):
        for item in cell:
            yield from needles(item)
    elif isinstance(cell, str):
        yield cell.encode()
        yield json.dumps(cell).encode()[1:-1]
    elif isinstance(cell, bytes):
        yield cell
        yield base64.b64encode(cell)
    elif isinstance(cell, float):
        yield repr(cell).encode()
        yield struct.pack("<d", cell)
    elif isinstance(cell, int) and not isinstance(cell, bool):
        yield str(cell).encode()
        yield encode_long(cell)


def without_id(row: dict[str, Any]) -> str:
    return repr(sorted((name, cell) for name, cell in row.items() if name not in ("id", "note")))


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_way_shows_a_hidden_value_and_all_show_the_same(
    capture: Capture, tmp_path: Path, output: str
) -> None:
    key_file = tmp_path / "hmac.key"
    key_file.write_text("6f1e0a5c9d3b48728f0c1a2b3c4d5e6f")
    stage = write_and_read_everything(
        capture,
        {
            **OUTPUTS[output],
            "BEMI_PRODUCER_COLUMN_HMAC_KEY_FILE": str(key_file),
            "BEMI_PRODUCER_AVRO_SCHEMA_DIRECTORY": str(tmp_path / "schemas"),
        },
    )
    topics, reader = everything(capture), Reader(tmp_path / "schemas")
    log = stage.output().encode()
    schemas = [file.read_bytes() for file in (tmp_path / "schemas").glob("*") if file.is_file()]
    for wal in (False, True):
        shown = by_table(capture, topics, reader, wal=wal)
        plain = {row["id"]: row for row in shown["plain"].rows}
        elsewhere = [*shown[""].records, log, *schemas]
        for name, rule, kinds in tables():
            place, table = f"{output}, {'.wal' if wal else 'table'}, {name}", shown[name]
            streamed = {"cfal", "ufal", "dfal"}
            assert table.ways >= (streamed if wal else streamed | {"rinc"}), place
            assert len(table.ways) >= (3 if wal else 6), (place, table.ways)
            assert len(set(map(without_id, table.rows))) == 1, place
            if not wal:
                assert len(set(map(without_id, table.keys))) == 1, place
            for kind in kinds:
                column, clear = COLUMNS[kind], plain[rule.number].get(COLUMNS[kind])
                if kind not in rule.hides or clear is None:
                    continue
                assert table.rows[0].get(column) != clear, (place, kind)
                if kind == ENUM and ("schemas" in output or "avro" in output):
                    continue  # Each schema names all labels, which says nothing of a row.
                for needle in filter(lambda n: len(n) >= FEWEST_BYTES, set(needles(clear))):
                    assert not [r for r in table.records if needle in r][:1], (place, kind)
                    assert not [r for r in elsewhere if needle in r][:1], (place, kind)
            if name.endswith("_keyed") and not wal and "beside" not in output:
                key, row = table.keys[0], table.rows[0]
                assert all(key[COLUMNS[kind]] == row[COLUMNS[kind]] for kind in kinds), place
