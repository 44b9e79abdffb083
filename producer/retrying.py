"""Try again what can heal: how often, and after which pauses. Edge: waits.

Properties: errors.max.retries, retriable.restart.connector.wait.ms, slot.max.retries,
slot.retry.delay.ms.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)
from tenacity.stop import stop_base

from producer.connections import MILLISECONDS
from producer.errors import SlotInUse
from producer.settings import ProducerSettings
from runtime.errors import Retry, Stop

LONGEST_PAUSE_SECONDS = 10.0
STANDBY_PAUSE_SECONDS = 1.0  # The most by which a standby is late to take over.
MOST_JITTER_SECONDS = 1.0

T = TypeVar("T")

log = logging.getLogger(__name__)


class StopRequested(Exception):
    """The process is asked to end while it waits."""


def until_it_opens(
    open_session: Callable[[], T], settings: ProducerSettings, stopping: threading.Event
) -> T:
    """Return what opens, tried again after each Retry error.

    Raises Stop after as many attempts as the settings allow, StopRequested once `stopping` is set.
    """

    def give_up(state: RetryCallState) -> NoReturn:
        if stopping.is_set():
            raise StopRequested
        raise Stop(
            f"gave up after {state.attempt_number} attempts (errors.max.retries, "
            f"slot.max.retries): {_error(state)}"
        )

    attempts = Retrying(
        retry=retry_if_exception_type(Retry),
        wait=_pauses(settings),
        stop=stop_any(stop_when_event_set(stopping), *_limits(settings)),
        sleep=sleep_using_event(stopping),
        before_sleep=_SayWhy(),
        retry_error_callback=give_up,
    )
    return attempts(open_session)


class _SayWhy:
    """Logs what is waited for: each attempt, but a standby's waiting only when it begins."""

    def __init__(self) -> None:
        self._said: str | None = None

    def __call__(self, state: RetryCallState) -> None:
        """Log the error of the attempt."""
        error = _error(state)
        if not isinstance(error, SlotInUse):
            log.warning("cannot capture yet, trying again: %s", error)
        elif str(error) != self._said:
            log.info("waiting: %s", error)
        self._said = str(error)


def _limits(settings: ProducerSettings) -> list[stop_base]:
    limits: list[stop_base] = []
    if settings.errors_max_retries >= 0:
        limits.append(stop_after_attempt(settings.errors_max_retries + 1))
    if settings.slot_max_retries >= 0:
        limits.append(_SlotWaits(settings.slot_max_retries))
    return limits


class _SlotWaits(stop_base):
    """Gives up when another reader has held the slot at so many attempts in a row."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen = 0

    def __call__(self, state: RetryCallState) -> bool:
        """Tell whether to stop trying."""
        self._seen = self._seen + 1 if isinstance(_error(state), SlotInUse) else 0
        return self._seen > self._most


def _pauses(settings: ProducerSettings) -> Callable[[RetryCallState], float]:
    first_seconds = settings.retriable_restart_connector_wait_ms / MILLISECONDS
    growing = wait_exponential(multiplier=first_seconds, max=LONGEST_PAUSE_SECONDS)
    usual = growing + wait_random(0, min(first_seconds, MOST_JITTER_SECONDS))

    def pause_seconds(state: RetryCallState) -> float:
        if not isinstance(_error(state), SlotInUse):
            return usual(state)
        if settings.slot_max_retries >= 0:
            return settings.slot_retry_delay_ms / MILLISECONDS
        return min(first_seconds, STANDBY_PAUSE_SECONDS)

    return pause_seconds


def _error(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
