"""What a person may type."""

from __future__ import annotations

from django import forms

from example.todo.models import Task

TaskForm = forms.modelform_factory(Task, fields=("title",))
"""A task's title."""


class MomentForm(forms.Form):
    """A time to look at a task as of."""

    at = forms.DateTimeField(
        label="As of (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "any"}),
    )
