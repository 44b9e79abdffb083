"""The schema of a change may grow, and nothing else: old and new readers read old and new records.

Whoever changes `change.avsc` in another way meets the first test here. A release puts a copy of
it beside the others in `schemas/released/`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError
from fastavro.utils import generate_one
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from deploy.local.paths import REPOSITORY
from schemas.avro import (
    ChangeVersions,
    encode_change,
    registry_header,
    released_schemas,
    schema_text,
)
from schemas.change import Change
from sink_pg.change_rows import Record, change_row
from stitcher_stream.change_records import avro_encoder
from stitcher_stream.change_records import encode_change as encode_json
from tests.unit.schemas.test_avro import changes
from tests.unit.stitcher_stream.changes import a_change

PRESENT: Any = json.loads(schema_text())
ADDED = {"name": "trace", "type": ["null", "string"], "default": None}
JSON_SCHEMA = json.loads((REPOSITORY / "schemas" / "change.schema.json").read_text())
VALIDATOR = Draft202012Validator(JSON_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def problems(released: Any, present: Any) -> list[str]:
    """Return what keeps readers of either schema from records of the other."""
    found = []
    if (released["namespace"], released["name"]) != (present["namespace"], present["name"]):
        found.append("the record has another name")
    fields = present["fields"]
    for place, field in enumerate(released["fields"]):
        name = field["name"]
        if place >= len(fields) or fields[place]["name"] != name:
            found.append(f"{name} is gone or elsewhere")
        elif fields[place]["type"] != field["type"]:
            found.append(f"{name} has another type")
        elif fields[place].get("default", "none") != field.get("default", "none"):
            found.append(f"{name} has another default")
    found += [
        f"{field['name']} is new and has no default"
        for field in fields[len(released["fields"]) :]
        if "default" not in field
    ]
    return found


def changed(change_fields: Callable[[list[Any]], object]) -> Any:
    schema = json.loads(schema_text())
    change_fields(schema["fields"])
    return schema


def renamed(fields: list[Any]) -> None:
    fields[4]["name"] = "key"


def retyped(fields: list[Any]) -> None:
    fields[11]["type"] = "string"


def with_another_symbol(fields: list[Any]) -> None:
    fields[5]["type"]["symbols"].append("MERGE")


def without_its_default(fields: list[Any]) -> None:
    del fields[16]["default"]


def with_a_logical_type(fields: list[Any]) -> None:
    fields[6]["type"] = {"type": "string", "logicalType": "uuid"}


GROWN = changed(lambda fields: fields.append(ADDED))
BREAKING = [
    (lambda fields: fields.pop(), "context_error is gone"),
    (lambda fields: fields.pop(3), "table is gone or elsewhere"),
    (renamed, "primary_key is gone or elsewhere"),
    (retyped, "transaction_id has another type"),
    (with_another_symbol, "operation has another type"),
    (without_its_default, "context_error has another default"),
    (with_a_logical_type, "before has another type"),
    (lambda fields: fields.append({"name": "trace", "type": "string"}), "trace is new and has no"),
    (lambda fields: fields.insert(0, ADDED), "id is gone or elsewhere"),
]


@pytest.mark.parametrize("released", released_schemas())
def test_the_present_schema_only_adds_to_each_that_was_released(released: str) -> None:
    assert problems(json.loads(released), PRESENT) == [], (
        "add fields behind the others, with a default; what is to mean something else gets "
        "another name"
    )


def test_each_release_only_added_to_the_one_before() -> None:
    schemas = [json.loads(text) for text in released_schemas()]
    assert schemas
    for older, newer in itertools.pairwise(schemas):
        assert problems(older, newer) == []


@pytest.mark.parametrize(("change_fields", "problem"), BREAKING)
def test_a_change_that_breaks_readers_is_noticed(change_fields: Any, problem: str) -> None:
    (found, *_) = problems(PRESENT, changed(change_fields))
    assert problem in found
    assert problems(PRESENT, GROWN) == []


def resolved(writer: Any, reader: Any, record: Any) -> Any:
    """Return what a reader of Avro makes of a record, by schema resolution."""
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(writer), record)
    buffer.seek(0)
    return fastavro.schemaless_reader(
        buffer, fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    )


SCHEMAS = [*(json.loads(text) for text in released_schemas()), PRESENT, GROWN]


@pytest.mark.parametrize("writer", SCHEMAS)
@pytest.mark.parametrize("reader", SCHEMAS)
def test_avros_own_resolution_reads_every_version_by_every_other(writer: Any, reader: Any) -> None:
    for _ in range(5):
        record: Any = generate_one(writer)
        read, own = resolved(writer, reader, record), resolved(writer, writer, record)
        names = {field["name"] for field in reader["fields"]}
        assert read.keys() == names
        assert {n: v for n, v in read.items() if n in own} == {
            n: v for n, v in own.items() if n in names
        }


def test_avros_own_resolution_fails_where_a_breaking_change_is_named() -> None:
    """So that `problems` is not stricter than its reason, in what it is most about."""
    for change_fields in (retyped, lambda fields: fields.pop(3)):
        with pytest.raises(SchemaResolutionError):
            resolved(changed(change_fields), PRESENT, generate_one(changed(change_fields)))


OLD = ChangeVersions([schema_text()])
NEW = ChangeVersions([schema_text(), json.dumps(GROWN)])


def written(change: Change, trace: bytes | None) -> bytes:
    """Return the record as a stitcher of the schema that has grown writes it, without a header."""
    end = b"\x00" if trace is None else b"\x02" + bytes([2 * len(trace)]) + trace
    return avro_encoder(b"")(change) + end


traces = st.none() | st.binary(max_size=20).map(lambda raw: raw.hex().encode()[:20])


@given(changes, traces)
def test_an_old_sink_reads_what_a_new_stitcher_writes(change: Change, trace: Any) -> None:
    record = written(change, trace)
    assert NEW.read(record)["trace"] == (None if trace is None else trace.decode())
    for fingerprint in (None, b"newer..."):
        assert OLD.read(record, fingerprint) == OLD.read(avro_encoder(b"")(change))


@given(changes)
def test_a_new_sink_reads_what_an_old_stitcher_writes(change: Change) -> None:
    record = encode_change(change)
    assert NEW.read(record) == {**OLD.read(record), "trace": None}


@given(changes)
def test_an_old_sink_stores_the_same_row_of_a_record_with_more_members(change: Change) -> None:
    in_json = encode_json(change)
    rows = [
        change_row(Record("changes", 0, 0, None, value)).line
        for value in (
            in_json,
            in_json[:-1] + b',"trace":{"before":[1,"}"]}}',
            registry_header(7) + written(change, b"t"),
        )
    ]
    assert rows[1:] == rows[:1] * 2


@pytest.mark.parametrize("fingerprint", [None, b"newer..."])
def test_a_record_that_ends_within_its_fields_is_refused(fingerprint: bytes | None) -> None:
    record = encode_change(a_change())
    for length in range(0, len(record), 7):
        with pytest.raises(ValueError, match="not Avro of a change"):
            NEW.read(record[:length], fingerprint)


@given(changes)
def test_the_json_schema_is_true_of_every_change(change: Change) -> None:
    VALIDATOR.validate(json.loads(encode_json(change)))


@pytest.mark.parametrize("field", [field["name"] for field in PRESENT["fields"]])
def test_the_json_schema_names_what_is_wrong(field: str) -> None:
    change: dict[str, Any] = json.loads(encode_json(a_change()))
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**change, field: 1.5})
    rest = {name: value for name, value in change.items() if name != field}
    assert VALIDATOR.is_valid(rest) == (field in ("primary_key", "context_error"))


def test_the_json_schema_has_avros_fields_in_their_order_and_lets_readers_meet_more() -> None:
    assert list(JSON_SCHEMA["properties"]) == [field["name"] for field in PRESENT["fields"]]
    required = [field["name"] for field in PRESENT["fields"] if "default" not in field]
    assert JSON_SCHEMA["required"] == required
    assert VALIDATOR.is_valid({**json.loads(encode_json(a_change())), "trace": "more"})
