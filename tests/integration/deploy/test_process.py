"""What was started ends with the one who started it, however that one ends."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from deploy.local import process_table
from deploy.local.process import CannotStart, ChildProcess
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.waiting import eventually

# A parent with a child in a session of its own, as PostgreSQL has them; both last long.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(600)
"""

# Several threads that write all the time.
BUSY = """
import os, sys, threading
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def work():
    while True:
        os.write(file, b".")
for _ in range(4):
    threading.Thread(target=work).start()
"""

# A program that starts the parent above by this project's own means, and then lasts long.
STARTER = """
import sys, time
from pathlib import Path
from deploy.local.process import ChildProcess
log = Path(sys.argv[1])
parent = ChildProcess("parent", [sys.executable, "-c", sys.argv[2]], log_path=log)
parent.start()
print("parent", parent.pid, flush=True)
time.sleep(600)
"""

# As above, but it takes signals as `make up` does, and starts one program after the other.
INTERRUPTED = """
import sys, time
from pathlib import Path
from deploy.local import interrupts
from deploy.local.process import ChildProcess
interrupts.raise_on_signals()
started = []
try:
    print("begins", flush=True)
    while True:
        process = ChildProcess("sleep", ["sleep", "600"], log_path=Path(sys.argv[1]))
        started.append(process)
        process.start()
        print("started", process.pid, flush=True)
except interrupts.Interrupted as interrupted:
    with interrupts.held():
        for process in started:
            process.stop()
    print("stopped by", interrupted, flush=True)
"""


def _pids(output: str, word: str) -> list[int]:
    lines = [line.split() for line in output.splitlines()]
    return [int(line[1]) for line in lines if line[:1] == [word] and len(line) == 2]


@pytest.fixture
def parent(start_stage: StartStage) -> StageProcess:
    """A running process with a child in another session."""
    stage = start_stage("parent", [sys.executable, "-c", PARENT], {})
    eventually(lambda: _pids(stage.output(), "child"))
    return stage


def test_kill_ends_children_in_other_sessions_too(parent: StageProcess) -> None:
    child = _pids(parent.output(), "child")[0]

    parent.kill()

    assert not parent.is_running
    assert not process_table.is_alive(child)


def test_a_suspended_process_can_be_stopped(parent: StageProcess) -> None:
    parent.suspend()

    parent.stop(timeout_seconds=10.0)

    assert parent.exit_code == -signal.SIGTERM


def test_a_suspended_process_does_nothing_more_until_it_is_resumed(
    start_stage: StartStage, tmp_path: Path
) -> None:
    counted = tmp_path / "counted"
    stage = start_stage("busy", [sys.executable, "-c", BUSY, str(counted)], {})
    for _ in range(20):
        before = counted.stat().st_size if counted.exists() else 0
        eventually(lambda: counted.exists() and counted.stat().st_size > before)  # noqa: B023

        stage.suspend()

        size = counted.stat().st_size
        time.sleep(0.02)
        assert counted.stat().st_size == size
        stage.resume()


def test_a_process_that_ignores_the_signal_is_killed_after_the_time_given(
    start_stage: StartStage,
) -> None:
    script = "trap '' TERM; echo deaf; while true; do sleep 0.1; done"
    stage = start_stage("deaf", ["sh", "-c", script], {})
    eventually(lambda: "deaf" in stage.output())

    stage.stop(timeout_seconds=0.5)

    assert stage.exit_code == -signal.SIGKILL


def test_output_begins_anew_with_each_start_and_the_log_keeps_all(tmp_path: Path) -> None:
    process = ChildProcess("echo", ["sh", "-c", "echo $$"], log_path=tmp_path / "log")
    outputs = []
    for _ in range(2):
        process.start()
        assert process.wait(10.0) == 0
        outputs.append(process.output())

    assert outputs[0] != outputs[1]
    assert (tmp_path / "log").read_text() == "".join(outputs)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = ChildProcess("stage", [str(tmp_path / "nothing")], log_path=tmp_path / "log")

    with pytest.raises(CannotStart, match="cannot start stage"):
        process.start()


def test_what_was_started_ends_when_its_starter_is_killed(
    start_stage: StartStage, tmp_path: Path
) -> None:
    log = tmp_path / "parent.log"
    starter = start_stage("starter", [sys.executable, "-c", STARTER, str(log), PARENT], {})
    parent = eventually(lambda: _pids(starter.output(), "parent"))[0]
    child = eventually(lambda: log.exists() and _pids(log.read_text(), "child"))
    assert child

    # The signal goes to the starter alone; `kill` would end all below it as well.
    starter.send_signal(signal.SIGKILL)

    eventually(lambda: not process_table.is_alive(parent))
    eventually(lambda: not process_table.is_alive(child[0]))


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_starting_leaves_nothing_behind(
    start_stage: StartStage, tmp_path: Path, signal_number: signal.Signals
) -> None:
    log = tmp_path / "sleep.log"
    starter = start_stage("starter", [sys.executable, "-c", INTERRUPTED, str(log)], {})
    eventually(lambda: _pids(starter.output(), "started"))

    starter.send_signal(signal_number)
    starter.send_signal(signal_number)

    assert starter.wait(30.0) == 0
    assert f"stopped by {signal_number.name}" in starter.output()
    assert not [pid for pid in _pids(starter.output(), "started") if process_table.is_alive(pid)]
