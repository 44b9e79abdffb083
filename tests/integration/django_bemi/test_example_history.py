"""The example site's pages that read the trail, on a trail that the pipeline's parts recorded."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from bemi.models import BemiChange
from example.todo.models import Task
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.recorder import Recorder


@pytest.fixture
def recorder(empty_site: Database, admin: psycopg.Connection[Any]) -> Recorder:
    call_command("migrate", verbosity=0)
    return Recorder(empty_site, admin)


@pytest.fixture
def client(recorder: Recorder) -> Client:
    """Give ada's browser."""
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    return client


@pytest.fixture
def page(client: Client, recorder: Recorder) -> Callable[..., str]:
    """Give what a page shows, once all that was done is in the trail."""

    def show(path: str, status: int = 200) -> str:
        recorder.record()
        response = client.get(path)
        assert response.status_code == status
        return html.unescape(" ".join(response.content.decode().split()))

    return show


def last_change() -> BemiChange:
    change = BemiChange.objects.filter(table="todo_task").last_change()
    assert change is not None
    return change


def renamed(client: Client) -> Task:
    """Make a task and rename it, by the site."""
    client.post("/tasks/add/", {"title": "first"})
    task = Task.objects.get()
    client.post(f"/tasks/{task.pk}/rename/", {"title": "second"})
    return task


def test_a_tasks_history_shows_its_fields_before_and_after(
    client: Client, page: Callable[..., str]
) -> None:
    task = renamed(client)
    client.post("/tasks/add/", {"title": "another task"})
    shown = page(f"/tasks/{task.pk}/history/")
    assert "<del>first</del>" in shown
    assert "<ins>second</ins>" in shown
    assert "by <b>ada</b>" in shown
    assert "another task" not in shown
    assert shown.index("updated") < shown.index("created")


def test_a_deleted_task_still_has_its_history(client: Client, page: Callable[..., str]) -> None:
    task = renamed(client)
    client.post(f"/tasks/{task.pk}/delete/")
    shown = page(f"/tasks/{task.pk}/history/")
    assert f"<h1>Task {task.pk}</h1>" in shown
    assert '<span class="badge deleted">deleted</span>' in shown


def test_a_task_is_shown_as_it_was_behind_each_change(
    client: Client, page: Callable[..., str]
) -> None:
    task = renamed(client)
    address = f"/tasks/{task.pk}/history/"
    moments = re.findall(r"\?at=([^\"]+)", page(address))
    assert len(moments) == 2
    assert "<td>second</td>" in page(f"{address}?at={moments[0]}")
    earlier = page(f"{address}?at={moments[1]}")
    assert "<td>first</td>" in earlier
    assert f'value="{unquote(moments[1])}"' in earlier
    assert "There was no such task" in page(f"{address}?at=2020-01-02T03:04")
    assert 'role="alert"' in page(f"{address}?at=yesterday")


def test_undoing_a_change_shows_first_what_it_would_do(
    client: Client, page: Callable[..., str], recorder: Recorder
) -> None:
    task = renamed(client)
    recorder.record()
    rename = last_change()
    address = f"/changes/{rename.pk}/revert/"
    assert f"<b>UPDATE</b> task {task.pk}: <code>title = first</code>" in page(address)
    task.refresh_from_db()
    assert task.title == "second"
    assert client.post(address).status_code == 302
    task.refresh_from_db()
    assert task.title == "first"
    shown = page(f"/tasks/{task.pk}/history/")
    assert "by <b>ada</b>, to undo a change" in shown
    assert (last_change().context or {})["reverted"] == [str(rename.pk)]


def test_what_was_changed_since_is_shown_and_kept(
    client: Client, page: Callable[..., str], recorder: Recorder
) -> None:
    task = renamed(client)
    recorder.record()
    address = f"/changes/{last_change().pk}/revert/"
    Task.objects.update(title="third")
    assert "changed since: title" in page(address, status=409)
    assert client.post(address).status_code == 409
    task.refresh_from_db()
    assert task.title == "third"


def test_all_that_a_request_did_is_undone_together(
    client: Client, page: Callable[..., str], recorder: Recorder
) -> None:
    for title in ("one", "two", "three"):
        client.post("/tasks/add/", {"title": title})
    client.post("/tasks/complete-all/")
    recorder.record()
    context = last_change().context or {}
    assert context["endpoint"] == "/tasks/complete-all/"
    assert context["task"] == "todo.complete_all"
    address = f"/requests/{context['request_id']}/revert/"
    assert page(address).count("<b>UPDATE</b>") == 3
    client.post(address)
    assert not Task.objects.filter(is_completed=True).exists()
    assert Task.objects.count() == 3


def test_what_the_trail_does_not_know_cannot_be_undone(page: Callable[..., str]) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    page(f"/changes/{unknown}/revert/", status=404)
    page(f"/requests/{unknown}/revert/", status=404)


def test_the_command_that_cleans_up_says_that_it_was_it(page: Callable[..., str]) -> None:
    old = Task.objects.create(title="old", is_completed=True)
    Task.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=8))
    Task.objects.create(title="new", is_completed=True)
    call_command("delete_done_tasks", days=7, verbosity=0)
    assert [task.title for task in Task.objects.all()] == ["new"]
    assert "by <b>the command delete_done_tasks</b>" in page(f"/tasks/{old.pk}/history/")
    context = last_change().context or {}
    assert (context["command"], context["days"]) == ("delete_done_tasks", 7)
