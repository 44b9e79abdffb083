"""deploy/compose.yml in containers: it comes up, scales, takes over, and keeps what it has."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.compose.stack import STAGES, Stack
from tests.fixtures.browser import Browser
from tests.fixtures.waiting import eventually

ARRIVAL_SECONDS = 120.0
TAKE_OVER_SECONDS = 10.0
LOAD_SECONDS = 8.0

READER = """
    SELECT client_addr::text FROM pg_stat_replication AS r
    JOIN pg_replication_slots AS s ON s.active_pid = r.pid WHERE s.slot_name = 'bemi'
"""


class Load:
    """A table that a thread writes to, and what it has committed."""

    def __init__(self, stack: Stack, table: str) -> None:
        self._stack = stack
        self._table = table
        self._stopping = threading.Event()
        self.committed: list[int] = []
        with stack.database() as connection:
            connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Write one transaction after the other as long as the block lasts."""
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            eventually(lambda: len(self.committed) > 100)
            yield
        finally:
            self._stopping.set()
            thread.join()

    def _write(self) -> None:
        with self._stack.database() as connection:
            while not self._stopping.is_set():
                number = len(self.committed)
                connection.execute(f"INSERT INTO {self._table} VALUES (%s)", [number])
                self.committed.append(number)

    def stored(self) -> list[int]:
        """Return the rows that `changes` has, in order."""
        with self._stack.database() as connection:
            rows = connection.execute(
                """SELECT (after ->> 'id')::int AS id FROM changes WHERE "table" = %s ORDER BY 1""",
                [self._table],
            )
            return [row["id"] for row in rows]

    def arrives(self) -> None:
        """Wait until exactly what was committed is stored, each once."""

        def check() -> None:
            stored = self.stored()
            assert len(stored) >= len(self.committed)
            assert stored == self.committed

        eventually(check, ARRIVAL_SECONDS)


@pytest.fixture(autouse=True)
def _show_logs(stack: Stack, request: pytest.FixtureRequest) -> Iterator[None]:
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(stack.logs())


def test_a_click_on_the_site_is_in_changes_with_who_did_it(stack: Stack) -> None:
    stack.up()
    browser = Browser(stack.site)
    browser.wait_until_it_answers()
    with stack.database() as connection:
        (before,) = connection.execute("SELECT coalesce(max(id), 0) AS id FROM todo_task")
        browser.play_session()
        browser.close()

        def changes() -> list[str]:
            rows = connection.execute(
                """SELECT operation, context FROM changes WHERE "table" = 'todo_task'
                   AND primary_key::int > %s ORDER BY committed_at, position""",
                [before["id"]],
            ).fetchall()
            assert len(rows) == 5
            assert all(isinstance(row["context"]["user_id"], int) for row in rows)
            return [row["operation"] for row in rows]

        found = eventually(changes, ARRIVAL_SECONDS)
    assert found == ["CREATE", "CREATE", "CREATE", "UPDATE", "DELETE"]


def test_each_stage_scales(stack: Stack) -> None:
    stack.up(stitcher=3, sink=2, producer=2)
    load = Load(stack, "load_scaled")
    with load.under_way():
        time.sleep(1)
    load.arrives()


def test_a_standby_takes_over_within_seconds_and_nothing_is_lost(stack: Stack) -> None:
    stack.up(producer=2)
    load = Load(stack, "load_taken_over")
    with load.under_way(), stack.database() as connection:
        (first,) = connection.execute(READER).fetchall()
        (container,) = [
            each
            for each in stack.containers("producer")
            if address(stack, each) == first["client_addr"].split("/")[0]
        ]
        stack.kill(container)
        killed = time.monotonic()

        def another_reads() -> bool:
            readers = connection.execute(READER).fetchall()
            return bool(readers) and readers != [first]

        eventually(another_reads, TAKE_OVER_SECONDS)
        print(f"the standby took over after {time.monotonic() - killed:.1f} s")
        written = len(load.committed)
        eventually(lambda: len(load.committed) > written + 100)
    load.arrives()


def test_down_and_up_keeps_everything(stack: Stack) -> None:
    stack.up()
    load = Load(stack, "load_kept")
    with load.under_way():
        pass
    load.arrives()
    stack.down()
    stack.up()
    assert load.stored() == load.committed
    later = Load(stack, "load_after")
    with later.under_way():
        pass
    later.arrives()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_without_rights_on_a_root_it_cannot_write(stack: Stack, stage: str) -> None:
    stack.up()
    status = stack.compose("exec", "-T", stage, "cat", "/proc/1/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", stage, "sh", "-c", "echo >/opt/x")


def address(stack: Stack, container: str) -> str:
    """Return the container's address in the stack's network."""
    (network,) = stack.inspect(container)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])
