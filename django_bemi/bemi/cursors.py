"""The driver's cursors: where a statement gets its comment.

Here because it is the last place before the server. What reaches the cursor directly is covered as
well (`cursor.copy()`, `cursor.stream()`, psycopg2's `copy_expert()`, `copy_from()`, `callproc()`),
no other wrapper sees the comment, and the driver's memory of how a statement's text splits at its
placeholders stays of use: psycopg 3 takes 50 us for a text of ten that it has not seen before, and
with a request's context in it none has been seen before.

Which driver it is is known by its methods: none is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from bemi.statements import append_comment

FindComment = Callable[[Any, Any, bool], "tuple[str, str] | None"]
"""Takes a statement, the driver's cursor and whether the comment will be looked through for
placeholders; returns the statement as text and its comment, None where it gets none."""

_SOME = (None,)  # Parameters that are not known yet.
_LONGEST_REMEMBERED = 4096  # characters: psycopg's MAX_CACHED_STATEMENT_LENGTH.


def carry_context(driver_connection: Any, find_comment: FindComment) -> bool:
    """Let the cursors that the connection will make add the context; tell whether they do.

    More than once does no harm. A cursor factory that is no class is left as it is: what it makes
    is its own affair.
    """
    factory = getattr(driver_connection, "cursor_factory", None)
    if isinstance(factory, type) and not hasattr(factory, "bemi_find_comment"):
        driver_connection.cursor_factory = _in_context(factory, find_comment)
    # Asked of a cursor, since a pool's proxy may keep for itself what is set on it.
    with driver_connection.cursor() as cursor:
        return hasattr(cursor, "bemi_find_comment")


def with_comment(statement: Any, params: Any, cursor: Any, find_comment: FindComment) -> Any:
    """Return the statement with its comment, as bytes where it was bytes."""
    found = find_comment(statement, cursor, params is not None)
    if found is None:
        return statement
    text = append_comment(*found, has_parameters=bool(params))
    return text.encode("utf-8", "surrogateescape") if isinstance(statement, bytes) else text


@cache
def _in_context(factory: type, find_comment: FindComment) -> type:
    if hasattr(factory, "copy_expert"):
        methods: type = _Psycopg2Methods
    else:
        methods = _ClientBindingMethods if hasattr(factory, "mogrify") else _Psycopg3Methods
    return type(
        factory.__name__,
        (methods, factory),
        {"bemi_find_comment": staticmethod(find_comment), "__module__": factory.__module__},
    )


class _Methods:
    bemi_find_comment: FindComment

    def _with_comment(self, statement: Any, params: Any) -> Any:
        return with_comment(statement, params, self, self.bemi_find_comment)


class _Psycopg3Methods(_Methods):
    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute with the context in force."""
        query = self._with_comment(query, params)
        return super().execute(query, params, **options)  # type: ignore[misc]

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> Any:
        """Execute again and again with the context in force."""
        query = self._with_comment(query, _SOME)
        return super().executemany(query, params_seq, **options)  # type: ignore[misc]

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """Copy with the context in force."""
        statement = self._with_comment(statement, params)
        return super().copy(statement, params, **options)  # type: ignore[misc]

    def stream(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Stream, as from INSERT ... RETURNING, with the context in force."""
        query = self._with_comment(query, params)
        return super().stream(query, params, **options)  # type: ignore[misc]


class _ClientBindingMethods(_Psycopg3Methods):
    """Of cursors that write the parameters into the statement themselves."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute with the context in force, behind what the driver has made of the statement."""
        if params is None or not isinstance(query, str) or len(query) > _LONGEST_REMEMBERED:
            return super().execute(query, params, **options)
        if (found := self.bemi_find_comment(query, self, False)) is not None:
            merged = self.mogrify(query, params)  # type: ignore[attr-defined]
            # On a line of its own: a line comment may have begun on the last one.
            query, params = f"{merged}\n{found[1]}", None
        return super(_Psycopg3Methods, self).execute(query, params, **options)  # type: ignore[misc]


class _Psycopg2Methods(_Methods):
    def execute(self, query: Any, vars: Any = None) -> Any:
        """Execute with the context in force."""
        return super().execute(self._with_comment(query, vars), vars)  # type: ignore[misc]

    def executemany(self, query: Any, vars_list: Any) -> Any:
        """Execute again and again with the context in force."""
        return super().executemany(self._with_comment(query, _SOME), vars_list)  # type: ignore[misc]

    def callproc(self, procname: str, parameters: Any = None) -> Any:
        """Do by execute what psycopg2 does: the statement it would make has no way in."""
        given = [] if parameters is None else parameters
        names = [f"{_quoted_name(name)}:=" for name in given] if isinstance(given, dict) else None
        values = list(given.values()) if isinstance(given, dict) else list(given)
        places = ",".join(f"{name}%s" for name in (names or [""] * len(values)))
        self.execute(f"SELECT * FROM {procname}({places})", values)  # noqa: S608 - as psycopg2.
        return parameters

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> Any:
        """Copy with the context in force."""
        sql = self._with_comment(sql, None)
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
