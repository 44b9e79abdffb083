"""`bemi-sink erase` on real servers: what is erased is gone, stays gone, and can be explained."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.local.ports import free_port
from schemas.erasure import ERASED, parse_erasure
from sink_pg.erase_command import erase_command
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import ChangesTopic, StartSink, Trail
from tests.integration.sink_pg.test_delivery import until_stored
from tests.unit.sink_pg.example_changes import change

PATIENCE_SECONDS = 60.0
SECRET = "erika@example.com"
SINK = [sys.executable, "-m", "sink_pg"]

Run = Callable[..., StageProcess]

CHANGES = [
    change(1, table="user", primary_key="7", before={}, after={"id": 7, "email": SECRET}),
    change(
        2,
        table="user",
        primary_key="7",
        before={"id": 7, "email": SECRET},
        after={"id": 7, "email": "e@example.com"},
        context={"user_id": 7, "ip": "10.0.0.7"},
    ),
    change(3, table="user", primary_key="8", before={}, after={"id": 8, "email": "x@example.com"}),
    change(
        4,
        table="order",
        primary_key="1",
        before={},
        after={"id": 1, "user_id": 7, "total": "1.50"},
        context={"user": {"id": "7"}},
    ),
    change(5, table="order", primary_key="2", before={}, after={"id": 2, "user_id": 70}),
]


@pytest.fixture
def run(
    start_stage: StartStage, database: Database, kafka_broker: KafkaBroker, topic_prefix: str
) -> Run:
    """Run a command of the sink to its end and see its exit code."""

    def run(*arguments: str, code: int = 0, **environ: str) -> StageProcess:
        given = {
            **database.environ,
            "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
            "BEMI_TOPIC_PREFIX": topic_prefix,
            **environ,
        }
        command = start_stage("command", [*SINK, *arguments], given)
        assert command.wait(PATIENCE_SECONDS) == code, command.output()
        return command

    return run


@pytest.fixture
def erase(run: Run) -> Run:
    """Run `bemi-sink erase`, for a reason and without being asked."""

    def erase(*options: str, **environ: Any) -> StageProcess:
        return run("erase", "--reason", "ticket 4711", "--yes", *options, **environ)

    return erase


@pytest.fixture
def stored(changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail) -> StageProcess:
    """Store the changes, sealed; the sink goes on running."""
    changes_topic.publish(CHANGES)
    sink = start_sink(BEMI_SINK_SEALS="true")
    until_stored(trail, len(CHANGES))
    return sink


def secrets(trail: Trail) -> list[int]:
    """Return where the secret stands in `changes`, by commit LSN."""
    rows = trail.rows("commit_lsn, changes::text")
    return [lsn for lsn, text in rows if SECRET in text]


def test_the_changes_of_a_row_stay_without_their_values(
    stored: StageProcess, run: Run, erase: Run, trail: Trail
) -> None:
    assert "to erase: values" in run("erase", "--dry-run", "--column", f"email={SECRET}").output()
    assert secrets(trail) == [1, 2]
    before = trail.rows("id, operation, context, committed_at, created_at")
    output = erase("--table", "public.user", "--primary-key", "7").output()
    assert "erased: 2 changes" in output
    assert "the key itself stays" in output
    assert secrets(trail) == []
    assert "ticket 4711" in run("erasures").output()
    erased = {"id": ERASED, "email": ERASED}
    assert trail.rows("primary_key, before, after")[:3] == [
        ("7", {}, erased),
        ("7", erased, erased),
        ("8", {}, {"id": 8, "email": "x@example.com"}),
    ]
    assert trail.rows("id, operation, context, committed_at, created_at") == before


def test_only_the_named_members_are_erased_of_the_parts_that_are_named(
    stored: StageProcess, erase: Run, trail: Trail
) -> None:
    erase(
        "--table", "public.user", "--primary-key", "7", "--part", "values", "--part", "context",
        "--member", "email", "--member", "ip",
    )  # fmt: skip
    assert trail.rows("before, after, context")[1] == (
        {"id": 7, "email": ERASED},
        {"id": 7, "email": ERASED},
        {"user_id": 7, "ip": ERASED},
    )


def test_what_is_not_said_clearly_is_refused() -> None:
    for options, says in (
        (["--table", "public.user", "--yes", "--reason", "r"], "whose changes"),
        (["--context", "user_id", "--yes", "--reason", "r"], "name=value"),
        (["--context", "user_id=7", "--yes"], "--reason is missing"),
        (["--context", "user_id=7", "--reason", "r"], "say --yes"),
    ):
        result = CliRunner().invoke(erase_command, options)
        assert (result.exit_code, says in result.output) == (2, True), result.output


def test_the_record_names_changes_and_no_person(
    stored: StageProcess, erase: Run, kafka_broker: KafkaBroker, topic_prefix: str
) -> None:
    erase("--column", f"email={SECRET}", "--member", "email")
    (kept,) = read_topic(kafka_broker.bootstrap_servers, f"{topic_prefix}.erasures")
    assert kept.value is not None
    assert SECRET.encode() not in kept.value
    record = parse_erasure(kept.value)
    assert [each.id for each in record.changes] == [CHANGES[0]["id"], CHANGES[1]["id"]]
    assert (record.erasure.reason, record.erasure.members) == ("ticket 4711", ("email",))


def test_no_replay_brings_back_what_was_erased(
    stored: StageProcess, erase: Run, run: Run, trail: Trail
) -> None:
    erase("--column", f"email={SECRET}")
    erase("--context", "user_id=7")  # The same change once more.
    erased = trail.rows("commit_lsn, before, after, context")
    trail.connection.execute("TRUNCATE bemi_seals")  # Sealed rows are not replaced.
    trail.connection.execute("DELETE FROM changes WHERE commit_lsn IN (1, 2, 4)")
    assert "3 stored" in run("replay").output()
    assert trail.rows("commit_lsn, before, after, context") == erased
    assert "0 stored, 0 replaced" in run("replay", "--replace").output()
    assert trail.rows("commit_lsn, before, after, context") == erased
    run("replay", "--into", "bemi_changes_again")
    rows = trail.connection.execute(
        "SELECT commit_lsn, before, after, context FROM bemi_changes_again ORDER BY commit_lsn"
    ).fetchall()
    assert rows == erased
    assert SECRET not in str(rows)


def test_a_table_that_is_made_anew_is_filled_without_what_was_erased(
    stored: StageProcess, erase: Run, trail: Trail, start_sink: StartSink, run: Run
) -> None:
    erase("--column", f"email={SECRET}")
    erased = trail.rows("commit_lsn, before, after, context")
    stored.terminate()
    trail.connection.execute(
        "DROP TABLE changes, bemi_sink_progress, bemi_dead_letters, bemi_migrations, bemi_seals,"
        " bemi_erasures, bemi_erased_changes"
    )
    start_sink(BEMI_SINK_SEALS="true")
    until_stored(trail, len(CHANGES))
    assert trail.rows("commit_lsn, before, after, context") == erased
    assert "unbroken" in run("verify", "--seals").output()


def test_a_database_from_before_the_erasure_is_erased_by_what_is_on_record(
    stored: StageProcess, erase: Run, trail: Trail, start_sink: StartSink, run: Run
) -> None:
    tables = ("changes", "bemi_sink_progress", "bemi_seals")
    for table in tables:
        trail.connection.execute(f"CREATE TABLE bemi_changes_backup_{table} AS TABLE {table}")
    erase("--column", f"email={SECRET}")
    stored.terminate()
    trail.connection.execute("TRUNCATE bemi_erasures, bemi_erased_changes")
    for table in tables:
        trail.connection.execute(f"TRUNCATE {table}")
        trail.connection.execute(f"INSERT INTO {table} TABLE bemi_changes_backup_{table}")
    assert secrets(trail) == [1, 2]
    sink = start_sink(BEMI_SINK_SEALS="true")
    assert "bemi-sink erase --recorded" in sink.output()
    assert "erased once more: 2 changes" in run("erase", "--recorded").output()
    assert secrets(trail) == []
    assert "unbroken" in run("verify", "--seals").output()
    assert "erased once more: 0 changes" in run("erase", "--recorded").output()


def test_nothing_is_erased_while_it_cannot_be_put_on_record(
    stored: StageProcess, erase: Run, trail: Trail
) -> None:
    output = erase(
        "--column", f"email={SECRET}", code=2,
        BEMI_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}",
    ).output()  # fmt: skip
    assert "no broker answers" in output
    assert "run the command again" in output
    assert secrets(trail) == [1, 2]


def test_changes_on_their_way_are_told(
    changes_topic: ChangesTopic, stored: StageProcess, erase: Run, trail: Trail
) -> None:
    eventually(lambda: trail.progress().get(0) == len(CHANGES))
    stored.terminate()
    changes_topic.publish([change(90, after={"email": SECRET})])
    assert "1 changes are on their way" in erase("--column", f"email={SECRET}").output()


def test_seals_stay_provable(stored: StageProcess, erase: Run, run: Run, trail: Trail) -> None:
    erase("--column", f"email={SECRET}")
    output = run("verify", "--seals").output()
    assert "unbroken" in output
    assert "2 rows of which values were erased by 1 erasures" in output
    trail.connection.execute("UPDATE changes SET after = '{}' WHERE commit_lsn = 3")
    assert "break: rows of seal 1" in run("verify", "--seals", code=1).output()


def test_rows_that_are_replayed_in_erased_form_are_sealed_in_it(
    stored: StageProcess, erase: Run, run: Run, trail: Trail
) -> None:
    erase("--column", f"email={SECRET}")
    trail.connection.execute("DELETE FROM changes; TRUNCATE bemi_seals")
    run("replay", BEMI_SINK_SEALS="true")
    assert "unbroken" in run("verify", "--seals").output()
    assert secrets(trail) == []


def test_a_dead_letter_that_is_tried_again_is_erased(
    stored: StageProcess, erase: Run, run: Run, trail: Trail
) -> None:
    erase("--column", f"email={SECRET}")
    trail.connection.execute("DELETE FROM changes WHERE commit_lsn = 1")
    trail.connection.execute(
        'INSERT INTO bemi_dead_letters (topic, partition, "offset", value, reason)'
        " VALUES ('bemi.changes', 9, 9, %s, 'for a test')",
        [json.dumps(CHANGES[0]).encode()],
    )
    assert "stored: 1" in run("dead-letters", "retry", "--all").output()
    assert secrets(trail) == []
