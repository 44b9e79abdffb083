"""Connect to the tracked database for SQL, with an end to every wait. Edge.

A server's own statement_timeout does not help when the server, or the way to it, is gone:
the client would wait for an answer for hours. Here every wait has an end, by the client.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from producer.errors import from_psycopg

QUERY_TIMEOUT_SECONDS = 600.0
"""Debezium's database.query.timeout.ms."""

TEXT_OPTIONS = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=iso_8601 -c extra_float_digits=1"
    " -c bytea_output=hex"
)
"""A session's settings change the text of values, and of defaults in the catalogue: they are
pinned, whatever the role has."""

RV = TypeVar("RV")


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed when the server has not answered for `timeout_seconds`.

    None is no limit.
    """

    timeout_seconds: float | None = QUERY_TIMEOUT_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait as psycopg does, but never longer than the connection's limit."""
        try:
            return super().wait(gen, interval, timeout or self.timeout_seconds)
        except psycopg.errors._WaitTimeout as error:
            # Half an answer may still come: the connection cannot be used again.
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the server has not answered for {self.timeout_seconds:g} seconds"
            ) from error


def connect(
    connection_parameters: dict[str, Any],
    *,
    options: str = "",
    timeout_seconds: float | None = QUERY_TIMEOUT_SECONDS,
    initial_statements: str = "",
) -> Connection:
    """Open a connection in autocommit mode; raises the stage's errors.

    The statements are those of Debezium's database.initial.statements, run one by one.
    """
    try:
        connection = Connection.connect(
            **connection_parameters, options=f"{TEXT_OPTIONS} {options}", autocommit=True
        )
        connection.timeout_seconds = timeout_seconds
        for statement in split_statements(initial_statements):
            connection.execute(statement.encode())
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    return connection


def split_statements(text: str) -> list[str]:
    """Return the statements that `;` separates; `;;` is one semicolon within a statement."""
    parts = (part.replace("\0", ";").strip() for part in text.replace(";;", "\0").split(";"))
    return [part for part in parts if part]
