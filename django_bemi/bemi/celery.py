"""Let the context travel with Celery's tasks; connected by the app where Celery is installed.

Who publishes a task puts the context in force into the message's header `bemi_context`; the
worker puts it in force again while the task runs, with the task's name and id beside it. So the
changes of a task say which request it was that asked for it. A retry, and what a task itself
publishes, carries it on.

Signals: Celery manual, "Signals" (before_task_publish, task_prerun, task_postrun).
"""

from __future__ import annotations

import json
import logging
from contextvars import Token
from typing import Any

from celery.signals import before_task_publish, task_postrun, task_prerun

from bemi.context_api import current_context
from bemi.context_variable import bemi_context_var
from bemi.statements import encode_json

HEADER = "bemi_context"
MAX_HEADER_SIZE = 64_000
"""The longest context that is sent along, in characters: brokers bound their headers."""

TASK_KEY = "task"
TASK_ID_KEY = "task_id"

_TOKEN = "_bemi_token"  # noqa: S105 - a ContextVar's token, and the attribute that keeps it.

log = logging.getLogger(__name__)


def connect() -> None:
    """Connect to Celery's signals; more than once does no harm."""
    for signal, receiver in (
        (before_task_publish, send_context),
        (task_prerun, begin_task),
        (task_postrun, end_task),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"bemi.{receiver.__name__}")


def send_context(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Put the context in force into the headers of a task that is being published.

    Whatever is wrong with the context, the task is published.
    """
    if headers is None or HEADER in headers or not (context := current_context()):
        return
    try:
        encoded = encode_json(context)
    except Exception:
        log.exception("cannot encode the context, the task goes without it")
        return
    if len(encoded) > MAX_HEADER_SIZE:
        log.warning("the context is longer than %d characters and not sent", MAX_HEADER_SIZE)
        return
    headers[HEADER] = encoded


def begin_task(task_id: str | None = None, task: Any = None, **_: Any) -> None:
    """Put the context that came with the task in force, and the task itself beside it.

    A task that is run in place (task_always_eager) has that of its caller.
    """
    context = _carried(getattr(task.request, HEADER, None)) or current_context()
    token = bemi_context_var.set({**context, TASK_KEY: task.name, TASK_ID_KEY: task_id})
    setattr(task.request, _TOKEN, token)


def end_task(task: Any = None, **_: Any) -> None:
    """Put back what was in force before the task."""
    token: Token[Any] | None = getattr(task.request, _TOKEN, None)
    if token is not None:
        setattr(task.request, _TOKEN, None)
        bemi_context_var.reset(token)


def _carried(encoded: object) -> dict[str, Any]:
    if not isinstance(encoded, str):
        return {}
    try:
        context = json.loads(encoded)
    except ValueError:
        log.warning("a task came with a context that is not JSON, and goes without it")
        return {}
    return context if isinstance(context, dict) else {}
