"""deploy/compose.yml in containers: it comes up, scales, takes over, and keeps what it has."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.compose.load import ARRIVAL_SECONDS, Load
from tests.compose.stack import STAGES, Stack
from tests.fixtures.browser import Browser
from tests.fixtures.waiting import eventually

TAKE_OVER_SECONDS = 10.0
STOP_SECONDS = 30.0

READER = """
    SELECT client_addr::text FROM pg_stat_replication AS r
    JOIN pg_replication_slots AS s ON s.active_pid = r.pid WHERE s.slot_name = 'bemi'
"""


@pytest.fixture(autouse=True)
def _show_logs(stack: Stack, request: pytest.FixtureRequest) -> Iterator[None]:
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(stack.logs())


def test_a_click_on_the_site_is_in_changes_with_who_did_it(stack: Stack) -> None:
    stack.up()
    browser = Browser(f"http://{stack.address('SITE_PORT')}")
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


def test_each_stage_scales_and_a_standby_takes_over_within_seconds(stack: Stack) -> None:
    stack.up(stitcher=3, sink=2, producer=2)
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
        # Of the others one each, too: the rest of its group does its part.
        for stage in ("stitcher", "sink"):
            stack.kill(stack.containers(stage)[0])
        eventually(lambda: len(load.committed) > written + 200)
    load.arrives()


def test_stages_stop_in_order_within_their_grace(stack: Stack) -> None:
    stack.up()
    load = Load(stack, "load_stopped")
    with load.under_way():
        containers = {stage: stack.containers(stage) for stage in STAGES}
        began = time.monotonic()
        stack.compose("stop", *STAGES)
        print(f"stopped after {time.monotonic() - began:.1f} s")
        assert time.monotonic() - began < STOP_SECONDS
    for stage, (container,) in containers.items():
        # A stage that was killed at the end of the grace has 137.
        assert stack.inspect(container)["State"]["ExitCode"] == 0, stack.logs(stage)
    stack.up()
    load.arrives()


def test_stages_say_that_they_are_not_ready_while_kafka_is_away(stack: Stack) -> None:
    stack.up()
    load = Load(stack, "load_without_kafka")
    with load.under_way():
        stack.compose("stop", "kafka")
        all_unhealthy = {each: ["unhealthy"] for each in STAGES}
        eventually(lambda: {each: stack.health(each) for each in STAGES} == all_unhealthy, 120)
    stack.up()
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


@pytest.mark.parametrize("stage", [*STAGES, "example"])
def test_a_stage_runs_without_rights_on_a_root_it_cannot_write(stack: Stack, stage: str) -> None:
    stack.up()
    status = stack.compose("exec", "-T", stage, "cat", "/proc/1/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", stage, "sh", "-c", "echo >/opt/x")


def test_init_refuses_what_breaks_the_application_and_says_what_to_do(stack: Stack) -> None:
    stack.up()
    with stack.database() as connection:
        # Published, since all tables are, and without a key: its UPDATE fails from now on.
        connection.execute("CREATE TABLE keyless (title text)")
        try:
            with pytest.raises(AssertionError) as refused:
                stack.compose("run", "--rm", "-T", "init")
            said = str(refused.value)
            assert "ALTER TABLE public.keyless REPLICA IDENTITY FULL;" in said
            assert "the stages are not started" in said
            # Warnings, 1, remain.
            mend = "bemi-producer doctor --fix || [ $? -eq 1 ]"
            stack.compose("run", "--rm", "-T", "init", "sh", "-c", mend)
            stack.compose("run", "--rm", "-T", "init")
        finally:
            connection.execute("DROP TABLE keyless")


def test_what_is_compiled_is_in_the_image_and_the_compiler_is_not(stack: Stack) -> None:
    stack.up()
    where = "import producer.pgoutput as compiled; print(compiled.__file__)"
    assert stack.compose("exec", "-T", "producer", "python", "-c", where).strip().endswith(".so")
    for stage in STAGES:
        found = stack.compose("exec", "-T", stage, "sh", "-c", "command -v cc gcc pip; true")
        assert "gcc" not in found, found


def address(stack: Stack, container: str) -> str:
    """Return the container's address in the stack's network."""
    (network,) = stack.inspect(container)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])
