"""Whoever runs the code, a server of either kind, a thread or a program: its changes say so."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path

import bemi
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.conftest import run_async
from tests.integration.django_bemi.test_capture import Item
from tests.integration.django_bemi.wal import Wal

HERE = "tests.integration.django_bemi.test_requests"

pytestmark = pytest.mark.usefixtures("site")


def context_of(request: HttpRequest) -> dict[str, Any]:
    return {"endpoint": request.path}


async def context_later(request: HttpRequest) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"endpoint": request.path}


def context_of_database(request: HttpRequest) -> dict[str, Any]:
    """Ask the database who it is, as one that looks at request.user does."""
    return {"endpoint": request.path, "items": Item.objects.count()}


def sync_view(request: HttpRequest, name: str) -> HttpResponse:
    Item.objects.create(name=name)
    return HttpResponse()


async def async_view(request: HttpRequest, name: str) -> HttpResponse:
    await Item.objects.acreate(name=name)
    bemi.merge_context(more=1)
    await sync_to_async(Item.objects.filter(name=name).update)(amount=1)
    return HttpResponse()


def streaming_view(request: HttpRequest, name: str) -> StreamingHttpResponse:
    def body() -> Iterator[str]:
        yield Item.objects.create(name=name).name

    return StreamingHttpResponse(body())


async def async_streaming_view(request: HttpRequest, name: str) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[str]:
        yield (await Item.objects.acreate(name=name)).name

    return StreamingHttpResponse(body())


urlpatterns = [
    path("sync/<str:name>/", sync_view),
    path("async/<str:name>/", async_view),
    path("streaming/<str:name>/", streaming_view),
    path("async-streaming/<str:name>/", async_streaming_view),
]


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = HERE
    settings.MIDDLEWARE = ["bemi.BemiMiddleware"]
    settings.BEMI_CONTEXT_FUNCTION = f"{HERE}.context_of"


def ask_wsgi(url: str) -> None:
    b"".join(cast(Any, Client().get(url)))


def ask_asgi(url: str) -> None:
    async def ask() -> None:
        response: Any = await AsyncClient().get(url)
        if response.streaming:
            async for _ in response:
                pass

    run_async(ask())


SERVERS = {"wsgi": ask_wsgi, "asgi": ask_asgi}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("function", ["context_of", "context_later", "context_of_database"])
def test_views_of_either_kind_write_with_their_requests_context(
    wal: Wal, settings: Any, server: str, function: str
) -> None:
    settings.BEMI_CONTEXT_FUNCTION = f"{HERE}.{function}"
    SERVERS[server]("/sync/a/")
    SERVERS[server]("/async/b/")
    contexts = wal.contexts()
    assert [found["endpoint"] for found in contexts] == ["/sync/a/", "/async/b/", "/async/b/"]
    assert [found.get("more") for found in contexts] == [None, None, 1]


@pytest.mark.parametrize(
    ("server", "url"), [("wsgi", "/streaming/a/"), ("asgi", "/async-streaming/a/")]
)
def test_a_streamed_body_writes_with_its_requests_context(wal: Wal, server: str, url: str) -> None:
    SERVERS[server](url)
    assert [found["endpoint"] for found in wal.contexts()] == [url]


def test_many_requests_at_once_keep_their_contexts_apart(wal: Wal) -> None:
    async def ask_all() -> None:
        await asyncio.gather(*(AsyncClient().get(f"/async/{n}/") for n in range(20)))

    run_async(ask_all())
    found = [entry for entry in wal.contexts() if entry["SQL"].startswith("INSERT")]
    names = sorted(Item.objects.values_list("name", flat=True))
    assert sorted(entry["endpoint"] for entry in found) == [f"/async/{name}/" for name in names]
    assert len(names) == 20


def test_a_request_in_one_transaction_may_say_more_on_its_way(wal: Wal) -> None:
    with bemi.context(user_id=7), transaction.atomic():
        Item.objects.create(name="one")
        with bemi.context(step="inner"):
            Item.objects.create(name="two")
        Item.objects.create(name="three")
    assert [(c["user_id"], c.get("step")) for c in wal.contexts()] == [
        (7, None),
        (7, "inner"),
        (7, None),
    ]


@bemi.context(job="import")
def job(name: str) -> None:
    """Write, as the body of an RQ job or of a thread does."""
    try:
        Item.objects.create(name=name)
    finally:
        connections.close_all()


def test_a_decorated_job_has_its_context_in_whatever_thread_runs_it(wal: Wal) -> None:
    thread = threading.Thread(target=job, args=["thread"])
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(job, "pool").result()
        with bemi.context(user_id=7):
            # A pool's thread begins with nothing; what is in force here is given along.
            pool.submit(contextvars.copy_context().run, job, "with the caller's").result()
            pool.submit(job, "without").result()
    found = [(context["job"], context.get("user_id")) for context in wal.contexts()]
    assert found == [("import", None), ("import", None), ("import", 7), ("import", None)]


def test_a_program_says_which_command_it_was(wal: Wal, site: Database, tmp_path: Path) -> None:
    Item.objects.create(name="there")
    wal.read()
    code = "from django.db import connection as c; c.cursor().execute('DELETE FROM item')"
    manage = Path(__file__).parents[3] / "example" / "manage.py"
    subprocess.run(
        [sys.executable, str(manage), "shell", "-c", code],
        env={**os.environ, **site.environ},
        check=True,
        cwd=tmp_path,
    )
    assert [context["command"] for context in wal.contexts()] == ["shell"]
