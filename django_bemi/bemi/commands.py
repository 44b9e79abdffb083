"""Let the changes of a management command, or of a shell, say which it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from bemi import conf
from bemi.context_api import merge_context

COMMAND_KEY = "command"

# They serve requests, tasks and tests, which have contexts of their own.
_SERVERS = frozenset({"runserver", "runserver_plus", "test", "testserver"})
_PROGRAMS = frozenset({"manage.py", "django-admin", "django-admin.exe", "django-admin.py"})


def tell_of_command(arguments: Sequence[str]) -> None:
    """Put `{"command": name}` in force for a process that runs a management command.

    For its main thread, until something else is set. `python -m django` counts as well, a
    server does not.
    """
    name = command_name(arguments)
    if name is not None and conf.command_context():
        merge_context({COMMAND_KEY: name})


def command_name(arguments: Sequence[str]) -> str | None:
    """Return which command the arguments of a process name, None where they name none."""
    if len(arguments) < 2:
        return None
    program, command = PurePath(arguments[0]), arguments[1]
    is_django = program.name in _PROGRAMS or program.parts[-2:] == ("django", "__main__.py")
    return command if is_django and command not in _SERVERS and command[:1] != "-" else None
