"""What the producer refuses to start on, and how a gap that a person accepts is recorded.

Each refusal ends the process with exit code 2 and one line that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local.process import ChildProcess
from schemas.change_id import format_lsn
from tests.fixtures.capture import Capture

ACCEPT_GAP = {"BEMI_PRODUCER_ACCEPT_GAP": "true"}


@pytest.fixture
def stopped(capture: Capture) -> Capture:
    """Return a capture of one row whose producer has ended; its slot is free."""
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    stage = capture.start()
    capture.execute("INSERT INTO todo VALUES (1)")
    capture.wait_for_ids([1])
    _end(stage, capture)
    return capture


def _end(stage: ChildProcess, capture: Capture) -> None:
    stage.terminate()
    assert stage.wait(30) == 0
    capture.wait_until_slot_is_free()


def _drop_slot(capture: Capture) -> None:
    capture.execute("SELECT pg_drop_replication_slot(%s)", [capture.slot_name])


def _recreate_slot(capture: Capture) -> None:
    _drop_slot(capture)
    capture.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [capture.slot_name]
    )


def _advance_slot(capture: Capture) -> None:
    capture.execute(
        "SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [capture.slot_name]
    )


@pytest.mark.parametrize(
    ("interfere", "reason", "says"),
    [
        (_drop_slot, "slot_missing", "is gone"),
        (_recreate_slot, "slot_moved_on", "made it again"),
        (_advance_slot, "slot_moved_on", "advanced it"),
    ],
)
def test_a_slot_that_somebody_else_has_touched_is_refused_or_the_gap_is_recorded(
    stopped: Capture, interfere: Callable[[Capture], None], reason: str, says: str
) -> None:
    stored = stopped.stored_lsn()
    stopped.execute("INSERT INTO todo VALUES (2)")
    interfere(stopped)
    line = stopped.refused()
    assert says in line
    assert "BEMI_PRODUCER_ACCEPT_GAP=true" in line
    assert stopped.stored_lsn() == stored
    stage = stopped.start(**ACCEPT_GAP)
    stopped.execute("INSERT INTO todo VALUES (3)")
    stopped.wait_for_ids([1, 3])
    (gap,) = stopped.gaps()
    assert (gap["reason"], gap["slot"]) == (reason, stopped.slot_name)
    assert gap["from_lsn"] == format_lsn(stored or 0)
    assert gap["from_system_identifier"] == gap["to_system_identifier"]
    # Once recorded it is over: the next start needs no permission.
    _end(stage, stopped)
    stopped.start()
    stopped.execute("INSERT INTO todo VALUES (4)")
    stopped.wait_for_ids([1, 3, 4])
    assert len(stopped.gaps()) == 1


def test_the_record_of_a_gap_stands_in_wal_order(stopped: Capture) -> None:
    _drop_slot(stopped)
    stopped.start(**ACCEPT_GAP)
    stopped.execute("INSERT INTO todo VALUES (2)")
    stopped.wait_for_ids([1, 2])
    values = [record.json() for record in stopped.records(stopped.topics.wal)]
    marks = {
        value["message"]["prefix"] if value["op"] == "m" else value["after"]["id"]: int(
            value["source"]["lsn"]
        )
        for value in values
        if value.get("op") in ("m", "c")
    }
    assert marks[1] < marks["_bemi_gap"] < marks[2]


def test_debeziums_trust_in_the_slot_goes_on_from_it_and_records_the_gap(stopped: Capture) -> None:
    stopped.execute("INSERT INTO todo VALUES (2)")
    _advance_slot(stopped)
    assert "advanced it" in stopped.refused(BEMI_PRODUCER_OFFSET_MISMATCH_STRATEGY="trust_offset")
    stopped.start(BEMI_PRODUCER_OFFSET_MISMATCH_STRATEGY="trust_slot")
    stopped.execute("INSERT INTO todo VALUES (3)")
    stopped.wait_for_ids([1, 3])
    assert [gap["reason"] for gap in stopped.gaps()] == ["slot_moved_on"]


def test_a_slot_of_a_reader_before_is_taken_over_where_it_stands(capture: Capture) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    capture.execute("CREATE PUBLICATION bemi FOR ALL TABLES")
    capture.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [capture.slot_name]
    )
    capture.execute("INSERT INTO todo VALUES (1)")
    stage = capture.start()
    assert "taking the slot over" in stage.output()
    capture.wait_for_ids([1])
    assert capture.gaps() == []


def test_a_slot_whose_publication_has_another_name_is_not_read_by_a_new_one(
    capture: Capture,
) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    capture.execute("CREATE PUBLICATION dbz_publication FOR ALL TABLES")
    capture.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [capture.slot_name]
    )
    capture.execute("INSERT INTO todo VALUES (1)")
    assert "BEMI_PRODUCER_PUBLICATION_NAME" in capture.refused()
    stage = capture.start(BEMI_PRODUCER_PUBLICATION_NAME="dbz_publication")
    capture.wait_for_ids([1])
    _end(stage, capture)
    # Another name later on is the same: the new publication publishes nothing from before.
    capture.execute("INSERT INTO todo VALUES (2)")
    assert "BEMI_PRODUCER_PUBLICATION_NAME" in capture.refused()
    capture.start(**ACCEPT_GAP)
    capture.execute("INSERT INTO todo VALUES (3)")
    capture.wait_for_ids([1, 3])


def test_a_publication_that_was_away_for_a_while_is_refused_or_the_gap_is_recorded(
    stopped: Capture,
) -> None:
    stopped.execute("DROP PUBLICATION bemi")
    stopped.execute("INSERT INTO todo VALUES (2)")
    assert "was dropped" in stopped.refused()
    stopped.execute("CREATE PUBLICATION bemi FOR ALL TABLES")
    assert "was dropped and made again" in stopped.refused()
    stopped.start(**ACCEPT_GAP)
    stopped.execute("INSERT INTO todo VALUES (3)")
    stopped.wait_for_ids([1, 3])
    assert [gap["reason"] for gap in stopped.gaps()] == ["publication_missing"]


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["ALTER PUBLICATION bemi SET (publish = 'insert, update')"], "does not publish delete"),
        (
            [
                "ALTER PUBLICATION bemi SET (publish = 'insert')",
                "ALTER PUBLICATION bemi SET (publish = 'insert, update, delete, truncate')",
            ],
            "what it left out meanwhile is not known",
        ),
    ],
)
def test_a_publication_changed_while_it_was_down_is_refused(
    stopped: Capture, statements: list[str], says: str
) -> None:
    for statement in statements:
        stopped.execute(statement)
    line = stopped.refused()
    assert says in line
    assert "BEMI_PRODUCER_ACCEPT_GAP=true" in line


def test_a_table_taken_out_of_the_publication_is_refused_and_one_put_in_is_not(
    capture: Capture,
) -> None:
    capture.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    capture.execute("CREATE TABLE note (id int PRIMARY KEY)")
    capture.execute("CREATE TABLE draft (id int PRIMARY KEY)")
    capture.execute("CREATE PUBLICATION bemi FOR TABLE todo, draft")
    stage = capture.start()
    assert "does not cover 1 tables that the settings include: public.note" in stage.output()
    _end(stage, capture)
    capture.execute("ALTER PUBLICATION bemi ADD TABLE note")
    capture.execute("DROP TABLE draft")
    _end(capture.start(), capture)
    capture.execute("ALTER PUBLICATION bemi DROP TABLE todo")
    assert "does not cover public.todo" in capture.refused()


def test_a_position_kept_in_a_topic_that_forgets_is_refused(stopped: Capture) -> None:
    topic = f"{stopped.topic_prefix}.producer-offsets"
    admin = AdminClient({"bootstrap.servers": stopped.kafka_broker.bootstrap_servers})
    entry = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(30)
    line = stopped.refused()
    assert f"topic {topic} has cleanup.policy=delete" in line
