"""Tell by `manage.py check` what is wrong with how the app is set up.

Only the check of databases opens a connection, and runs where databases are named. Ids:
bemi.E001 context function, bemi.E002 no PostgreSQL, bemi.E003 two packages own `bemi`,
bemi.E004 key that signs contexts, bemi.W001 middleware, bemi.W101 something in a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.utils.module_loading import import_string

from bemi import conf
from bemi.middleware import BemiMiddleware

REPLACED_DISTRIBUTION = "bemi-django"
MIN_KEY_BYTES = 16


def register_checks() -> None:
    """Register the checks; more than once does no harm."""
    for check in (
        check_context_function,
        check_context_key,
        check_database,
        check_middleware,
        check_only_distribution,
    ):
        register(check, "bemi")
    register(check_tracked_databases, Tags.database)


def check_context_function(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Require that BEMI_CONTEXT_FUNCTION, where set, names something to call."""
    try:
        function = conf.context_function()
    except ImportError as error:
        return [
            Error(
                f"BEMI_CONTEXT_FUNCTION cannot be imported: {error}",
                hint="Set it to the dotted path of a function that takes the request.",
                id="bemi.E001",
            )
        ]
    if function is not None and not callable(function):
        return [
            Error(
                "BEMI_CONTEXT_FUNCTION names something that cannot be called.",
                hint="Set it to the dotted path of a function that takes the request.",
                id="bemi.E001",
            )
        ]
    return []


def check_context_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a key that could be guessed: what it signs would pass for the site's own."""
    key = conf.context_key()
    if key is None or len(key) >= MIN_KEY_BYTES:
        return []
    return [
        Error(
            f"BEMI_CONTEXT_KEY has fewer than {MIN_KEY_BYTES} characters.",
            hint="Make one by `openssl rand -hex 32`, for the stitcher as well.",
            id="bemi.E004",
        )
    ]


def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Require a PostgreSQL database; nothing else has a WAL that carries contexts."""
    if any(connection.vendor == "postgresql" for connection in connections.all()):
        return []
    return [
        Error(
            "None of DATABASES is PostgreSQL, so no change can be tracked.",
            hint="Use a backend on PostgreSQL, or remove 'bemi' from INSTALLED_APPS.",
            id="bemi.E002",
        )
    ]


def check_tracked_databases(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn of what is wrong in a database: `manage.py check --database default`.

    The only check that connects; `migrate` runs it as well.
    """
    from bemi import triggers
    from bemi.source_state import problems, source_state

    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if triggers.may_be_tracked(connection):
            found += (
                Warning(f"{alias}: {problem}", hint=advice, id="bemi.W101")
                for problem, advice in problems(source_state(connection))
            )
    return found


def check_middleware(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where no request gets a context although there is a function to make it."""
    if any(_is_bemi_middleware(path) for path in settings.MIDDLEWARE):
        return []
    return [
        Warning(
            "bemi.BemiMiddleware is not in MIDDLEWARE, so changes come without a context.",
            hint="Add 'bemi.BemiMiddleware' behind the authentication middleware.",
            id="bemi.W001",
        )
    ]


def _is_bemi_middleware(path: str) -> bool:
    try:
        middleware = import_string(path)
    except ImportError:
        # Django itself reports a middleware that cannot be imported.
        return False
    return isinstance(middleware, type) and issubclass(middleware, BemiMiddleware)


def check_only_distribution(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse to share the package with bemi-django: each overwrites the other's files."""
    try:
        distribution(REPLACED_DISTRIBUTION)
    except PackageNotFoundError:
        return []
    return [
        Error(
            "django-bemi and bemi-django are both installed, and both own the package `bemi`.",
            hint=(
                "Run `pip uninstall bemi-django django-bemi`, then `pip install django-bemi`: "
                "uninstalling one takes files of the other along."
            ),
            id="bemi.E003",
        )
    ]
