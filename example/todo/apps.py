"""The app `todo`."""

from __future__ import annotations

from django.apps import AppConfig


class TodoConfig(AppConfig):
    """A list of tasks that everyone who logs in shares."""

    name = "example.todo"
    label = "todo"
