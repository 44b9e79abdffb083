"""A folder of schemas: consumers with nothing but it can read every record."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from producer.avro_format import avro_json
from producer.avro_serializer import AvroSerializer
from producer.connect_schema import INT32, STRING, STRUCT, ConnectSchema
from producer.schema_files import SchemaFileMissing, SchemaFiles, SchemaFilesUnusable

TOPIC = "shop.public.todo"
ID = ("id", ConnectSchema(INT32))
TITLE = ("title", ConnectSchema(STRING, optional=True))
OLD = ConnectSchema(STRUCT, name=f"{TOPIC}.Value", fields=(ID,))
NEW = ConnectSchema(STRUCT, name=f"{TOPIC}.Value", fields=(ID, TITLE))
VALUE = f"{TOPIC}-value"


def read_as_a_consumer(folder: Path, record: bytes) -> Any:
    ids = json.loads((folder / "ids.json").read_text())
    schema = json.loads((folder / ids[str(int.from_bytes(record[1:5], "big"))]).read_text())
    return fastavro.schemaless_reader(io.BytesIO(record[5:]), fastavro.parse_schema(schema), None)


def test_a_consumer_with_the_folder_alone_reads_what_was_written_before_and_after_a_change(
    tmp_path: Path,
) -> None:
    serializer = AvroSerializer(SchemaFiles(tmp_path / "schemas", may_write=True))
    before = serializer.schema(TOPIC, OLD).encode({"id": 1})
    after = serializer.schema(TOPIC, NEW).encode({"id": 2, "title": "two"})

    assert read_as_a_consumer(tmp_path / "schemas", before) == {"id": 1}
    assert read_as_a_consumer(tmp_path / "schemas", after) == {"id": 2, "title": "two"}
    assert {path.name for path in (tmp_path / "schemas").glob("*.avsc")} == {
        f"{VALUE}.avsc",
        f"{VALUE}.2.avsc",
    }


def test_a_schema_has_the_same_id_after_a_restart(tmp_path: Path) -> None:
    ids = [
        SchemaFiles(tmp_path, may_write=True).id_of(VALUE, avro_json(schema))
        for schema in (OLD, NEW, OLD, NEW)
    ]
    assert ids == [1, 2, 1, 2]


def test_without_leave_to_write_a_missing_file_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(SchemaFileMissing, match=rf"{VALUE}\.avsc.*auto\.register\.schemas"):
        SchemaFiles(tmp_path, may_write=False).id_of(VALUE, avro_json(OLD))
    assert list(tmp_path.iterdir()) == []


def test_without_leave_to_write_a_changed_table_is_refused_and_the_change_told(
    tmp_path: Path,
) -> None:
    SchemaFiles(tmp_path, may_write=True).id_of(VALUE, avro_json(OLD))
    with pytest.raises(SchemaFileMissing, match=rf"title is new.*{VALUE}\.2\.avsc"):
        SchemaFiles(tmp_path, may_write=False).id_of(VALUE, avro_json(NEW))


def test_a_file_written_by_hand_is_taken_whatever_it_says_beside_names_and_types(
    tmp_path: Path,
) -> None:
    schema = json.loads(avro_json(NEW)) | {"doc": "What has to be done."}
    schema["fields"][0]["doc"] = "Grows."
    (tmp_path / f"{VALUE}.avsc").write_text(json.dumps(schema))
    (tmp_path / "ids.json").write_text(json.dumps({"7": f"{VALUE}.avsc"}))

    assert SchemaFiles(tmp_path, may_write=False).id_of(VALUE, avro_json(NEW)) == 7


def test_a_file_without_an_id_gets_the_next_one_if_that_may_be_written(tmp_path: Path) -> None:
    (tmp_path / f"{VALUE}.avsc").write_text(avro_json(OLD))
    (tmp_path / "ids.json").write_text(json.dumps({"7": "other-value.avsc"}))

    with pytest.raises(SchemaFileMissing, match=r"no id for shop\.public\.todo-value\.avsc"):
        SchemaFiles(tmp_path, may_write=False).id_of(VALUE, avro_json(OLD))
    assert SchemaFiles(tmp_path, may_write=True).id_of(VALUE, avro_json(OLD)) == 8


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.json", "[]"),
        ("ids.json", '{"one": "x"}'),
        ("ids.json", '{"-1": "x"}'),
        ("ids.json", '{"2147483648": "x"}'),
        ("ids.json", "{"),
        (f"{VALUE}.avsc", "{"),
        (f"{VALUE}.avsc", '{"type": "record"}'),
        (f"{VALUE}.avsc", '"nothing"'),
    ],
)
def test_a_file_that_holds_something_else_is_refused_by_its_name(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SchemaFilesUnusable, match=name):
        SchemaFiles(tmp_path, may_write=True).id_of(VALUE, avro_json(OLD))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SchemaFilesUnusable, match="file"):
        SchemaFiles(tmp_path / "file" / "schemas", may_write=True).id_of(VALUE, avro_json(OLD))
