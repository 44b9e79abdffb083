"""Put a context in force where there is no request: tasks, commands, scripts, shells.

The same variable as the middleware's, so the two nest: a block inside a request adds to the
request's context and gives it back as it was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar, Token
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction

from bemi.context_variable import (
    aiterate_in_context,
    bemi_context_var,
    context_in_force,
    iterate_in_context,
)

CallableT = TypeVar("CallableT", bound=Callable[..., Any])

# Not in the block itself, which threads and tasks may share.
_open_blocks: ContextVar[tuple[Token[Any], ...]] = ContextVar("bemi_open_blocks", default=())


def current_context() -> dict[str, Any]:
    """Return a copy of the context in force, {} where there is none."""
    found = bemi_context_var.get(None)
    return dict(found) if isinstance(found, Mapping) else {}


def set_context(values: Mapping[str, Any]) -> None:
    """Put the context in force in place of what was, until the enclosing block or request ends.

    Outside of any it stays for the thread or task: in a worker that serves many jobs use
    `context`, which ends. Raises TypeError for what is no mapping.
    """
    bemi_context_var.set(_checked(values))


def merge_context(values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
    """Add to the context in force, as `set_context` puts one there; the later value counts."""
    bemi_context_var.set({**current_context(), **_checked(values or {}), **more})


class context(  # The name of a function: `with bemi.context(...)`, `@bemi.context(...)`.
    AbstractContextManager["dict[str, Any]"], AbstractAsyncContextManager["dict[str, Any]"]
):
    """Add to the context in force for a block or a function, sync or async.

    `with bemi.context(job="import"):`, `async with`, or as a decorator of a function, a
    coroutine function, a generator or an async generator. Nested ones add to each other; at
    the end what was before is in force again, also when the block raises. `only=True` begins
    with nothing instead; with it and no values nothing is sent at all.

    A mapping may be given instead of, or beside, keywords: for keys that are no names. Raises
    TypeError for what is no mapping.
    """

    def __init__(
        self, values: Mapping[str, Any] | None = None, /, *, only: bool = False, **more: Any
    ) -> None:
        self._values = {**_checked(values or {}), **more}
        self._only = only

    def __enter__(self) -> dict[str, Any]:
        """Put it in force and return what is in force now."""
        merged = self._merged()
        _open_blocks.set((*_open_blocks.get(), bemi_context_var.set(merged)))
        return dict(merged)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what was in force before."""
        *outer, token = _open_blocks.get()
        _open_blocks.set(tuple(outer))
        bemi_context_var.reset(token)

    async def __aenter__(self) -> dict[str, Any]:
        """Do as `with` does; the task's context is its own."""
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what was in force before."""
        self.__exit__(exc_type, exc_value, traceback)

    def __call__(self, function: CallableT) -> CallableT:
        """Return the function with its body in the context, whatever kind of function it is.

        What is in force counts when it is called, not when it is decorated.
        """
        inner: Any = function
        outer: Any
        if inspect.isasyncgenfunction(inner):

            def outer(*args: Any, **kwargs: Any) -> Any:
                return aiterate_in_context(inner(*args, **kwargs), self._merged())

        elif inspect.isgeneratorfunction(inner):

            def outer(*args: Any, **kwargs: Any) -> Any:
                return iterate_in_context(inner(*args, **kwargs), self._merged())

        elif iscoroutinefunction(inner):

            async def outer(*args: Any, **kwargs: Any) -> Any:
                with context_in_force(self._merged()):
                    return await inner(*args, **kwargs)

        else:

            def outer(*args: Any, **kwargs: Any) -> Any:
                with context_in_force(self._merged()):
                    return inner(*args, **kwargs)

        return cast(CallableT, wraps(inner)(outer))

    def _merged(self) -> dict[str, Any]:
        return {**({} if self._only else current_context()), **self._values}


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise TypeError(f"a context is a mapping of names to values, not {type(values).__name__}")
    return dict(values)
