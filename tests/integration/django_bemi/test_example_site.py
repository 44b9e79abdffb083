"""A newcomer's session in the example site, and what it leaves in the WAL."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.test import AsyncClient, Client

from example.todo.demo_users import DEMO_USERS
from example.todo.models import Task
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.conftest import make_changes_table, run_async
from tests.integration.django_bemi.test_trail import Trail
from tests.integration.django_bemi.wal import Context, RowChange, Wal


@pytest.fixture
def example(empty_site: Database) -> Database:
    call_command("migrate", verbosity=0)
    return empty_site


@pytest.fixture
def example_wal(example: Database, admin: psycopg.Connection[Any]) -> Wal:
    return Wal(admin, f"wal_{example.name}")


@pytest.fixture
def client(example: Database) -> Client:
    """Log in as a person does: with what the login page shows."""
    client = Client(enforce_csrf_checks=True)
    page = client.get("/login/").content.decode()
    for username, password in DEMO_USERS.items():
        assert f"<code>{username}</code>" in page
        assert f"<code>{password}</code>" in page
    username, password = next(iter(DEMO_USERS.items()))
    response = post(client, "/login/", username=username, password=password)
    assert response.headers["Location"] == "/"
    return client


def post(client: Client, path: str, **values: str) -> Any:
    """Send a form with the token of the page it stands on."""
    page = client.get("/login/" if path == "/login/" else "/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token is not None
    response = client.post(path, {"csrfmiddlewaretoken": token.group(1), **values})
    assert response.status_code == 302
    return response


def tasks_in(wal: Wal) -> list[tuple[dict[str, Any], str]]:
    """Return context and operation of each change of a task; each row has its own context."""
    found: list[tuple[dict[str, Any], str]] = []
    context: dict[str, Any] = {}
    for entry in wal.read():
        if isinstance(entry, Context):
            context = entry.values
        elif entry == RowChange(entry.operation, "public.todo_task"):
            found.append((context, entry.operation))
    return found


def test_a_session_leaves_who_where_how_and_which_sql(client: Client, example_wal: Wal) -> None:
    for title in ("one", "two", "three"):
        post(client, "/tasks/add/", title=title)
    first, second, third = Task.objects.order_by("pk")
    post(client, f"/tasks/{first.pk}/complete/")
    post(client, f"/tasks/{second.pk}/rename/", title="second")
    post(client, f"/tasks/{third.pk}/delete/")
    found = tasks_in(example_wal)
    assert [operation for _, operation in found] == ["INSERT"] * 3 + ["UPDATE", "UPDATE", "DELETE"]
    assert {context["user_id"] for context, _ in found} == {1}
    assert {context["method"] for context, _ in found} == {"POST"}
    assert [context["endpoint"] for context, _ in found] == [
        "/tasks/add/",
        "/tasks/add/",
        "/tasks/add/",
        f"/tasks/{first.pk}/complete/",
        f"/tasks/{second.pk}/rename/",
        f"/tasks/{third.pk}/delete/",
    ]
    assert [context["SQL"].split()[0] for context, _ in found] == [
        operation for _, operation in found
    ]
    page = client.get("/").content.decode()
    assert "second" in page
    assert "three" not in page
    assert "1 open" in page


def test_an_empty_title_changes_nothing(client: Client, example_wal: Wal) -> None:
    post(client, "/tasks/add/", title="  ")
    task = Task.objects.create(title="kept")
    post(client, f"/tasks/{task.pk}/rename/", title="")
    task.refresh_from_db()
    assert task.title == "kept"
    assert len(tasks_in(example_wal)) == 1


def test_nobody_changes_anything_without_logging_in(example: Database) -> None:
    client = Client()
    for path in ("/", "/audit/", "/tasks/1/delete/"):
        assert client.get(path).headers["Location"] == f"/login/?next={path}"
    assert client.post("/tasks/add/", {"title": "x"}).status_code == 302
    assert not Task.objects.exists()


def test_a_page_that_changes_something_is_not_reached_by_a_link(client: Client) -> None:
    assert client.get("/tasks/add/").status_code == 405
    assert client.post("/tasks/1/delete/").status_code == 403


def test_the_same_site_under_asgi_leaves_the_same_context(
    example: Database, example_wal: Wal
) -> None:
    from django.contrib.auth.models import User

    async def session() -> None:
        client = AsyncClient()
        await sync_to_async(client.force_login)(await User.objects.aget(username="grace"))
        await client.post("/tasks/add/", {"title": "async"})

    run_async(session())
    ((context, operation),) = tasks_in(example_wal)
    assert operation == "INSERT"
    assert context["user_id"] == 2
    assert context["endpoint"] == "/tasks/add/"


def test_the_audit_page_waits_kindly_for_the_table(client: Client) -> None:
    assert "No trail yet" in client.get("/audit/").content.decode()


def test_the_audit_page_shows_who_did_what(client: Client, admin: psycopg.Connection[Any]) -> None:
    make_changes_table(admin)
    assert "Nothing has happened to a task yet" in client.get("/audit/").content.decode()
    trail = Trail(admin)
    trail.add(
        before={"title": "old <b>", "id": 1},
        after={"title": "new", "id": 1},
        context={"user_id": 1, "endpoint": "/tasks/1/rename/", "method": "POST", "SQL": "UPDATE x"},
    )
    trail.add("DELETE", before={"title": "new"})
    trail.add("TRUNCATE", primary_key=None, context={"user_id": 99})
    page = client.get("/audit/").content.decode()
    assert "task 1</a> by <b>ada</b>" in page
    assert "POST /tasks/1/rename/" in page
    assert "<del>old &lt;b&gt;</del>" in page
    assert "<ins>new</ins>" in page
    assert "UPDATE x" in page
    assert "outside the site" in page
    assert "all tasks by <b>user 99</b>" in page
