"""Lines of COPY as records: the fast way and the slow one write the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.errors import MalformedMessage
from producer.snapshot.copied_rows import Message
from producer.snapshot.marks import Mark
from tests.unit.producer.snapshot.copied import NOW_US, csv_line, records, table

RELATION = table(id="int4", task="text", done="bool", at="timestamptz", content="bytea")

texts = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=20)
rows = st.tuples(
    st.integers(-(2**31), 2**31 - 1).map(lambda number: b"%d" % number),
    st.none() | texts.map(str.encode) | st.sampled_from([b"null", b'a"b', b"a\\b", b"a\x1fb"]),
    st.sampled_from([None, b"t", b"f"]),
    st.sampled_from(
        [None, b"2026-11-24 13:28:05.063+00", b"infinity", b"0044-03-15 00:00:00+00 BC"]
    ),
    st.none() | st.binary(max_size=8).map(lambda content: b"\\x" + content.hex().encode()),
)


def parsed(message: Message) -> tuple[Any, Any]:
    assert message["value"] is not None
    return json.loads(message["key"] or b"null"), json.loads(message["value"])


def test_a_row_that_was_read_is_a_read_event_of_its_tables_topic() -> None:
    of = records(table(id="int4", task="text"))
    (message,) = of.messages([csv_line([b"1", b"Sleep"], of)], NOW_US)
    key, value = parsed(message)
    assert of.topic == "shop.public.todo"
    assert key == {"id": 1}
    assert value["after"] == {"id": 1, "task": "Sleep"}
    assert (value["op"], value["before"], value["transaction"]) == ("r", None, None)
    assert value["ts_us"] == NOW_US
    source = value["source"]
    assert (source["lsn"], source["txId"], source["snapshot"]) == (0x1000, 7, "true")
    assert source["sequence"] == '[null,"4096"]'


def test_a_marked_row_says_where_in_the_snapshot_it_stands() -> None:
    of = records(table(id="int4"))
    _, value = parsed(of.marked(b"1", Mark.LAST, NOW_US))
    assert value["source"]["snapshot"] == "last"


@given(st.lists(rows, max_size=4))
def test_any_row_is_written_as_the_slow_way_writes_it(table_rows: list[Any]) -> None:
    of = records(RELATION)
    lines = [csv_line(row, of) for row in table_rows]
    assert of.messages(lines, NOW_US) == [of.marked(line, Mark.ROW, NOW_US) for line in lines]


@given(rows)
def test_a_row_with_schemas_has_the_same_payload_as_one_without(row: Any) -> None:
    plain, schemas = records(RELATION), records(RELATION, schemas=True)
    (without,) = plain.messages([csv_line(row, plain)], NOW_US)
    (with_schemas,) = schemas.messages([csv_line(row, schemas)], NOW_US)
    key, value = parsed(with_schemas)
    assert (key["payload"], value["payload"]) == parsed(without)


@given(texts)
def test_any_text_arrives_as_it_is_stored(text: str) -> None:
    of = records(table(id="int4", task="text"))
    (message,) = of.messages([csv_line([b"1", text.encode()], of)], NOW_US)
    assert parsed(message)[1]["after"]["task"] == text


def test_the_text_null_is_not_taken_for_null() -> None:
    of = records(table(id="int4", task="text", at="timestamptz"))
    lines = [csv_line([b"1", b"null", None], of), csv_line([b"2", None, None], of)]
    tasks = [parsed(message)[1]["after"]["task"] for message in of.messages(lines, NOW_US)]
    assert tasks == ["null", None]


@pytest.mark.parametrize("line", [b"1", b"1\x1fa\x1fb", b'1\x1f"\n', b'1\x1f"\n"b'])
def test_what_copy_cannot_have_written_is_refused(line: bytes) -> None:
    of = records(table(id="int4", task="text"))
    with pytest.raises(MalformedMessage):
        of.messages([line], NOW_US)
