"""Put each request's context in force, and send it along with what the request writes.

Two parts that meet in the context variable only: the middleware knows requests, the rest knows
statements. That sits on every connection, not on a request, so writes of threads, commands and
async views are covered wherever the variable has a value.

The names of this module are public: sites import and tests replace them here.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from typing import Any, cast

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from bemi import conf, cursors, statements
from bemi.context_variable import (
    aiterate_in_context,
    bemi_context_var,
    context_in_force,
    iterate_in_context,
)
from bemi.recorded_sql import recorded_sql

__all__ = [
    "MAX_CONTEXT_SIZE",
    "BemiDBWrapper",
    "BemiMiddleware",
    "bemi_context_var",
    "get_bemi_context",
    "logger",
]

MAX_CONTEXT_SIZE = 1_000_000
"""The longest comment sent, in characters: beyond it first the SQL is left out, then values."""

ERROR_KEY = "bemi_error"
"""The key under which a change says why it has no context of its own."""

logger = logging.getLogger(__name__)

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]


def get_bemi_context(request: HttpRequest) -> Any:
    """Return what BEMI_CONTEXT_FUNCTION gives for the request, or {} where it is not set.

    For sync code: a coroutine function is run to its end. Raises what the function raises.
    """
    function = conf.context_function()
    if function is None:
        return {}
    found = function(request)
    if inspect.isawaitable(found):
        return async_to_sync(_awaited)(found)
    return found


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found


class BemiMiddleware(MiddlewareMixin):
    """Keep the request's context in force while its response is made, streamed parts too.

    Works in sync and in async stacks. Whatever the context function does wrong, the request
    goes on, with a context that says so. After the request the context is as it was before, so
    nothing of it reaches the next request of the same thread or task.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        watch_connections()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Answer the request, or return the coroutine that does in an async stack."""
        if self._is_async:
            return self._answer_async(request)
        context = _context_or_error(request)
        with context_in_force(context):
            response: Any = self.get_response(request)
        return _streaming_in_context(response, context)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        context = await _acontext_or_error(request)
        with context_in_force(context):
            response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        return _streaming_in_context(response, context)


def _context_or_error(request: HttpRequest) -> dict[Any, Any]:
    try:
        return _dict_or_error(get_bemi_context(request))
    except Exception as error:
        return _failed(error)


async def _acontext_or_error(request: HttpRequest) -> dict[Any, Any]:
    try:
        function = conf.context_function()
        if function is not None and iscoroutinefunction(function):
            return _dict_or_error(await function(request))
        # A sync function may ask the database who the user is, which async code must not.
        return _dict_or_error(await sync_to_async(get_bemi_context)(request))
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> dict[Any, Any]:
    logger.error(
        "BEMI_CONTEXT_FUNCTION failed, the request goes on without its context", exc_info=error
    )
    # Not its text, which may hold anything.
    return {ERROR_KEY: f"BEMI_CONTEXT_FUNCTION raised {type(error).__name__}"}


def _dict_or_error(found: object) -> dict[Any, Any]:
    if isinstance(found, dict):
        return found
    if found is None:
        return {}
    logger.error("BEMI_CONTEXT_FUNCTION must return a dict, not %s", type(found).__name__)
    return {ERROR_KEY: f"BEMI_CONTEXT_FUNCTION returned {type(found).__name__}, not a dict"}


def _streaming_in_context(response: HttpResponseBase, context: dict[Any, Any]) -> HttpResponseBase:
    if not context or not isinstance(response, StreamingHttpResponse):
        return response
    if isinstance(response, FileResponse) and response.file_to_stream is not None:
        # A file is read, not computed, and the server may send it by itself.
        return response
    content: Any = response.streaming_content
    response.streaming_content = (
        aiterate_in_context(aiter(content), context)
        if response.is_async
        else iterate_in_context(iter(content), context)
    )
    return response


class BemiDBWrapper:
    """Add the context in force to each statement that may change rows.

    An execute wrapper (Django manual, "Database instrumentation"). Whatever goes wrong with
    the context, the statement is executed once, as it was given; what the database raises
    passes unchanged.
    """

    def __call__(
        self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        """Execute the statement, with its context where there is one."""
        if bemi_context_var.get(None) and context["connection"].vendor == "postgresql":
            # The driver's cursor: what a composed statement is made text by.
            cursor = getattr(context.get("cursor"), "cursor", None)
            sql = cursors.with_comment(sql, params, cursor, _find_comment)
        return execute(sql, params, many, context)


def _find_comment(sql: Any, cursor: Any, has_placeholders: bool) -> tuple[str, str] | None:
    """Return the statement as text and its comment; None where it needs none."""
    context = bemi_context_var.get(None)
    if not context or not isinstance(context, dict):
        return None
    try:
        text = sql if type(sql) is str else _text(sql, cursor)
        if text is None:
            return None
        settings = conf.of_statements()
        recorded = (_look_again if len(text) <= _LONGEST_KEPT else _look)(text, settings)
        if recorded is None:
            return None
        form = statements.Form(MAX_CONTEXT_SIZE, settings.context_key, has_placeholders)
        comment = _comment(context, recorded, form)
    except Exception:
        logger.exception("cannot look at a statement, it goes without its context")
        return None
    return None if comment is None else (text, comment)


def _look(sql: str, settings: conf.OfStatements) -> str | None:
    """Return what is recorded of a statement, None where it needs no context."""
    if not statements.may_write(sql) or statements.carries_comment(sql):
        return None
    return recorded_sql(
        sql,
        max_length=settings.sql_max_length,
        key_column=_key_columns().get,
        whole=settings.whole_sql,
        redact_literals=settings.redact_sql_literals,
    )


_look_again = lru_cache(maxsize=1024)(_look)
_LONGEST_KEPT = 4096  # characters: a site sends the same short statements again and again.


@cache
def _key_columns() -> dict[str, str | None]:
    return {model._meta.db_table: model._meta.pk.column for model in apps.get_models()}


def _comment(context: dict[Any, Any], recorded: str, form: statements.Form) -> str | None:
    """Return the comment to send: with the context, else with why there is none."""
    try:
        comment = statements.encode_context(context, recorded, form)
        if comment is not None:
            return comment
        problem = f"the context is longer than {form.max_size} characters"
    except Exception as error:
        problem = f"the context cannot be encoded: {type(error).__name__}"
        logger.exception("cannot encode the context")
    logger.warning("a statement goes without its context: %s", problem)
    return statements.encode_context({ERROR_KEY: problem}, recorded, form)


def _text(sql: Any, cursor: Any) -> str | None:
    """Return a statement as text, or None for what is no statement of any known kind."""
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode("utf-8", "surrogateescape")
    if hasattr(sql, "as_string"):
        # A Composable of psycopg, 3 or 2, known by its method: no driver is imported here.
        text: str = sql.as_string(cursor)
        return text
    return None


def watch_connections() -> None:
    """Let every PostgreSQL connection add the context, those open now and those to come.

    May be called again: no statement ever gets two comments.
    """
    connection_created.connect(_watch_connection, dispatch_uid="bemi.watch_connection")
    for connection in connections.all(initialized_only=True):
        _watch_connection(type(connection), connection)


def _watch_connection(
    sender: type[BaseDatabaseWrapper], connection: BaseDatabaseWrapper, **kwargs: object
) -> None:
    if connection.vendor != "postgresql" or connection.connection is None:
        return
    if cursors.carry_context(connection.connection, _find_comment):
        return
    wrappers = connection.execute_wrappers
    if not any(isinstance(wrapper, BemiDBWrapper) for wrapper in wrappers):
        # First, because `execute_wrapper` takes the last one away when its block ends.
        wrappers.insert(0, BemiDBWrapper())
