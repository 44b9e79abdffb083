"""A record becomes one line for COPY, or a reason why it cannot."""

from __future__ import annotations

import json

import pytest

from schemas.change import Change
from sink_pg.change_rows import COPY_COLUMNS, Record, change_row
from sink_pg.errors import UnreadableChange
from tests.unit.sink_pg.example_changes import change, encoded, record


def fields_of(line: bytes) -> dict[str, bytes]:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return dict(zip(COPY_COLUMNS, line[:-1].split(b"\t"), strict=True))


def fields(value: Change | bytes) -> dict[str, bytes]:
    return fields_of(change_row(record(value)).line)


def reason(value: bytes | None) -> str:
    with pytest.raises(UnreadableChange) as caught:
        change_row(record(value))
    return str(caught.value)


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in change().items() if key != name}).encode()


def replaced(**values: object) -> bytes:
    return json.dumps({**change(), **values}).encode()


def test_change_becomes_one_line_with_its_position() -> None:
    row = change_row(record(change(commit_lsn=5, ordinal=3)))
    assert (row.commit_lsn, row.ordinal) == (5, 3)
    assert row.epoch == change()["epoch"]
    assert fields_of(row.line)["operation"] == b"UPDATE"
    assert fields_of(row.line)["characters_replaced"] == b"f"


def test_missing_key_is_null_and_the_text_backslash_n_is_not() -> None:
    assert fields(change(primary_key=None))["primary_key"] == rb"\N"
    assert fields(change(primary_key="\\N"))["primary_key"] == rb"\\N"
    assert fields(change(primary_key=""))["primary_key"] == b""


def test_digits_of_a_number_stay_as_they_were_written() -> None:
    value = encoded(change(after={"n": 1})).replace(
        b'{"n":1}', b'{"n":1.10,"m":1e400,"k":123456789012345678901234567890}'
    )
    assert fields(value)["after"] == b'{"n":1.10,"m":1e400,"k":123456789012345678901234567890}'


def test_null_character_in_a_document_becomes_the_symbol_and_is_marked() -> None:
    row = fields(change(after={"a": "x\0y", "b": "\\u0000"}))
    assert row["after"] == rb'{"a":"x\\u2400y","b":"\\\\u0000"}'
    assert row["characters_replaced"] == b"t"


def test_escaped_backslash_before_u0000_is_no_null_character() -> None:
    assert fields(change(after={"b": "\\u0000"}))["characters_replaced"] == b"f"


def test_null_character_in_a_text_column_becomes_the_symbol() -> None:
    row = fields(change(table="a\0b"))
    assert row["table"].decode() == "a\u2400b"
    assert row["characters_replaced"] == b"t"


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (rb"\ud83d\ude00", rb"\\ud83d\\ude00"),
        (rb"\ud83d", rb"\\ufffd"),
        (rb"\ude00", rb"\\ufffd"),
        (rb"\ud83d\ud83d\ude00", rb"\\ufffd\\ud83d\\ude00"),
        (rb"\u0000\ude00", rb"\\u2400\\ufffd"),
        (rb"\u00e9\uDE00", rb"\\u00e9\\ufffd"),
        (rb"\\ud83d", rb"\\\\ud83d"),
    ],
)
def test_half_a_surrogate_pair_becomes_the_replacement_character(
    written: bytes, stored: bytes
) -> None:
    value = encoded(change(after={"a": "@"})).replace(b"@", written)
    assert fields(value)["after"] == b'{"a":"' + stored + b'"}'


def test_whitespace_between_tokens_does_not_break_the_line() -> None:
    value = json.dumps(change(after={"a": [1, 2]}), indent="\t").replace("\n", "\r\n").encode()
    assert json.loads(fields(value)["after"].decode("unicode_escape")) == {"a": [1, 2]}


def test_columns_named_like_the_fields_of_a_change_are_kept_apart() -> None:
    inner = {"before": {"x": 1}, "after": {"after": {}}, "context": {"context": {}}, "id": {}}
    row = fields(change(before=inner, after=inner, context=inner))
    assert [json.loads(row[name]) for name in ("before", "after", "context")] == [inner] * 3


def test_fields_in_another_order_and_unknown_ones_make_the_same_row() -> None:
    shuffled = dict(sorted(change().items())) | {"extra": {"a": [1]}}
    assert fields(json.dumps(shuffled, separators=(",", ":")).encode()) == fields(change())


@pytest.mark.parametrize("name", ["primary_key", "context_error"])
def test_field_that_may_be_null_may_be_absent(name: str) -> None:
    assert fields(without(name))[name] == rb"\N"


@pytest.mark.parametrize(
    "name",
    sorted(
        set(COPY_COLUMNS)
        - {"primary_key", "context_error", "characters_replaced", "stored_as_text"}
    ),
)
def test_change_without_a_field_is_unreadable(name: str) -> None:
    assert reason(without(name)) == f"the change has no {name}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "no value"),
        (b"", "not a JSON object"),
        (b"garbage", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"\x00\x01\x02\x03\x04", "not Avro of a change"),
        (b"{", "not JSON"),
        (b'{"a', "not JSON"),
        (b'{"id":"\xff"}', "not UTF-8"),
        (b"{}{}", "not JSON"),
        (encoded(change()) + b"x", "not JSON"),
        (encoded(change())[:-1], "not JSON"),
        (b"{}", "has no id"),
        (b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "id is not JSON"),
        (replaced(id=7), "id is not a text"),
        (replaced(id="7"), "id is not a UUID"),
        (replaced(operation="UPSERT"), "operation is not one of CREATE, UPDATE, DELETE, TRUNCATE"),
        (replaced(after=None), "after is not a JSON object"),
        (replaced(after=[1]), "after is not a JSON object"),
        (replaced(committed_at="now"), "committed_at is not a time"),
        (replaced(committed_at="infinity"), "committed_at is not a time"),
        (replaced(ordinal="1"), "ordinal is not a number"),
        (replaced(ordinal=True), "ordinal is not a number"),
        (replaced(ordinal=-1), "ordinal is not a number"),
        (replaced(position=2**63), "position is not a number"),
        (replaced(ordinal=1.5), "ordinal is not a number"),
    ],
)
def test_record_that_is_no_change_is_unreadable(value: bytes | None, expected: str) -> None:
    assert expected in reason(value)


def test_reason_holds_no_value_of_the_record() -> None:
    assert "hunter2" not in reason(replaced(id="hunter2"))


def test_row_keeps_the_record_it_came_in() -> None:
    given = Record("t", 3, 9, b"k", encoded(change()), (("h", b"v"),))
    assert change_row(given).record is given
