"""Work that need not be done before the answer: a Celery task, where Celery is installed.

Nothing in it knows of tracking: the context of the request that asked for the work travels with
the task, and the changes say which task it was as well. Without CELERY_BROKER_URL, or without
Celery, the work is done at once.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from example.todo.models import Task


def complete_all() -> int:
    """Mark every task as done, by one statement; return how many were not."""
    return Task.objects.filter(is_completed=False).update(is_completed=True)


complete_all_later: Any = complete_all

if find_spec("celery") is not None:
    from celery import Celery

    broker = os.environ.get("CELERY_BROKER_URL")
    app = Celery("todo", broker=broker or "memory://", set_as_current=False)
    app.conf.task_always_eager = broker is None
    complete_all_later = app.task(name="todo.complete_all")(complete_all).delay
