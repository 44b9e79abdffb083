"""Which command a process runs, by its arguments."""

from __future__ import annotations

from contextvars import copy_context

import pytest
from django.test import override_settings

import bemi
from bemi.commands import command_name, tell_of_command


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["manage.py", "import_orders", "--all"], "import_orders"),
        (["/srv/site/manage.py", "shell"], "shell"),
        (["/usr/bin/django-admin", "loaddata", "x.json"], "loaddata"),
        (["/lib/django/__main__.py", "migrate"], "migrate"),
        (["manage.py", "runserver"], None),
        (["manage.py", "test"], None),
        (["manage.py", "--help"], None),
        (["manage.py"], None),
        (["gunicorn", "site.wsgi"], None),
        (["/usr/bin/pytest", "manage.py"], None),
        ([], None),
    ],
)
def test_a_command_is_known_by_the_arguments(arguments: list[str], name: str | None) -> None:
    assert command_name(arguments) == name


def test_a_command_is_in_the_context_unless_told_not_to_be() -> None:
    def told() -> object:
        tell_of_command(["manage.py", "import_orders"])
        return bemi.current_context()

    assert copy_context().run(told) == {"command": "import_orders"}
    with override_settings(BEMI_COMMAND_CONTEXT=False):
        assert copy_context().run(told) == {}
