"""The variable that holds the context of what runs now.

A ContextVar, so every thread and every asyncio task has its own, and asgiref carries it to
the threads in which async code reaches the database. Whoever sets it resets it: a value
left behind would be written to the changes of the next request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

ItemT = TypeVar("ItemT")

bemi_context_var: ContextVar[Any] = ContextVar("bemi_context")
"""The context in force. Without a value, or with one that is no dict, nothing is sent."""


@contextmanager
def context_in_force(context: object) -> Iterator[None]:
    """Put a context in force, and back what was there before, also when the block raises."""
    token = bemi_context_var.set(context)
    try:
        yield
    finally:
        bemi_context_var.reset(token)


def iterate_in_context(items: Iterator[ItemT], context: object) -> Iterator[ItemT]:
    """Yield the items, each of them computed with the context in force.

    Between two items it is not in force, so whoever iterates never sees it.
    """
    while True:
        with context_in_force(context):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


async def aiterate_in_context(items: AsyncIterator[ItemT], context: object) -> AsyncIterator[ItemT]:
    """Do as `iterate_in_context` does, for an async iterator."""
    while True:
        with context_in_force(context):
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
        yield item
