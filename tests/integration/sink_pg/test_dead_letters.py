"""What was put aside can be seen, stored after all, or given up; never stored and kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from sink_pg.batch import Batch, BatchLimits
from sink_pg.dead_letters import Outcome, drop_letters, find_ids, list_letters, retry_letter
from sink_pg.errors import NoSuchDeadLetter
from sink_pg.pg_connection import Connection, connect
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StartStage
from tests.integration.sink_pg.conftest import Trail
from tests.unit.sink_pg.example_changes import change, encoded, record

COMMAND = [sys.executable, "-m", "sink_pg", "dead-letters"]
GARBAGE = b"garbage"


@pytest.fixture
def connection(settings: SinkSettings) -> Iterator[Connection]:
    with closing(connect(settings)) as opened:
        yield opened


@pytest.fixture
def ids(writer: PgWriter, connection: Connection) -> list[int]:
    """Put aside two changes that are readable in truth, and one record that is not."""
    batch = Batch(BatchLimits(10, 10**6, 0.0), {})
    batch.add([record(GARBAGE, offset=n) for n in range(3)], now=0.0)
    writer.store(batch)
    letters = find_ids(connection, None)
    for n in (0, 1):
        connection.execute(
            "UPDATE bemi_dead_letters SET value = %b WHERE id = %s",
            [encoded(change(n)), letters[n]],
        )
    return letters


def test_change_that_is_readable_now_is_stored_and_no_longer_aside(
    ids: list[int], connection: Connection, trail: Trail
) -> None:
    assert retry_letter(connection, ids[0]) is Outcome.STORED
    assert trail.rows() == [(0, 0)]
    assert find_ids(connection, None) == ids[1:]
    assert trail.progress() == {0: 3}


def test_change_that_is_stored_already_is_not_stored_again(
    ids: list[int], connection: Connection, trail: Trail
) -> None:
    connection.execute(
        "UPDATE bemi_dead_letters SET value = %b WHERE id = %s", [encoded(change(0)), ids[1]]
    )
    outcomes = [retry_letter(connection, identifier) for identifier in ids[:2]]
    assert outcomes == [Outcome.STORED, Outcome.KNOWN]
    assert trail.count() == 1


def test_record_that_is_still_refused_keeps_its_letter_with_its_reason_of_today(
    ids: list[int], connection: Connection, trail: Trail
) -> None:
    connection.execute("UPDATE bemi_dead_letters SET reason = 'of then'")
    assert retry_letter(connection, ids[2]) is Outcome.REFUSED
    letters, total = list_letters(connection, limit=10)
    assert (total, letters[2].reason, letters[2].retries) == (
        3,
        "the record is not a JSON object",
        1,
    )
    assert trail.dead_letters()[2][1] == GARBAGE
    assert trail.count() == 0


def test_letter_that_another_retries_at_the_moment_is_left_to_it(
    ids: list[int], connection: Connection, database: Database, trail: Trail
) -> None:
    with database.connect() as other, other.transaction():
        other.execute("SELECT FROM bemi_dead_letters WHERE id = %s FOR UPDATE", [ids[0]])
        assert retry_letter(connection, ids[0]) is Outcome.TAKEN
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(retry_letter, connection, ids[0]).result() is Outcome.STORED
    assert trail.count() == 1


def test_unknown_id_is_named_and_nothing_is_done(ids: list[int], connection: Connection) -> None:
    with pytest.raises(NoSuchDeadLetter, match=str(ids[-1] + 1)):
        find_ids(connection, [ids[0], ids[-1] + 1])
    assert drop_letters(connection, find_ids(connection, ids[:1])) == 1
    assert find_ids(connection, None) == ids[1:]


def test_commands_list_retry_and_drop(
    ids: list[int], start_stage: StartStage, database: Database, trail: Trail
) -> None:
    def outcome(*arguments: str) -> tuple[int | None, str]:
        command = start_stage("letters", [*COMMAND, *arguments], database.environ)
        return command.wait(30.0), command.output()

    code, shown = outcome("list")
    assert code == 0
    assert "3 dead letters" in shown
    assert "bemi.changes [0] 2" in shown
    code, shown = outcome("retry", "--all")
    assert (code, trail.count()) == (0, 2)
    assert "stored: 2" in shown
    assert "still refused: 1" in shown
    assert outcome("drop", str(ids[2]))[0] == 2
    assert outcome("drop")[0] == 2
    assert len(trail.dead_letters()) == 1
    assert outcome("drop", str(ids[2]), "--yes")[0] == 0
    assert trail.dead_letters() == []
