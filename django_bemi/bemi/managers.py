"""The manager of `BemiChange`: its queryset's questions, asked from the model."""

from __future__ import annotations

from django.db.models import Manager

from bemi.querysets import BemiChangeQuerySet

BemiChangeManager = Manager.from_queryset(BemiChangeQuerySet, "BemiChangeManager")
