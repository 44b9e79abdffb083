"""Parts that end are started again, at growing distances, unless a person must act."""

from __future__ import annotations

from itertools import pairwise

from deploy.local.process import CannotStart
from deploy.local.supervisor import LONGEST_DELAY_SECONDS, Supervisor


class FakePart:
    """A part that runs as long as the test says."""

    name = "sink"

    def __init__(self) -> None:
        self.is_running = True
        self.needs_person = False
        self.starts = 0
        self.refuses = False

    def start(self) -> None:
        self.starts += 1
        if self.refuses:
            raise CannotStart("no")
        self.is_running = True

    def stop(self) -> None:
        self.is_running = False

    def log_tail(self, lines: int = 20) -> str:
        return "its last words"


class Lines:
    """What the supervisor has said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def line(self, text: str) -> None:
        self.said.append(text)

    def problem(self, text: str) -> None:
        self.said.append(text)

    def log(self, name: str, tail: str) -> None:
        self.said.append(f"{name} | {tail}")


def _restart_times(part: FakePart, supervisor: Supervisor, until: int) -> list[int]:
    """Let the part end whenever it runs, and return the seconds at which it is started."""
    times = []
    for now in range(until):
        part.is_running = False
        before = part.starts
        supervisor.tend(float(now))
        if part.starts > before:
            times.append(now)
    return times


def test_a_running_part_is_left_alone() -> None:
    part, lines = FakePart(), Lines()

    Supervisor([part], lines).tend(0.0)

    assert part.starts == 0
    assert lines.said == []


def test_the_end_of_the_log_of_a_part_that_ended_is_shown() -> None:
    part, lines = FakePart(), Lines()
    part.is_running = False

    Supervisor([part], lines).tend(0.0)

    assert "sink | its last words" in lines.said


def test_a_part_that_ended_is_started_after_a_moment() -> None:
    part = FakePart()
    supervisor = Supervisor([part], Lines())
    part.is_running = False

    supervisor.tend(0.0)
    assert part.starts == 0
    supervisor.tend(1.0)

    assert part.starts == 1


def test_distances_between_restarts_grow_up_to_a_limit() -> None:
    part = FakePart()

    times = _restart_times(part, Supervisor([part], Lines()), until=300)

    distances = [later - earlier for earlier, later in pairwise(times)]
    assert distances == sorted(distances)
    assert distances[0] < distances[-1] <= LONGEST_DELAY_SECONDS + 1


def test_a_part_that_ran_well_for_long_is_started_quickly_again() -> None:
    part = FakePart()
    supervisor = Supervisor([part], Lines())
    last = _restart_times(part, supervisor, until=300)[-1]
    assert last < 300
    part.is_running = True
    supervisor.tend(300.0)

    part.is_running = False
    supervisor.tend(1000.0)
    starts = part.starts
    supervisor.tend(1001.0)

    assert part.starts == starts + 1


def test_a_part_for_which_a_person_must_act_stays_down_and_the_others_go_on() -> None:
    waiting, other, lines = FakePart(), FakePart(), Lines()
    waiting.name, other.name = "producer", "site"
    waiting.is_running = other.is_running = False
    waiting.needs_person = True
    supervisor = Supervisor([waiting, other], lines)

    for now in range(100):
        supervisor.tend(float(now))

    assert waiting.starts == 0
    assert other.starts == 1
    assert sum("stays down" in line for line in lines.said) == 1


def test_a_start_that_fails_is_tried_again() -> None:
    part = FakePart()
    part.is_running, part.refuses = False, True
    supervisor = Supervisor([part], Lines())
    for now in range(20):
        supervisor.tend(float(now))
    part.refuses = False
    for now in range(20, 80):
        supervisor.tend(float(now))

    assert part.is_running
