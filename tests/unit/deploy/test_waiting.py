"""`eventually` returns what holds and says why it did not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.waiting import eventually


def test_the_first_true_result_is_returned() -> None:
    results: Iterator[object] = iter([0, "", [], "there", "later"])

    assert eventually(lambda: next(results)) == "there"


def test_a_check_that_returns_nothing_holds_once_its_assertions_do() -> None:
    numbers = iter(range(3))

    def check() -> None:
        assert next(numbers) == 2

    eventually(check)
    assert next(numbers, None) is None


def test_the_last_failure_is_raised_at_the_end_of_the_time() -> None:
    def check() -> None:
        raise AssertionError("two rows, not three")

    with pytest.raises(AssertionError, match="two rows, not three"):
        eventually(check, timeout_seconds=0.0)


def test_the_last_result_is_shown_when_it_never_held() -> None:
    with pytest.raises(AssertionError, match=r"still \[\]"):
        eventually(list, timeout_seconds=0.0)


def test_any_other_error_ends_the_wait_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 / 0)
