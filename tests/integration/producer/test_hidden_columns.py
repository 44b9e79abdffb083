"""What the settings hide reaches no topic, in whatever format and on whatever way it might."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.fixtures.capture import Capture
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually

KEY = "6f1e0a5c9d3b48728f0c1a2b3c4d5e6f"
COLUMNS = {
    # Type, a value as SQL has it, and its text as PostgreSQL writes it.
    "id": ("bigint", "815481623420001", "815481623420001"),
    "email": ("text", "'erika@hidden.example'", "erika@hidden.example"),
    "born": ("date", "'1964-08-12'", "1964-08-12"),
    "account": ("numeric(30,2)", "7204815162342.77", "7204815162342.77"),
    "photo": ("bytea", r"'\xfacade0815feedbeef00aa'", r"\xfacade0815feedbeef00aa"),
    "profile": ("jsonb", """'{"iban": "DE8937040044"}'""", '{"iban": "DE8937040044"}'),
    "phones": ("text[]", "ARRAY['+49 8154711']", '{"+49 8154711"}'),
    "token": (
        "uuid",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
}
DROPPED = "dropped-6021023"
SECRETS = [text for _, _, text in COLUMNS.values()] + [
    *("hidden.example", "facade0815", "DE8937040044", "8154711", DROPPED, "81548162342"),
    *("in-a-dropped-table-1729", "masked-299792458"),
    base64.b64encode(bytes.fromhex("facade0815feedbeef00aa")).decode(),
    base64.b64encode(b"erika@hidden.example").decode(),
]
# Where types have a binary form: of a numeric's unscaled value and of bytea in Avro.
BINARY = [(720481516234277).to_bytes(7, "big"), bytes.fromhex("facade0815feedbeef")]
SCHEMA = f"""
CREATE TABLE signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));
CREATE TABLE person (
    {", ".join(f"{name} {kind}" for name, (kind, _, _) in COLUMNS.items())},
    shown text DEFAULT 'in the clear', note text, card text,
    story text, PRIMARY KEY (id)
);
ALTER TABLE person ALTER email SET DEFAULT 'nobody@hidden.example';
ALTER TABLE person ALTER story SET STORAGE EXTERNAL;
CREATE TABLE visit (id int PRIMARY KEY, person bigint);
CREATE TABLE gone (id int PRIMARY KEY, note text);
"""
ROW = ", ".join(literal for _, literal, _ in COLUMNS.values())
REST = f"DEFAULT, '{DROPPED}', 'masked-299792458', repeat('x', 9000)"
INSERT = f"INSERT INTO person VALUES ({ROW}, {REST})"
HIDING = {
    "BEMI_PRODUCER_COLUMN_HMAC": ",".join(f"public.person.{name}" for name in COLUMNS)
    + ",public.visit.person,public.person.story",
    "BEMI_PRODUCER_COLUMN_EXCLUDE_LIST": "public.person.note",
    "BEMI_PRODUCER_TABLE_EXCLUDE_LIST": "public.gone",
    "BEMI_PRODUCER_COLUMN_RULES": '{"column.mask.with.4.chars": "public.person.card"}',
    "BEMI_PRODUCER_SNAPSHOT_MODE": "initial",
    "BEMI_PRODUCER_SIGNAL_DATA_COLLECTION": "public.signal",
    "BEMI_PRODUCER_EXTENDED_HEADERS_ENABLED": "true",
}


def pseudonym(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


HIDDEN_ROW = {
    **{name: pseudonym(text) for name, (_, _, text) in COLUMNS.items()},
    "shown": "in the clear",
    "card": "****",
    "story": pseudonym("x" * 9000),
}
FORMATS = {
    "json": {},
    "json with schemas": {
        "BEMI_PRODUCER_KEY_FORMAT": "json_schemas",
        "BEMI_PRODUCER_VALUE_FORMAT": "json_schemas",
        "BEMI_PRODUCER_DECIMAL_HANDLING_MODE": "precise",
        "BEMI_PRODUCER_TIME_PRECISION_MODE": "adaptive",
        "BEMI_PRODUCER_BINARY_HANDLING_MODE": "bytes",
        "BEMI_PRODUCER_DEBEZIUM_VALUES": "true",
        "BEMI_PRODUCER_INCLUDE_UNKNOWN_DATATYPES": "true",
        "BEMI_PRODUCER_COLUMN_PROPAGATE_SOURCE_TYPE": ".*",
    },
    "avro": {
        "BEMI_PRODUCER_KEY_FORMAT": "avro",
        "BEMI_PRODUCER_VALUE_FORMAT": "avro",
        "BEMI_PRODUCER_DECIMAL_HANDLING_MODE": "precise",
        "BEMI_PRODUCER_TIME_PRECISION_MODE": "adaptive",
        "BEMI_PRODUCER_BINARY_HANDLING_MODE": "bytes",
    },
}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "hmac.key"
    path.write_text(f"{KEY}\n")
    return path


def everything_in_kafka(capture: Capture) -> bytes:
    """Return the bytes of keys, values and headers of every topic of this pipeline, in a row."""
    admin = AdminClient({"bootstrap.servers": capture.kafka_broker.bootstrap_servers})
    names = [name for name in admin.list_topics(timeout=20).topics if capture.topic_prefix in name]
    assert f"{capture.topic_prefix}.wal" in names
    return b"\n".join(
        part
        for name in names
        for record in read_topic(capture.kafka_broker.bootstrap_servers, name)
        for part in (record.key or b"", record.value or b"", *record.headers.values())
    )


@pytest.mark.parametrize("name", FORMATS)
def test_no_topic_has_a_hidden_value(capture: Capture, key_file: Path, name: str) -> None:
    for statement in SCHEMA.split(";"):
        capture.execute(statement)
    capture.execute("ALTER TABLE person REPLICA IDENTITY FULL")
    for number in range(4):  # What a snapshot finds: it reads the first and the last row apart.
        capture.execute(INSERT.replace("815481623420001", f"81548162342000{number}"))
    stage = capture.start(
        **HIDING,
        **FORMATS[name],
        BEMI_PRODUCER_COLUMN_HMAC_KEY_FILE=str(key_file),
        BEMI_PRODUCER_AVRO_SCHEMA_DIRECTORY=str(key_file.parent / "schemas"),
    )
    capture.execute("INSERT INTO visit VALUES (1, 815481623420001)")
    capture.execute("INSERT INTO gone VALUES (1, 'in-a-dropped-table-1729')")
    capture.execute("UPDATE person SET shown = 'changed'")
    capture.execute("DELETE FROM person WHERE id <> 815481623420001")
    # The key changes, and with it header and partition; then a row of its identity alone.
    capture.execute("UPDATE person SET id = 815481623420005")
    capture.execute("ALTER TABLE person REPLICA IDENTITY DEFAULT")
    capture.execute("UPDATE person SET id = 815481623420001, shown = 'unsent'")
    capture.execute("DELETE FROM person")
    for number in range(4):
        capture.execute(INSERT.replace("815481623420001", f"81548162342000{number}"))
    capture.execute(
        "INSERT INTO signal VALUES ('s', 'execute-snapshot', %s)",
        [json.dumps({"data-collections": ["public.person"]})],
    )
    eventually(lambda: "public.person is read" in stage.output(), 60)
    capture.execute("INSERT INTO visit VALUES (2, 0)")
    eventually(lambda: capture.table("visit")[1], 60)

    def last_in_wal() -> None:
        values = [record.json() for record in capture.records(capture.topics.wal)]
        assert any(v.get("after") == {"id": 2, "person": pseudonym("0")} for v in values)

    eventually(last_in_wal, 60)
    kept = everything_in_kafka(capture)
    assert b"in the clear" in kept  # So a value that is there is found.
    assert pseudonym("815481623420001").encode() in kept
    found = [secret for secret in SECRETS if secret.encode() in kept]
    found += [repr(binary) for binary in BINARY if binary in kept]
    assert not found
    assert not any(secret in stage.output() for secret in [*SECRETS, KEY])
    schemas = [path.read_text() for path in (key_file.parent / "schemas").glob("*")]
    assert not [text for text in schemas if "hidden.example" in text]

    if name == "json":
        rows = [record.json() for record in capture.table("person")]
        read = [row["after"] for row in rows if row and row["op"] == "r"]
        assert len(read) == 8
        hidden = [{**HIDDEN_ROW, "id": pseudonym(f"81548162342000{n}")} for n in range(4)]
        assert sorted(read, key=str) == sorted(hidden * 2, key=str)
        visits = [record.json()["after"] for record in capture.table("visit")]
        assert visits[0] == {"id": 1, "person": HIDDEN_ROW["id"]}  # They can be joined.
        unsent = next(row for row in rows if row and (row["after"] or {}).get("shown") == "unsent")
        assert unsent["after"]["story"] == "__debezium_unavailable_value"


def test_columns_to_hash_without_a_key_are_refused_before_anything_is_read(
    capture: Capture,
) -> None:
    said = capture.refused(BEMI_PRODUCER_COLUMN_HMAC="public.person.email")
    assert "bemi.column.hmac.key, is missing" in said
    assert capture.slot() is None
