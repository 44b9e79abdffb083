"""The jobs of test_rq.py: the worker, a process of its own, imports them by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection

import bemi
from tests.django_site import configure

configure()


def insert(name: str, context: Mapping[str, Any]) -> None:
    """Do as docs/django.md tells: the context came along with the job."""
    with bemi.context(context, job="insert"):
        insert_as_it_is(name)


@bemi.context(job="nightly")
def insert_nightly(name: str) -> None:
    """Have a context of its own only."""
    insert_as_it_is(name)


def fail(context: Mapping[str, Any]) -> None:
    """End in the middle of a block."""
    with bemi.context(context, job="fail"):
        raise ValueError("as planned")


def insert_as_it_is(name: str) -> None:
    """Have no context at all, unless another job has left its own behind."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO item (name) VALUES (%s)", [name])
