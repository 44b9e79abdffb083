"""What a person may type."""

from __future__ import annotations

from django import forms

from example.todo.models import Task

TaskForm = forms.modelform_factory(Task, fields=("title",))
"""A task's title."""
