"""Try again what heals by itself, for as long as nobody says stop. Edge: waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from runtime.errors import Retry

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 10.0

log = logging.getLogger(__name__)

T = TypeVar("T")


def until_it_works(stopping: Event, work: Callable[[], T]) -> T | None:
    """Return what the work returns, tried again after each Retry; None when told to stop."""
    return retrying(stopping)(work)


def retrying(
    stopping: Event,
    sleep: Callable[[float], None] | None = None,
    before_sleep: Callable[[RetryCallState], None] | None = None,
) -> Retrying:
    """Return what calls a function again after each Retry, and gives None when told to stop.

    `sleep` is for those who have to do something while they wait, `before_sleep` for those who
    have to clear up; it is to call `log_retry`.
    """
    return Retrying(
        retry=retry_if_exception_type(Retry),
        wait=wait_random_exponential(multiplier=FIRST_RETRY_SECONDS, max=LONGEST_RETRY_SECONDS),
        stop=stop_when_event_set(stopping),
        sleep=sleep or sleep_using_event(stopping),
        before_sleep=before_sleep or log_retry,
        # Told to stop while something is not there: that is no failure.
        retry_error_callback=lambda _state: None,
    )


def log_retry(state: RetryCallState) -> None:
    """Say what failed and when it is tried again."""
    if state.outcome is not None and state.next_action is not None:
        error, seconds = state.outcome.exception(), state.next_action.sleep
        log.warning("%s; trying again in %.1f seconds", error, seconds)
