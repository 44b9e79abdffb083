"""How often a session is tried to open, and what ends the trying."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from producer.errors import ConnectionLost, SlotInUse
from producer.retrying import StopRequested, until_it_opens
from producer.settings import ProducerSettings
from runtime.errors import Stop
from runtime.settings import Given


def settings(**values: str) -> ProducerSettings:
    quick = {"retriable_restart_connector_wait_ms": "1", "slot_retry_delay_ms": "1"}
    return ProducerSettings.of({n: Given(n, v) for n, v in {**quick, **values}.items()})


def failing(errors: Sequence[Exception]) -> tuple[Callable[[], str], list[Exception]]:
    """Return an opening that fails with these errors, and those that are still to come."""
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "open"

    return attempt, left


def test_what_can_heal_is_tried_again_until_it_opens() -> None:
    attempt, left = failing([ConnectionLost("gone"), SlotInUse("taken")] * 2)
    assert until_it_opens(attempt, settings(), threading.Event()) == "open"
    assert not left


def test_what_needs_a_person_is_not_tried_again() -> None:
    attempt, left = failing([Stop("wrong"), Stop("wrong")])
    with pytest.raises(Stop, match=r"^wrong$"):
        until_it_opens(attempt, settings(), threading.Event())
    assert len(left) == 1


@pytest.mark.parametrize(
    ("limit", "errors", "attempts"),
    [
        ({"errors_max_retries": "2"}, [ConnectionLost("gone")] * 9, 3),
        ({"slot_max_retries": "2"}, [SlotInUse("taken")] * 9, 3),
        # Only one after the other count as waiting for a slot.
        (
            {"slot_max_retries": "1"},
            [SlotInUse("taken"), ConnectionLost("gone"), *[SlotInUse("taken")] * 9],
            4,
        ),
    ],
)
def test_it_gives_up_after_as_many_attempts_as_are_allowed(
    limit: dict[str, str], errors: list[Exception], attempts: int
) -> None:
    attempt, left = failing(errors)
    with pytest.raises(Stop, match=f"after {attempts} attempts .*: (gone|taken)"):
        until_it_opens(attempt, settings(**limit), threading.Event())
    assert len(errors) - len(left) == attempts


def test_a_request_to_stop_ends_the_trying_before_any_pause() -> None:
    stopping = threading.Event()

    def attempt() -> None:
        stopping.set()
        raise ConnectionLost("gone")

    long = {"retriable_restart_connector_wait_ms": "600000"}
    with pytest.raises(StopRequested):
        until_it_opens(attempt, settings(**long), stopping)
