"""Connect to the destination, and say what its errors mean. Edge: psycopg.

Every error of the database becomes one of three: it heals (DatabaseUnavailable), a person
must act (DatabaseRefused, DatabaseUnusable), or it is about a row, which only pg_writer can
judge. Messages name the SQLSTATE and never hold a row's values.

Codes: PostgreSQL manual, appendix A, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import psycopg

from runtime.errors import StageError
from runtime.postgres import connection_parameters, refusal_advice
from sink_pg.errors import DatabaseRefused, DatabaseUnavailable, DatabaseUnusable
from sink_pg.settings import SinkSettings

Connection = psycopg.Connection[tuple[object, ...]]

CONNECT_TIMEOUT_SECONDS = 5

_HEALING_CLASSES = ("08", "40", "53", "57", "58")
_HEALING_STATES = (
    "25006",  # read only: a standby that is being promoted, or a full disk's safeguard
    "55006",  # object in use
    "55P03",  # lock not available
)
_REFUSING_CLASSES = ("28", "3D")
_ROW_CLASSES = ("22", "23", "54")


def connect(settings: SinkSettings) -> Connection:
    """Open a connection, in autocommit mode so that each transaction begins by a statement.

    Nothing of it outlives a transaction (no prepared statement, no session setting), so that
    it may lead to a pooler. A server that vanished is noticed within half a minute.
    """
    try:
        connection: Connection = psycopg.connect(
            **connection_parameters(settings),
            application_name="bemi-sink",
            client_encoding="UTF8",
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        if (advice := refusal_advice(reason, "DESTINATION_DB_")) is not None:
            raise DatabaseRefused(
                f"the destination database does not let the sink in ({reason}); {advice}"
                " (or the same of DB_*, where that is not set)"
            ) from error
        raise DatabaseUnavailable(f"cannot connect to the destination: {reason}") from error
    # Behind a lock that was waited for, what its holder did must be seen.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    return connection


class Destination:
    """The one connection of who stores: opened when it is first needed, and anew once given up."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the open connection; raises as `connect` does."""
        if self._connection is None:
            self._connection = connect(self._settings)
        return self._connection

    def given_up(self, error: psycopg.Error) -> StageError:
        """Close the connection that failed, and return what the error means for the sink."""
        self.close()
        return stage_error(error)

    def close(self) -> None:
        """Close the connection; whatever was not committed is not stored."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def is_about_a_row(error: psycopg.Error) -> bool:
    """Return whether the error may be one row's fault: its values, its key or its size."""
    return (error.sqlstate or "").startswith(_ROW_CLASSES)


def stage_error(error: psycopg.Error) -> StageError:
    """Return what a failed statement means for the sink."""
    state = error.sqlstate
    if state is None:
        # The connection broke, or the server said something that libpq did not understand.
        return DatabaseUnavailable(f"lost the destination database ({type(error).__name__})")
    reason = f"{error.diag.message_primary} (SQLSTATE {state})"
    if state.startswith(_HEALING_CLASSES) or state in _HEALING_STATES:
        return DatabaseUnavailable(f"the destination database is not ready: {reason}")
    if state == "42501":
        return DatabaseRefused(
            f"the destination database refuses: {reason}; grant the sink's role the right, or"
            " run `bemi-sink migrate` once with a role that has it"
        )
    if state.startswith(_REFUSING_CLASSES):
        return DatabaseRefused(
            f"the destination database refuses: {reason}; check DESTINATION_DB_* or DB_*"
        )
    if state.startswith("42"):
        return DatabaseUnusable(
            f"the sink's tables are not as it made them: {reason}; restore them as the files"
            " of sink_pg/migrations have them"
        )
    if state.startswith(_ROW_CLASSES):
        return DatabaseUnusable(f"the destination database cannot store progress: {reason}")
    return DatabaseUnusable(f"the destination database refuses: {reason}; see the server's log")
