"""Alive by progress, ready by what a stage says and by what it needs."""

from __future__ import annotations

import threading

import pytest

from runtime.health import Health, RemindedCheck, StopEvent


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(10.0, clock)


def test_a_loop_that_has_not_turned_for_too_long_is_not_alive(health: Health, clock: Clock) -> None:
    clock.now += 10.0
    assert health.why_not_alive() is None
    clock.now += 1.0
    assert health.why_not_alive() == "the main loop has not turned for 11 seconds"
    assert "progress" in health.why_not_ready()


def test_a_wait_that_the_loop_chose_is_no_standing_still(health: Health, clock: Clock) -> None:
    health.turned(wait_seconds=60.0)
    clock.now += 65.0
    assert health.why_not_alive() is None
    clock.now += 10.0
    assert health.why_not_alive() is not None


def test_a_stage_that_waits_is_alive_and_not_ready(health: Health) -> None:
    assert dict(health.why_not_ready()) == {"stage": "starting"}
    health.ready()
    assert not health.why_not_ready()
    assert health.is_ready
    health.not_ready("Kafka is away")
    assert dict(health.why_not_ready()) == {"stage": "Kafka is away"}
    assert health.why_not_alive() is None


def test_what_a_stage_needs_counts_for_being_ready(health: Health) -> None:
    answers: list[str | None] = ["no broker answers", None]
    health.ready()
    health.check_also("kafka", lambda: answers.pop(0))
    assert dict(health.why_not_ready()) == {"kafka": "no broker answers"}
    assert not health.why_not_ready()


def test_looking_at_the_stop_event_shows_that_the_loop_turns(health: Health, clock: Clock) -> None:
    stopping = StopEvent(health)
    clock.now += 50.0
    assert not stopping.is_set()
    assert health.seconds_since_turn() == 0.0


def test_another_thread_that_looks_says_nothing_of_the_main_loop(
    health: Health, clock: Clock
) -> None:
    stopping = StopEvent(health)
    clock.now += 50.0
    other = threading.Thread(target=lambda: (stopping.is_set(), stopping.wait(0)))
    other.start()
    other.join()
    assert health.why_not_alive() is not None


def test_waiting_for_the_stop_event_ends_when_it_is_set(health: Health) -> None:
    stopping = StopEvent(health)
    assert not stopping.wait(0)
    threading.Timer(0.01, stopping.set).start()
    assert stopping.wait(10)
    assert stopping.is_set()


def test_a_check_is_made_once_for_many_who_ask(clock: Clock) -> None:
    asked: list[float] = []

    def check() -> str | None:
        asked.append(clock.now)
        return f"asked at {clock.now:g}"

    reminded = RemindedCheck(check, 3.0, clock)
    assert reminded() == reminded() == "asked at 100"
    clock.now += 3.0
    assert reminded() == "asked at 103"
    assert asked == [100.0, 103.0]
