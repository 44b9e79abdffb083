"""Tell by `manage.py check` what is wrong with how the app is set up.

Only the check of databases opens a connection, and runs where databases are named.

Errors: E001 context function, E002 no PostgreSQL, E003 two packages own `bemi`, E004 key that
signs contexts, E005 a setting's value, E006 router without its database. Warnings: W001 no
middleware, W002 its order, W003 a setting's name, W004 prepared statements. In a database: W101
wal_level, W102 not installed, W103 slot lost, W104 tables without the trigger, W105 tables
without REPLICA IDENTITY FULL. Each has `bemi.` before it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from bemi import conf
from bemi.middleware import BemiMiddleware
from bemi.routers import DESTINATION_ALIAS, BemiDatabaseRouter

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
        check_prepared_statements,
        check_router,
        check_settings,
    ):
        register(check, "bemi")
    register(check_tracked_databases, Tags.database)


def check_context_function(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Require that BEMI_CONTEXT_FUNCTION, where set, names something to call with a request."""
    try:
        function = conf.context_function()
    except ImportError as error:
        problem = f"cannot be imported: {error}"
    else:
        if function is None or _takes_one_argument(function):
            return []
        problem = "names something that cannot be called with a request alone."
    return [
        Error(
            f"BEMI_CONTEXT_FUNCTION {problem}",
            hint="Set it to the dotted path of a function that takes the request.",
            id="bemi.E001",
        )
    ]


def _takes_one_argument(function: Any) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        return False
    except ValueError:
        # Some callables of C have no signature to look at.
        return True
    return True


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
                Warning(f"{alias}: {problem.text}", hint=problem.advice, id=problem.check_id)
                for problem in problems(source_state(connection))
            )
    return found


def check_middleware(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where no request gets a context, or gets it before its user is known."""
    bemi_places = _places_of(BemiMiddleware)
    if not bemi_places:
        return [
            Warning(
                "bemi.BemiMiddleware is not in MIDDLEWARE, so changes come without a context.",
                hint="Add 'bemi.BemiMiddleware' behind the authentication middleware.",
                id="bemi.W001",
            )
        ]
    if any(place > bemi_places[0] for place in _places_of_authentication()):
        return [
            Warning(
                "bemi.BemiMiddleware stands before the authentication middleware in MIDDLEWARE, "
                "so BEMI_CONTEXT_FUNCTION finds no request.user.",
                hint="Move 'bemi.BemiMiddleware' behind it.",
                id="bemi.W002",
            )
        ]
    return []


def _places_of_authentication() -> list[int]:
    if not apps.is_installed("django.contrib.auth"):
        return []
    # Imports models, so not before the app is known to be there.
    from django.contrib.auth.middleware import AuthenticationMiddleware

    return _places_of(AuthenticationMiddleware)


def _places_of(kind: type) -> list[int]:
    return [place for place, path in enumerate(settings.MIDDLEWARE) if _is_middleware(path, kind)]


def _is_middleware(path: str, kind: type) -> bool:
    try:
        middleware = import_string(path)
    except ImportError:
        # Django itself reports a middleware that cannot be imported.
        return False
    return isinstance(middleware, type) and issubclass(middleware, kind)


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse values that cannot be used, and warn of names that look misspelt."""
    found: list[CheckMessage] = []
    for read in (
        conf.function_schema,
        conf.ignored_tables,
        conf.replica_identity_full,
        conf.sql_max_length,
    ):
        try:
            read()
        except ImproperlyConfigured as error:
            found.append(Error(str(error), id="bemi.E005"))
    for name in dir(settings):
        if name.startswith("BEMI") and name not in conf.SETTINGS:
            meant = get_close_matches(name, conf.SETTINGS, n=1, cutoff=0.85)
            found += [
                Warning(f"There is no setting {name}.", hint=f"Is {known} meant?", id="bemi.W003")
                for known in meant
            ]
    return found


def check_router(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a router that sends the trail's queries to a database that there is not."""
    if DESTINATION_ALIAS in connections or not any(
        _is_router(router) for router in settings.DATABASE_ROUTERS
    ):
        return []
    return [
        Error(
            f"BemiDatabaseRouter reads the trail from the database {DESTINATION_ALIAS!r}, which "
            "is not in DATABASES.",
            hint=f"Add {DESTINATION_ALIAS!r} to DATABASES, or take the router away where the "
            "table `changes` is in the default database.",
            id="bemi.E006",
        )
    ]


def _is_router(router: Any) -> bool:
    try:
        router = import_string(router) if isinstance(router, str) else router
    except ImportError:
        return False
    return isinstance(router, BemiDatabaseRouter) or (
        isinstance(router, type) and issubclass(router, BemiDatabaseRouter)
    )


def check_prepared_statements(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn where the driver prepares statements: each context makes its text another one."""
    return [
        Warning(
            f"Database {connection.alias} prepares statements, but one with a context is seldom "
            "sent twice: preparing it costs more than it saves.",
            hint="Take prepare_threshold out of OPTIONS.",
            id="bemi.W004",
        )
        for connection in connections.all()
        if connection.vendor == "postgresql"
        and connection.settings_dict["OPTIONS"].get("server_side_binding")
        and connection.settings_dict["OPTIONS"].get("prepare_threshold") is not None
    ]


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
