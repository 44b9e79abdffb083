"""The same on every major version of PostgreSQL that can be had: short, and all that matters."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.local.postgres import LocalPostgres
from tests.fixtures.capture import Capture
from tests.fixtures.waiting import eventually

FAILOVER_MAJOR = 17


def _major(server: LocalPostgres) -> int:
    return int(server.version.split(".")[0])


def test_every_kind_of_message_arrives(major_capture: Capture) -> None:
    major_capture.execute("CREATE TABLE todo (id int PRIMARY KEY, task text, big text)")
    major_capture.execute("ALTER TABLE todo REPLICA IDENTITY FULL")
    stage = major_capture.start()
    major_capture.execute(
        "INSERT INTO todo"
        " SELECT 1, 'a', string_agg(md5(i::text), '') FROM generate_series(1, 500) i"
    )
    major_capture.execute("UPDATE todo SET task = 'b'")
    major_capture.execute("UPDATE todo SET id = 2")
    major_capture.execute("DELETE FROM todo")
    major_capture.execute("TRUNCATE todo")
    major_capture.execute("SELECT pg_logical_emit_message(true, '_bemi', '{}')")
    major_capture.execute("SELECT pg_logical_emit_message(false, 'other', 'x')")

    def operations() -> list[str]:
        values = [record.json() for record in major_capture.records(major_capture.topics.wal)]
        return [value["op"] for value in values if "op" in value and not _is_heartbeat(value)]

    # A transaction is in one partition, so only the order within it can be compared.
    expected = sorted(["c", "u", "u", "d", "t", "m"])
    eventually(lambda: _equal(sorted(operations()), expected))
    (update,) = eventually(lambda: list(filter(_is_update, _values(major_capture, "todo"))))
    assert update["after"]["task"] == "b"
    assert len(update["after"]["big"]) == 16_000  # The unchanged large value is taken from before.
    eventually(lambda: _equal(_prefixes(major_capture), ["_bemi", "other"]))
    assert stage.is_running


TYPES: list[tuple[str, str, Any]] = [
    ("bool", "true", True),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("double precision", "1e-300", 1e-300),
    ("numeric", "'NaN'", "NaN"),
    ("numeric(10,2)", "1.5", "1.50"),
    ("text", "E'\\u20ac\\n'", "€\n"),
    ("bytea", "'\\x00ff'", "AP8="),
    ("date", "'2016-11-04'", "2016-11-04Z"),
    ("timestamptz", "'2016-11-04 13:51:30.5+02'", "2016-11-04T11:51:30.500000Z"),
    ("interval", "'1 year 2 days 03:04:05'", "P1Y0M2DT3H4M5S"),
    ("jsonb", '\'{"b": 1, "a": [1.50]}\'', '{"a": [1.50], "b": 1}'),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("int4range", "'[1,3)'", "[1,3)"),
    ("mood", "'sad'", "sad"),
]


def test_values_look_the_same_on_every_version(major_capture: Capture) -> None:
    major_capture.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    columns = ", ".join(f"c{i} {name}" for i, (name, _, _) in enumerate(TYPES))
    major_capture.execute(f"CREATE TABLE everything (id int PRIMARY KEY, {columns})")
    major_capture.start()
    literals = ", ".join(literal for _, literal, _ in TYPES)
    major_capture.execute(f"INSERT INTO everything VALUES (1, {literals})")
    (value,) = eventually(lambda: _values(major_capture, "everything"))
    assert value["after"] == {"id": 1, **{f"c{i}": v for i, (_, _, v) in enumerate(TYPES)}}


def test_nothing_is_lost_over_a_kill(major_capture: Capture) -> None:
    major_capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    stage = major_capture.start()
    for first in (0, 100, 200):
        major_capture.execute(
            "INSERT INTO todo SELECT generate_series(%s::int, %s::int)", [first, first + 99]
        )
        stage.kill()
        stage.start()
    major_capture.wait_for_ids(range(300))


def test_a_dropped_publication_is_noticed_although_the_server_passes_over_it(
    major_capture: Capture,
) -> None:
    major_capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    stage = major_capture.start()
    major_capture.execute("INSERT INTO todo VALUES (1)")
    major_capture.wait_for_ids([1])
    before = major_capture.current_lsn()
    major_capture.execute("DROP PUBLICATION bemi")
    major_capture.execute("INSERT INTO todo VALUES (2)")
    assert stage.wait(60) == 2
    assert "was dropped" in stage.output()
    stored = major_capture.stored_lsn()
    assert stored is not None
    assert stored <= before
    major_capture.wait_until_slot_is_free()
    major_capture.start(BEMI_PRODUCER_ACCEPT_GAP="true")
    major_capture.execute("INSERT INTO todo VALUES (3)")
    eventually(lambda: _equal(major_capture.ids()[-1], 3))
    assert [gap["reason"] for gap in major_capture.gaps()] == ["publication_missing"]


def test_a_failover_slot_is_made_where_there_is_such_a_thing(
    major_capture: Capture, major_server: LocalPostgres
) -> None:
    major_capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    stage = major_capture.start(BEMI_PRODUCER_SLOT_FAILOVER="true")
    major_capture.execute("INSERT INTO todo VALUES (1)")
    major_capture.wait_for_ids([1])
    slot = major_capture.slot()
    assert slot is not None
    if _major(major_server) >= FAILOVER_MAJOR:
        assert slot["failover"] is True
    else:
        assert "slot.failover needs PostgreSQL 17" in stage.output()


def test_a_slot_made_without_failover_is_given_it(
    major_capture: Capture, major_server: LocalPostgres
) -> None:
    stage = major_capture.start()
    stage.terminate()
    assert stage.wait(30) == 0
    major_capture.wait_until_slot_is_free()
    major_capture.start(BEMI_PRODUCER_SLOT_FAILOVER="true")
    slot = major_capture.slot()
    assert slot is not None
    assert slot.get("failover", False) is (_major(major_server) >= FAILOVER_MAJOR)


@pytest.mark.parametrize("mode", ["filtered", "no_tables", "disabled"])
def test_publications_are_made_as_debeziums_setting_says(major_capture: Capture, mode: str) -> None:
    major_capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    major_capture.execute("CREATE TABLE note (id int)")
    settings = {
        "BEMI_PRODUCER_PUBLICATION_AUTOCREATE_MODE": mode,
        "BEMI_PRODUCER_TABLE_INCLUDE_LIST": "public.todo",
    }
    published = "SELECT tablename::text FROM pg_publication_tables WHERE pubname = 'bemi'"
    if mode == "disabled":
        assert "publication.autocreate.mode is disabled" in major_capture.refused(**settings)
        return
    stage = major_capture.start(**settings)
    assert major_capture.execute(published) == ([("todo",)] if mode == "filtered" else [])
    if mode == "filtered":
        stage.terminate()
        assert stage.wait(30) == 0
        major_capture.wait_until_slot_is_free()
        major_capture.start(**settings | {"BEMI_PRODUCER_TABLE_INCLUDE_LIST": "public[.].*"})
        assert sorted(major_capture.execute(published)) == [("note",), ("todo",)]
        # A table without a key can still be updated, although it is published now.
        major_capture.execute("UPDATE note SET id = 1")


def _values(capture: Capture, table: str) -> list[Any]:
    return [record.json() for record in capture.table(table)]


def _prefixes(capture: Capture) -> list[str]:
    messages = [record.json()["message"] for record in capture.records(capture.topics.message)]
    return [each["prefix"] for each in messages]


def _is_update(value: Any) -> bool:
    return value is not None and value["op"] == "u"


def _is_heartbeat(value: dict[str, Any]) -> bool:
    return bool(value["op"] == "m" and value["message"]["prefix"] == "_bemi_heartbeat")


def _equal(found: object, expected: object) -> bool:
    assert found == expected
    return True
