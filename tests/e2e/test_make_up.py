"""What a newcomer does: start everything by one command, click, look, stop, start again."""

from __future__ import annotations

import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.ports import LOOPBACK
from tests.fixtures.browser import Browser
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.waiting import eventually

START_SECONDS = 180.0
OPERATIONS = ["CREATE", "CREATE", "CREATE", "UPDATE", "DELETE"]


@pytest.fixture
def state() -> Iterator[Path]:
    """Give a folder that PostgreSQL's user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="bemi-make-up-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def address(stage: StageProcess, pattern: str) -> str:
    found = re.search(pattern, stage.output())
    assert found, stage.output()
    return found.group()


def start(start_stage: StartStage, state: Path) -> StageProcess:
    command = [sys.executable, "-m", "deploy.local", "up", "--state", str(state)]
    stage = start_stage("make up", command, {"COLUMNS": "200"})
    eventually(lambda: "all is running" in stage.output(), START_SECONDS)
    return stage


def trail(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT operation, context ->> 'endpoint' FROM changes"
            " WHERE \"table\" = 'todo_task' ORDER BY commit_lsn, ordinal"
        ).fetchall()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def test_the_clicks_of_a_newcomer_are_in_the_trail_and_stay_there(
    start_stage: StartStage, state: Path
) -> None:
    stack = start(start_stage, state)
    dsn = address(stack, r"postgresql://[^'\s]+")
    site = address(stack, rf"http://{LOOPBACK}:\d+/")
    browser = Browser(site)
    browser.play_session()
    eventually(lambda: [operation for operation, _ in trail(dsn)] == OPERATIONS)
    stack.terminate()
    assert stack.wait(60) == 0
    ports = [int(port) for port in re.findall(rf"{LOOPBACK}:(\d+)", stack.output())]
    assert ports
    assert not any(is_open(port) for port in ports)

    stack = start(start_stage, state)
    browser = Browser(address(stack, rf"http://{LOOPBACK}:\d+/"))
    browser.play_session()
    dsn = address(stack, r"postgresql://[^'\s]+")
    eventually(lambda: [operation for operation, _ in trail(dsn)] == OPERATIONS * 2)
    browser.close()
