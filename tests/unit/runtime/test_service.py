"""Exit codes of a stage."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from runtime.errors import DeadLetter, Stop
from runtime.service import run


@pytest.fixture(autouse=True)
def _signals() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_work_that_returns_exits_with_0() -> None:
    assert run(lambda stopping: None) == 0


def test_a_person_must_act_on_2() -> None:
    def work(stopping: threading.Event) -> None:
        raise Stop("do this")

    assert run(work) == 2


def test_a_defect_exits_with_1() -> None:
    def work(stopping: threading.Event) -> None:
        raise ZeroDivisionError

    assert run(work) == 1


def test_sigterm_asks_the_work_to_stop() -> None:
    def work(stopping: threading.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.wait(5)

    assert run(work) == 0


def test_an_error_says_what_its_class_says_unless_told_more() -> None:
    assert "put aside" in str(DeadLetter())
    assert str(DeadLetter("this")) == "this"
