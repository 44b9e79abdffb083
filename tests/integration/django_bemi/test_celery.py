"""The context on its way through Celery: a real worker, whose broker is this process's memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging

import bemi

RESULT_SECONDS = 20

app = Celery("tests", broker="memory://", backend="cache+memory://")
app.conf.broker_transport_options = {"polling_interval": 0.01}


# Celery leaves logging to whoever answers; configured by it, the log of other tests is gone.
@setup_logging.connect(weak=False)
def leave_logging_alone(**_: Any) -> None: ...


@app.task(name="tests.read_context")
def read_context() -> dict[str, Any]:
    return bemi.current_context()


@app.task(name="tests.ask_again")
def ask_again() -> str:
    with bemi.context(step="inner"):
        return str(read_context.delay().id)


@app.task(name="tests.fail_once", bind=True, max_retries=1)
def fail_once(self: Any) -> dict[str, Any]:
    if self.request.retries == 0:
        bemi.merge_context(left_behind=True)
        raise self.retry(countdown=0)
    return bemi.current_context()


@pytest.fixture(scope="module", autouse=True)
def worker() -> Iterator[None]:
    # One thread that serves task after task: a context left behind would show in the next.
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=10):
        yield


def result_of(task_id: str) -> Any:
    return app.AsyncResult(task_id).get(timeout=RESULT_SECONDS, disable_sync_subtasks=False)


def test_a_task_has_the_context_of_who_asked_for_it_and_its_own() -> None:
    with bemi.context(user_id=7, when={"nested": [1]}):
        asked = read_context.delay()
    assert result_of(asked.id) == {
        "user_id": 7,
        "when": {"nested": [1]},
        "task": "tests.read_context",
        "task_id": asked.id,
    }


def test_a_task_without_anybodys_context_has_its_own_only() -> None:
    with bemi.context(user_id=7):
        first = read_context.delay()
    second = read_context.delay()
    assert result_of(first.id)["user_id"] == 7
    assert result_of(second.id) == {"task": "tests.read_context", "task_id": second.id}


def test_a_task_that_a_task_asks_for_carries_the_context_on() -> None:
    with bemi.context(user_id=7):
        inner_id = result_of(ask_again.delay().id)
    assert result_of(inner_id) == {
        "user_id": 7,
        "step": "inner",
        "task": "tests.read_context",
        "task_id": inner_id,
    }


def test_a_retry_keeps_the_context() -> None:
    with bemi.context(user_id=7):
        asked = fail_once.delay()
    assert result_of(asked.id)["user_id"] == 7


def test_a_task_run_in_place_adds_to_its_callers_context_and_gives_it_back() -> None:
    with bemi.context(user_id=7):
        found = read_context.apply().get()
        assert found["user_id"] == 7
        assert found["task"] == "tests.read_context"
        assert bemi.current_context() == {"user_id": 7}


def test_a_context_that_no_header_can_hold_does_not_stop_the_task() -> None:
    with bemi.context(long="x" * 100_000):
        asked = read_context.delay()
    assert result_of(asked.id) == {"task": "tests.read_context", "task_id": asked.id}
