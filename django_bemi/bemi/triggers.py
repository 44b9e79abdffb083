"""Put the triggers into a tracked database, keep them there, take them away again.

The SQL is in `sql/`; this decides when it runs and where. Which version is installed stands
in a comment on the trigger function, so an upgraded package, or a changed setting, brings
its own with the next `manage.py migrate`.
"""

from __future__ import annotations

import hashlib
import logging
from importlib.resources import files
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import ProgrammingError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from bemi import conf
from bemi.routers import SOURCE_HINT

APP_LABEL = "bemi"
FIRST_MIGRATION = "0001_initial"
INSUFFICIENT_PRIVILEGE = "42501"  # PostgreSQL's SQLSTATE

log = logging.getLogger(__name__)


class Bemi:
    """The SQL of the migration, for sites that run it in a migration of their own."""

    @staticmethod
    def migration_up() -> str:
        """Return the SQL that makes the functions and covers every table of every schema.

        May be run again, inside a transaction or outside; inside, the tables stay locked
        until its end.
        """
        return f"{_install_sql()}\n{_cover_sql(commit_each=False)};\n"

    @staticmethod
    def migration_down() -> str:
        """Return the SQL that takes everything away, whatever of it is there."""
        return _rendered("uninstall.sql")


class InstallTriggers(Operation):
    """Make the functions and cover every table; backwards, take everything away.

    Does nothing in a database that is not PostgreSQL, or in which a router forbids it for
    the hint `bemi_source`. In a migration that is not atomic each table is locked only for
    as long as it takes to cover that one.
    """

    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change no model."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Install."""
        connection = schema_editor.connection
        if may_be_tracked(connection):
            schema_editor.execute(_install_sql(), params=None)
            schema_editor.execute(_cover_sql(commit_each=_can_commit(connection)), params=None)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Uninstall."""
        if may_be_tracked(schema_editor.connection):
            schema_editor.execute(Bemi.migration_down(), params=None)

    def describe(self) -> str:
        """Say in one line what the operation does."""
        return "Send the context of each statement into the WAL"


class UpgradeTriggers(InstallTriggers):
    """Install again what an older package installed; backwards, leave it in place."""

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Do nothing: the first migration, which is still applied, means installed."""


def cover_after_migrate(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Cover the tables that a migration made, and renew the functions when they are old.

    A receiver of `post_migrate`. Does nothing where the app's first migration is not
    applied, so nothing comes back after `migrate bemi zero`, and on a standby.
    """
    connection = connections[using]
    if not may_be_tracked(connection) or is_standby(connection) or not _is_wanted(connection):
        return
    try:
        _renew_and_cover(connection)
    except ProgrammingError as error:
        if connection.in_atomic_block or not _is_missing_privilege(error):
            raise
        # What is installed works on, so the site's migration must not fail for it.
        log.warning(
            "the triggers of bemi were left as they are: run `manage.py migrate` once as the "
            "role that ran `manage.py migrate bemi`"
        )
        return
    for table in uncovered_tables(connection):
        log.warning(
            "changes of table %s come without their context: run `manage.py migrate` once "
            "as its owner",
            table,
        )


def _renew_and_cover(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        if _installed_version(connection) != _version(_rendered("install.sql")):
            cursor.execute(_install_sql())
        cursor.execute(_cover_sql(commit_each=_can_commit(connection)))


def _is_missing_privilege(error: ProgrammingError) -> bool:
    # psycopg calls it sqlstate, psycopg2 pgcode.
    cause = error.__cause__
    return INSUFFICIENT_PRIVILEGE in (
        getattr(cause, "sqlstate", None),
        getattr(cause, "pgcode", None),
    )


def may_be_tracked(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether triggers belong into a database: PostgreSQL, and no router says no."""
    return connection.vendor == "postgresql" and router.allow_migrate(
        connection.alias, APP_LABEL, **{SOURCE_HINT: True}
    )


def is_standby(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the server follows another one and takes no writes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_is_in_recovery()")
        return bool(cursor.fetchone()[0])


def is_installed(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the functions are there, of this version or another."""
    return _installed_version(connection) is not None


def install(connection: BaseDatabaseWrapper) -> None:
    """Make or renew the functions and cover every table that this role may."""
    _renew_and_cover(connection)


def uncovered_tables(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables that lack something, quoted as in SQL. The functions must exist."""
    with connection.cursor() as cursor:
        cursor.execute(
            # The schema is the setting's, which holds a plain name only.
            "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class AS c"  # noqa: S608
            " WHERE c.relkind IN ('r', 'p')"
            f" AND {_function_schema()}._bemi_lacks_cover(c.oid) ORDER BY 1"
        )
        return [table for (table,) in cursor.fetchall()]


def _is_wanted(connection: BaseDatabaseWrapper) -> bool:
    modules = getattr(settings, "MIGRATION_MODULES", {})
    if APP_LABEL in modules and modules[APP_LABEL] is None:
        # Without migrations being in INSTALLED_APPS is all the site can say.
        return True
    return (APP_LABEL, FIRST_MIGRATION) in MigrationRecorder(connection).applied_migrations()


def _can_commit(connection: BaseDatabaseWrapper) -> bool:
    return connection.get_autocommit() and not connection.in_atomic_block


def _installed_version(connection: BaseDatabaseWrapper) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_catalog.obj_description(p.oid, 'pg_proc')"
            " FROM pg_catalog.pg_proc AS p"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace"
            " WHERE n.nspname = %s AND p.proname = '_bemi_emit_context'",
            [conf.function_schema()],
        )
        found = cursor.fetchone()
    return found[0] if found else None


def _install_sql() -> str:
    sql = _rendered("install.sql")
    return (
        f"{sql}\nCOMMENT ON FUNCTION {_function_schema()}._bemi_emit_context()"
        f" IS '{_version(sql)}';\n"
    )


def _cover_sql(*, commit_each: bool) -> str:
    return f"CALL {_function_schema()}._bemi_cover_tables({str(commit_each).lower()})"


def _rendered(name: str) -> str:
    sql = files("bemi").joinpath("sql").joinpath(name).read_text(encoding="utf-8")
    for name, value in (
        ("bemi_function_schema", _function_schema()),
        ("bemi_full_tables", _text_array(conf.replica_identity_full())),
        ("bemi_ignored_tables", _text_array(conf.ignored_tables())),
    ):
        sql = sql.replace(name, value)
    return sql


def _text_array(texts: list[str]) -> str:
    # Inside a function's body between $bemi$: quotes are doubled, and `$` ends nothing alone.
    literals = ", ".join("E'" + _escaped(text) + "'" for text in texts)
    return f"ARRAY[{literals}]::text[]"


def _escaped(text: str) -> str:
    # As code points wherever it is not plain, so that nothing in a name can end the literal.
    return "".join(
        character
        if (character.isalnum() and character.isascii()) or character in ".-_%"
        else f"\\U{ord(character):08x}"
        for character in text
    )


def _function_schema() -> str:
    return f'"{conf.function_schema()}"'


def _version(sql: str) -> str:
    return f"django-bemi {hashlib.sha256(sql.encode()).hexdigest()[:16]}"
