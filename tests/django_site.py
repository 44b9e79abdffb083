"""Configure Django once for all tests of one process: with the example site's settings.

Django can be configured only once, so unit, contract and integration tests share these.
Tests that need a database point the connection at their own.
"""

from __future__ import annotations

import os

import django
from django.apps import apps


def configure() -> None:
    """Make Django ready; does nothing when it is."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.todo_site.settings")
    if not apps.ready:
        django.setup()
