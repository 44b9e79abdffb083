"""The pages that show and change tasks. Nothing here knows of tracking."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from example.todo.background import complete_all_later
from example.todo.demo_users import DEMO_USERS
from example.todo.forms import TaskForm
from example.todo.models import Task


class DemoLoginView(LoginView):
    """The login page, with the users one may log in as."""

    template_name = "todo/login.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the demo users to what the page shows."""
        return super().get_context_data(demo_users=DEMO_USERS, **kwargs)


@login_required
@require_GET
def tasks(request: HttpRequest) -> HttpResponse:
    """Show the tasks, open ones first."""
    every_task = list(Task.objects.all())
    open_count = sum(not task.is_completed for task in every_task)
    return render(request, "todo/tasks.html", {"tasks": every_task, "open_count": open_count})


@login_required
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Make a task; without a title there is nothing to make."""
    form = TaskForm(request.POST)
    if form.is_valid():
        form.save()
    return redirect("todo:tasks")


@login_required
@require_POST
def complete(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark a task as done, or as not done when it was."""
    task = get_object_or_404(Task, pk=pk)
    task.is_completed = not task.is_completed
    task.save(update_fields=["is_completed"])
    return redirect("todo:tasks")


@login_required
@require_POST
def rename(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a task another title."""
    form = TaskForm(request.POST, instance=get_object_or_404(Task, pk=pk))
    if form.is_valid() and form.has_changed():
        form.save()
    return redirect("todo:tasks")


@login_required
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a task."""
    get_object_or_404(Task, pk=pk).delete()
    return redirect("todo:tasks")


@login_required
@require_POST
def complete_all(request: HttpRequest) -> HttpResponse:
    """Mark every task as done, in the background where there is one."""
    complete_all_later()
    return redirect("todo:tasks")
