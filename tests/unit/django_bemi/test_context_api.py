"""Contexts put in force by hand: nested, in threads and tasks, and always given back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

import bemi
from bemi.context_variable import bemi_context_var

Values = dict[str, Any]
small_contexts = st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3)


@pytest.fixture(autouse=True)
def nothing_in_force() -> Iterator[None]:
    token = bemi_context_var.set(None)
    yield
    assert bemi.current_context() == {}, "a context was left behind"
    bemi_context_var.reset(token)


def test_a_block_adds_to_what_is_in_force_and_gives_it_back() -> None:
    with bemi.context(user=1, job="import") as outer:
        assert outer == {"user": 1, "job": "import"}
        with bemi.context({"job": "clean up", "not a name": True}):
            assert bemi.current_context() == {"user": 1, "job": "clean up", "not a name": True}
        assert bemi.current_context() == {"user": 1, "job": "import"}


def test_a_block_that_raises_gives_back_too() -> None:
    with bemi.context(user=1):
        with pytest.raises(ZeroDivisionError), bemi.context(user=2):
            raise ZeroDivisionError
        assert bemi.current_context() == {"user": 1}


def test_only_begins_with_nothing() -> None:
    with bemi.context(user=1):
        with bemi.context(only=True):
            assert bemi.current_context() == {}
        with bemi.context(only=True, job="x"):
            assert bemi.current_context() == {"job": "x"}


def test_what_is_set_or_merged_in_a_block_ends_with_the_block() -> None:
    with bemi.context(user=1):
        bemi.merge_context(step=1)
        bemi.merge_context({"step": 2})
        assert bemi.current_context() == {"user": 1, "step": 2}
        bemi.set_context({"user": 2})
        assert bemi.current_context() == {"user": 2}


def test_what_current_context_returns_may_be_changed_without_effect() -> None:
    with bemi.context(user=1):
        bemi.current_context()["user"] = 2
        assert bemi.current_context() == {"user": 1}


@pytest.mark.parametrize("wrong", [["user", 1], "user", 7])
def test_what_is_no_mapping_is_refused_at_once(wrong: Any) -> None:
    for use in (bemi.context, bemi.set_context, bemi.merge_context):
        with pytest.raises(TypeError, match="a mapping of names to values, not"):
            use(wrong)


def test_one_block_may_be_entered_again_while_it_is_open() -> None:
    block = bemi.context(depth=1)
    with block:
        bemi.merge_context(depth=2)
        with block:
            assert bemi.current_context() == {"depth": 1}
        assert bemi.current_context() == {"depth": 2}


def test_one_block_may_be_shared_by_threads_and_tasks() -> None:
    block = bemi.context(job="shared")

    async def task() -> Values:
        async with block:
            await asyncio.sleep(0)
            return bemi.current_context()

    async def tasks() -> list[Values]:
        return await asyncio.gather(*(task() for _ in range(5)))

    assert asyncio.run(tasks()) == [{"job": "shared"}] * 5


@given(st.lists(st.tuples(st.booleans(), small_contexts), max_size=6))
def test_any_nesting_merges_in_order_and_unwinds(blocks: list[tuple[bool, Values]]) -> None:
    def enter(depth: int, expected: Values) -> None:
        assert bemi.current_context() == expected
        if depth < len(blocks):
            only, values = blocks[depth]
            with bemi.context(values, only=only):
                enter(depth + 1, {**({} if only else expected), **values})
        assert bemi.current_context() == expected

    copy_context().run(enter, 0, {})


@bemi.context(job="decorated")
def _function() -> Values:
    return bemi.current_context()


@bemi.context(job="decorated")
async def _coroutine() -> Values:
    await asyncio.sleep(0)
    return bemi.current_context()


@bemi.context(job="decorated")
def _generator() -> Iterator[Values]:
    yield bemi.current_context()
    yield bemi.current_context()


@bemi.context(job="decorated")
async def _async_generator() -> AsyncIterator[Values]:
    yield bemi.current_context()
    yield bemi.current_context()


def test_each_kind_of_function_can_be_decorated() -> None:
    expected = {"user": 1, "job": "decorated"}
    with bemi.context(user=1):
        assert _function() == expected
        assert asyncio.run(_coroutine()) == expected

        for found in _generator():
            assert found == expected
            # Between two items it is the caller's context that is in force.
            assert bemi.current_context() == {"user": 1}

        async def read_all() -> None:
            async for found in _async_generator():
                assert found == expected
                assert bemi.current_context() == {"user": 1}

        asyncio.run(read_all())
    assert _function.__name__ == "_function"


def test_threads_and_tasks_have_contexts_of_their_own() -> None:
    async def task(number: int) -> Values:
        async with bemi.context(number=number):
            await asyncio.sleep(0)
            return await sync_to_async(bemi.current_context)()

    async def tasks() -> list[Values]:
        return await asyncio.gather(*map(task, range(5)))

    assert asyncio.run(tasks()) == [{"number": number} for number in range(5)]

    seen: list[Values] = []
    with bemi.context(user=1):
        thread = threading.Thread(target=lambda: seen.append(bemi.current_context()))
        thread.start()
        thread.join()
    assert seen == [{}]


def _context_of_request(request: HttpRequest) -> Values:
    return {"path": request.path}


@override_settings(BEMI_CONTEXT_FUNCTION=f"{__name__}._context_of_request")
def test_what_a_view_adds_ends_with_its_request() -> None:
    seen: list[Values] = []

    def view(request: HttpRequest) -> HttpResponse:
        bemi.merge_context(tenant=3)
        with bemi.context(step="pay"):
            seen.append(bemi.current_context())
        return HttpResponse()

    request = HttpRequest()
    request.path = "/orders"
    bemi.BemiMiddleware(view)(request)
    assert seen == [{"path": "/orders", "tenant": 3, "step": "pay"}]
    assert bemi.current_context() == {}
