"""The context is in force during a request, all of it, and never after."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from bemi import BemiMiddleware, get_bemi_context
from bemi.context_variable import bemi_context_var

HERE = "tests.unit.django_bemi.test_middleware"


def path_and_method(request: HttpRequest) -> dict[str, Any]:
    return {"endpoint": request.path, "method": request.method}


async def path_later(request: HttpRequest) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"endpoint": request.path}


def failing(request: HttpRequest) -> dict[str, Any]:
    raise RuntimeError("the context function is broken")


def no_dict(request: HttpRequest) -> Any:
    return "text"


def seen() -> Any:
    return bemi_context_var.get(None)


@pytest.fixture
def context_function(settings: Any) -> Any:
    def use(name: str | None) -> None:
        settings.BEMI_CONTEXT_FUNCTION = name and f"{HERE}.{name}"

    use("path_and_method")
    return use


def answer(path: str = "/a/", view: Any = None) -> Any:
    """Return what the view saw, through the middleware in a sync stack."""
    found: list[Any] = []

    def get_response(request: HttpRequest) -> HttpResponse:
        found.append(seen())
        return HttpResponse() if view is None else view(request)

    response = BemiMiddleware(get_response)(RequestFactory().get(path))
    return found[0], response


def answer_async(path: str = "/a/", view: Any = None) -> Any:
    """Return what the view saw, through the middleware in an async stack."""
    found: list[Any] = []

    async def get_response(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        found.append(seen())
        return HttpResponse() if view is None else view(request)

    async def run() -> Any:
        response = await BemiMiddleware(get_response)(RequestFactory().get(path))
        assert seen() is None
        chunks = None
        if response.streaming:
            chunks = [chunk async for chunk in response]
        assert seen() is None
        return found[0], response, chunks

    return asyncio.run(run())


@pytest.mark.usefixtures("context_function")
def test_a_sync_view_runs_with_the_context_of_its_request() -> None:
    assert answer("/a/")[0] == {"endpoint": "/a/", "method": "GET"}
    assert seen() is None


@pytest.mark.usefixtures("context_function")
def test_an_async_view_runs_with_the_context_of_its_request() -> None:
    assert answer_async("/a/")[0] == {"endpoint": "/a/", "method": "GET"}


def test_an_async_context_function_serves_both_stacks(context_function: Any) -> None:
    context_function("path_later")
    assert answer("/a/")[0] == {"endpoint": "/a/"}
    assert answer_async("/b/")[0] == {"endpoint": "/b/"}


@pytest.mark.parametrize(
    ("name", "error"), [("failing", "RuntimeError"), ("missing", "ImportError")]
)
def test_a_context_function_that_fails_is_logged_and_the_context_says_so(
    context_function: Any, name: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    context_function(name)
    says_so = {"bemi_error": f"BEMI_CONTEXT_FUNCTION raised {error}"}
    assert answer()[0] == says_so
    assert answer_async()[0] == says_so
    records = [record for record in caplog.records if record.name == "bemi.middleware"]
    assert [record.levelno for record in records] == [logging.ERROR, logging.ERROR]


def test_a_context_that_is_no_dict_is_logged_and_the_context_says_so(
    context_function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    context_function("no_dict")
    assert answer()[0] == {"bemi_error": "BEMI_CONTEXT_FUNCTION returned str, not a dict"}
    assert "must return a dict, not str" in caplog.text


def test_without_a_context_function_the_context_is_empty(context_function: Any) -> None:
    context_function(None)
    assert get_bemi_context(RequestFactory().get("/")) == {}
    assert answer()[0] == {}


@pytest.mark.usefixtures("context_function")
def test_the_context_is_gone_after_a_view_that_raises() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  (any would do)
        answer(view=view)
    assert seen() is None


@pytest.mark.usefixtures("context_function")
def test_what_a_view_leaves_in_the_variable_does_not_reach_the_next_request() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        bemi_context_var.set({"left": "behind"})
        return HttpResponse()

    answer(view=view)
    assert seen() is None


@pytest.mark.usefixtures("context_function")
def test_a_request_inside_a_context_gives_it_back() -> None:
    token = bemi_context_var.set({"command": "outer"})
    try:
        assert answer("/a/")[0]["endpoint"] == "/a/"
        assert seen() == {"command": "outer"}
    finally:
        bemi_context_var.reset(token)


@pytest.mark.usefixtures("context_function")
def test_threads_do_not_see_each_others_context() -> None:
    found: dict[str, Any] = {}
    together = threading.Barrier(4)

    def view(request: HttpRequest) -> HttpResponse:
        together.wait(10)
        found[request.path] = seen()["endpoint"]
        return HttpResponse()

    threads = [
        threading.Thread(target=answer, args=(f"/{n}/", view), name=str(n)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"/{n}/": f"/{n}/" for n in range(4)}


@pytest.mark.usefixtures("context_function")
def test_tasks_of_one_loop_do_not_see_each_others_context() -> None:
    async def get_response(request: HttpRequest) -> HttpResponse:
        for _ in range(5):
            await asyncio.sleep(0)
            assert seen()["endpoint"] == request.path
        return HttpResponse()

    async def run() -> None:
        middleware = BemiMiddleware(get_response)
        requests = [RequestFactory().get(f"/{n}/") for n in range(5)]
        await asyncio.gather(*(middleware(request) for request in requests))

    asyncio.run(run())


@pytest.mark.usefixtures("context_function")
def test_a_streaming_body_is_made_with_the_context_and_the_reader_never_sees_it() -> None:
    def body() -> Iterator[str]:
        for _ in range(2):
            yield seen()["endpoint"]

    _, response = answer("/s/", lambda request: StreamingHttpResponse(body()))
    chunks = []
    for chunk in response:
        assert seen() is None
        chunks.append(chunk)
    assert chunks == [b"/s/", b"/s/"]
    response.close()


@pytest.mark.usefixtures("context_function")
def test_an_async_streaming_body_is_made_with_the_context() -> None:
    async def body() -> AsyncIterator[str]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield seen()["endpoint"]

    _, _, chunks = answer_async("/s/", lambda request: StreamingHttpResponse(body()))
    assert chunks == [b"/s/", b"/s/"]


@pytest.mark.usefixtures("context_function")
def test_a_body_that_fails_leaves_no_context_behind() -> None:
    def body() -> Iterator[str]:
        yield "a"
        raise RuntimeError("the body is broken")

    _, response = answer("/s/", lambda request: StreamingHttpResponse(body()))
    with pytest.raises(RuntimeError, match="broken"):
        list(response)
    assert seen() is None


@pytest.mark.usefixtures("context_function")
def test_a_file_is_left_to_the_server_to_send(tmp_path: Any) -> None:
    file = tmp_path / "file.txt"
    file.write_bytes(b"content")
    _, response = answer("/f/", lambda request: FileResponse(file.open("rb")))
    assert response.file_to_stream is not None
    assert b"".join(cast(Any, response)) == b"content"
    response.close()
