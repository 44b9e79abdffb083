"""The settings of this package, each read when it is needed.

Reading them late lets a test override them and lets `bemi` be imported before the site's
settings are complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

ContextFunction = Callable[[Any], Any]

SETTINGS = frozenset(
    {
        "BEMI_COMMAND_CONTEXT",
        "BEMI_CONTEXT_FUNCTION",
        "BEMI_CONTEXT_KEY",
        "BEMI_FUNCTION_SCHEMA",
        "BEMI_IGNORE_TABLES",
        "BEMI_REDACT_SQL_LITERALS",
        "BEMI_REPLICA_IDENTITY_FULL",
        "BEMI_SQL_MAX_LENGTH",
        "BEMI_WHOLE_SQL",
    }
)
DEFAULT_SQL_MAX_LENGTH = 2048  # characters
_PLAIN_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def context_function() -> ContextFunction | None:
    """Return what BEMI_CONTEXT_FUNCTION names, or None where it is not set.

    It takes the request and returns a dict; it may be a coroutine function. Raises
    ImportError when the path leads nowhere.
    """
    path: str | None = getattr(settings, "BEMI_CONTEXT_FUNCTION", None)
    if not path:
        return None
    function: ContextFunction = import_string(path)
    return function


def sql_max_length() -> int:
    """Return BEMI_SQL_MAX_LENGTH: how much of a statement goes into the context.

    In characters, 2048 where it is not set. What is longer is cut, and the text says so; 0
    leaves the statement out.
    """
    length = getattr(settings, "BEMI_SQL_MAX_LENGTH", DEFAULT_SQL_MAX_LENGTH)
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise ImproperlyConfigured("BEMI_SQL_MAX_LENGTH must be a number of characters, 0 or more")
    return length


class OfStatements(NamedTuple):
    """The settings that every statement asks for."""

    sql_max_length: int
    context_key: bytes | None
    redact_sql_literals: bool
    whole_sql: bool


@cache
def of_statements() -> OfStatements:
    """Return them, read once: to ask Django for one that is not set costs as much as encoding.

    Read again after a test has overridden a setting.
    """
    return OfStatements(sql_max_length(), context_key(), redact_sql_literals(), whole_sql())


def _read_again(setting: str, **_: Any) -> None:
    if setting in SETTINGS:
        of_statements.cache_clear()


setting_changed.connect(_read_again, dispatch_uid="bemi.read_settings_again")


def redact_sql_literals() -> bool:
    """Return BEMI_REDACT_SQL_LITERALS: whether values written into a statement are left out.

    False where it is not set. Parameters never stand in the statement that a context holds.
    """
    return bool(getattr(settings, "BEMI_REDACT_SQL_LITERALS", False))


def whole_sql() -> bool:
    """Return BEMI_WHOLE_SQL: whether the SQL of a plain INSERT or UPDATE names its columns.

    False where it is not set: the change has the columns, and their list would be most of what a
    change of one row adds to the log.
    """
    return bool(getattr(settings, "BEMI_WHOLE_SQL", False))


def context_key() -> bytes | None:
    """Return BEMI_CONTEXT_KEY: what contexts are signed with, None where it is not set.

    The same text as a line of the stitcher's BEMI_STITCHER_CONTEXT_KEY_FILE.
    """
    key = getattr(settings, "BEMI_CONTEXT_KEY", None)
    if not key:
        return None
    return key if isinstance(key, bytes) else str(key).strip().encode()


def command_context() -> bool:
    """Return BEMI_COMMAND_CONTEXT: whether changes of a management command name it.

    True where it is not set.
    """
    return bool(getattr(settings, "BEMI_COMMAND_CONTEXT", True))


def replica_identity_full() -> list[str]:
    """Return which tables BEMI_REPLICA_IDENTITY_FULL gives REPLICA IDENTITY FULL.

    As `ignored_tables` returns its own. True, which it is where it is not set, is every table
    and False none: without it `before` holds at most the key, and a table without a key
    refuses UPDATE and DELETE as soon as its changes are published.
    """
    wanted = getattr(settings, "BEMI_REPLICA_IDENTITY_FULL", True)
    if isinstance(wanted, bool):
        return ["%"] if wanted else []
    return _table_patterns("BEMI_REPLICA_IDENTITY_FULL", wanted)


def ignored_tables() -> list[str]:
    """Return BEMI_IGNORE_TABLES as patterns of SQL's LIKE for `schema.table`; none by default.

    Each is a table's name or `schema.table`; `*` stands for any characters.
    """
    return _table_patterns("BEMI_IGNORE_TABLES", getattr(settings, "BEMI_IGNORE_TABLES", ()))


def _table_patterns(setting: str, names: Any) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ImproperlyConfigured(f"{setting} must be a list of tables' names, not {names!r}")
    return [_like(name if "." in name else f"*.{name}") for name in names]


def _like(pattern: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")


def function_schema() -> str:
    """Return BEMI_FUNCTION_SCHEMA: the schema that holds the trigger's functions.

    `public` where it is not set. It must outlive every tracked table, because dropping it
    drops the triggers of all of them; so it is no tenant's schema.
    """
    name = str(getattr(settings, "BEMI_FUNCTION_SCHEMA", "public"))
    if not _PLAIN_IDENTIFIER.fullmatch(name):
        raise ImproperlyConfigured(
            "BEMI_FUNCTION_SCHEMA must be a plain name: small letters, digits and _"
        )
    return name
