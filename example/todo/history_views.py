"""The pages that read the trail: a task's history, the task as it was, and undoing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from bemi.models import BemiChange
from bemi.querysets import BemiChangeQuerySet
from bemi.revert import RevertConflict
from example.todo.audit import NoTrail, described, latest_entries, trail_expected
from example.todo.forms import MomentForm
from example.todo.models import Task

View = Callable[..., HttpResponse]


def _with_trail(view: View) -> View:
    """Answer with an explanation while there is no trail to read."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with trail_expected():
                return view(request, *args, **kwargs)
        except NoTrail:
            return render(request, "todo/no_trail.html")

    return answer


@login_required
@require_GET
@_with_trail
def audit(request: HttpRequest) -> HttpResponse:
    """Show what happened to the tasks, the newest first."""
    return render(request, "todo/audit.html", {"entries": latest_entries()})


@login_required
@require_GET
@_with_trail
def history(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what happened to one task, which may be gone, and how it was at a time."""
    task = Task.objects.filter(pk=pk).first()
    form = MomentForm(request.GET if "at" in request.GET else None)
    is_asked = form.is_valid()
    values = {
        "pk": pk,
        "task": task,
        "entries": described(Task(pk=pk).bemi_changes()),
        "form": form,
        "is_asked": is_asked,
        "then": Task(pk=pk).bemi_as_of(form.cleaned_data["at"]) if is_asked else None,
    }
    return render(request, "todo/history.html", values)


@login_required
@require_http_methods(["GET", "POST"])
@_with_trail
def revert_change(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """Undo one change: first show what it would do, then do it."""
    return _revert(request, BemiChange.objects.filter(pk=change_id), "Undo this change")


@login_required
@require_http_methods(["GET", "POST"])
@_with_trail
def revert_request(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Undo all that one request did to tasks."""
    changes = Task.bemi.changes().context({"request_id": str(request_id)})
    return _revert(request, changes, "Undo the whole request")


def _revert(request: HttpRequest, changes: BemiChangeQuerySet, title: str) -> HttpResponse:
    if not changes.exists():
        raise Http404("the trail has no such change")
    values = {"title": title, "entries": described(changes)}
    try:
        undone = changes.revert(dry_run=request.method == "GET")
    except RevertConflict as conflict:
        values["conflicts"] = conflict.conflicts
        return render(request, "todo/revert.html", values, status=409)
    if request.method == "POST":
        return redirect("todo:tasks")
    values["undone"] = undone
    return render(request, "todo/revert.html", values)
