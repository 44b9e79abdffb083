"""Let what passes Django's execute wrappers by carry the context too: COPY, and streamed rows.

`cursor.copy()` and `cursor.stream()` of psycopg 3, `cursor.copy_expert()` and
`cursor.copy_from()` of psycopg2 reach the driver's cursor directly. So the driver's connection
makes cursors whose statements get the comment in these methods as well. The trigger reads
COPY's text as any other statement's, so nothing more is sent to the server.

Which driver it is is known by its methods: none is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

AddContext = Callable[[Any, Any, Any], Any]
"""Takes a statement, its parameters and the driver's cursor; returns the statement to send."""


def carry_context(driver_connection: Any, add_context: AddContext) -> None:
    """Let the cursors that the connection will make add the context; more than once does no harm.

    A cursor factory that is no class is left as it is: what it makes is its own affair.
    """
    factory = getattr(driver_connection, "cursor_factory", None)
    if isinstance(factory, type) and not hasattr(factory, "bemi_add_context"):
        driver_connection.cursor_factory = _in_context(factory, add_context)


@cache
def _in_context(factory: type, add_context: AddContext) -> type:
    methods = _Psycopg2Methods if hasattr(factory, "copy_expert") else _Psycopg3Methods
    return type(
        factory.__name__,
        (methods, factory),
        {"bemi_add_context": staticmethod(add_context), "__module__": factory.__module__},
    )


class _Psycopg3Methods:
    bemi_add_context: AddContext

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """Copy with the context in force."""
        statement = self.bemi_add_context(statement, params, self)
        return super().copy(statement, params, **options)  # type: ignore[misc]

    def stream(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Stream, as from INSERT ... RETURNING, with the context in force."""
        query = self.bemi_add_context(query, params, self)
        return super().stream(query, params, **options)  # type: ignore[misc]


class _Psycopg2Methods:
    bemi_add_context: AddContext

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> Any:
        """Copy with the context in force."""
        sql = self.bemi_add_context(sql, None, self)
        return super().copy_expert(sql, file, size)  # type: ignore[misc]

    def copy_from(
        self,
        file: Any,
        table: str,
        sep: str = "\t",
        null: str = "\\N",
        size: int = 8192,
        columns: Any = None,
    ) -> Any:
        """Do by copy_expert what psycopg2 does: the statement it would make has no way in."""
        names = "" if columns is None else f" ({', '.join(map(_quoted_name, columns))})"
        return self.copy_expert(
            f"COPY {_quoted_name(table)}{names} FROM STDIN"
            f" WITH DELIMITER AS {_quoted_text(sep)} NULL AS {_quoted_text(null)}",
            file,
            size,
        )


def _quoted_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted_text(text: str) -> str:
    # E'', so that it means the same whatever standard_conforming_strings is.
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
