"""What the site keeps: tasks."""

from __future__ import annotations

from django.db import models

from bemi import BemiRecordMixin


class Task(BemiRecordMixin, models.Model):
    """Something to do."""

    title = models.CharField(max_length=200)
    is_completed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("is_completed", "-id")

    def __str__(self) -> str:
        """Show the title."""
        return self.title
