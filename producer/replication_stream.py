"""Read the replication stream and report progress to the server. Edge.

One connection in COPY BOTH mode carries WAL one way and status the other. Reading is in
batches: whatever has arrived, or one wait for more.

Protocol: PostgreSQL manual, "Streaming Replication Protocol" and "Logical Streaming Replication
Parameters".
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq, sql

from producer.copy_messages import XLOG_DATA, position_of, status_update, take_at_hand
from producer.errors import ConnectionLost, from_psycopg
from producer.source_state import ServerState, parse_timeline_history
from producer.sql_connection import TEXT_OPTIONS, split_statements
from schemas.change_id import Lsn, format_lsn, parse_lsn

MOST_MESSAGES = 1000
"""Messages of one batch at most, so that status is reported in time."""

MOST_BYTES = 4 * 1024 * 1024
"""Bytes of one batch at most, but for a single larger message."""

SESSION_OPTIONS = (
    f"{TEXT_OPTIONS} -c statement_timeout=0 -c idle_session_timeout=0 -c wal_sender_timeout=60s"
)

SILENCE_SECONDS = 60.0
"""A server that says nothing for so long, asked several times, is not there any more."""

QUESTIONS_IN_SILENCE = 4

WAIT_SECONDS = 1.0

# From 15 on options are a list in parentheses; only there FAILOVER has a place.
OPTION_LIST_VERSION = 150_000
FAILOVER_VERSION = 170_000


@dataclass(frozen=True, slots=True)
class MadeSlot:
    """A new slot: where it begins, and the snapshot that shows all that lies before.

    The snapshot lasts until the next command on the stream that made the slot.
    """

    consistent_point: Lsn
    snapshot_name: str | None


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What is asked of pgoutput beside what decoding relies on."""

    parameters: Mapping[str, str] = field(default_factory=dict)  # Debezium's slot.stream.params.
    silence_seconds: float = SILENCE_SECONDS


class ReplicationStream:
    """An open stream. Not safe for use by several threads."""

    def __init__(
        self, connection: psycopg.Connection[Any], options: StreamOptions | None = None
    ) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._options = options or StreamOptions()
        self._received = Lsn(0)
        self._confirmed = Lsn(0)
        # Counted only while listening: a server is not silent because nobody reads.
        self._silent_seconds = 0.0
        self._questions = 0

    @classmethod
    def connect(
        cls,
        connection_parameters: dict[str, Any],
        *,
        options: StreamOptions | None = None,
        initial_statements: str = "",
    ) -> ReplicationStream:
        """Connect without reading anything yet.

        The statements are those of Debezium's database.initial.statements, run one by one.
        """
        try:
            connection = psycopg.connect(
                **connection_parameters,
                replication="database",
                options=SESSION_OPTIONS,
                autocommit=True,
            )
            for statement in split_statements(initial_statements):
                connection.execute(statement.encode())
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        return cls(connection, options)

    @property
    def server_process(self) -> int:
        """The process that serves the stream, as the server numbers it."""
        return self._pgconn.backend_pid

    def fileno(self) -> int:
        """Return the socket's number, for whoever waits for several things."""
        return self._pgconn.socket

    def identify(self, *, is_standby: bool = False) -> ServerState:
        """Return which server this is and how far its history goes, as it says itself."""
        try:
            row = self._connection.execute("IDENTIFY_SYSTEM").fetchone()
            if row is None:
                raise ConnectionLost("the server did not say which it is")
            timeline = int(row[1])
            history = ""
            if timeline > 1:
                answer = self._connection.execute(f"TIMELINE_HISTORY {timeline}").fetchone()
                content = answer[1] if answer else b""
                history = content.decode() if isinstance(content, bytes) else str(content)
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        return ServerState(
            system_identifier=int(row[0]),
            timeline=timeline,
            database=str(row[3]),
            wal_end=parse_lsn(row[2]),
            version=self._connection.info.server_version,
            is_standby=is_standby,
            timeline_ends=parse_timeline_history(history),
        )

    def make_slot(
        self, name: str, *, failover: bool = False, while_waiting: Callable[[], None]
    ) -> MadeSlot:
        """Make a slot that begins now, once every transaction open now has ended.

        That can take as long as the oldest of them: `while_waiting` is called each second and
        may raise to give up. Manual: "Streaming Replication Protocol", CREATE_REPLICATION_SLOT.
        """
        version = self._connection.info.server_version
        options = sql.SQL("EXPORT_SNAPSHOT")
        if version >= OPTION_LIST_VERSION:
            options = sql.SQL("(SNAPSHOT 'export')")
        if failover and version >= FAILOVER_VERSION:
            options = sql.SQL("(SNAPSHOT 'export', FAILOVER true)")
        command = sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput {}").format(
            sql.Identifier(name), options
        )
        try:
            row = self._execute_patiently(command.as_bytes(self._connection), while_waiting)
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        return MadeSlot(parse_lsn(row[1] or ""), row[2])

    def make_failover(self, slot_name: str) -> None:
        """Let standbys take over a slot that was made without that."""
        command = sql.SQL("ALTER_REPLICATION_SLOT {} (FAILOVER true)")
        try:
            self._connection.execute(command.format(sql.Identifier(slot_name)))
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def start(self, slot_name: str, publication_name: str, at: Lsn) -> None:
        """Begin to read after `at`, which must be the end of a transaction.

        The server begins at the slot's confirmed position where that is later.
        """
        parameters = {
            **self._options.parameters,
            "proto_version": "1",
            "publication_names": '"{}"'.format(publication_name.replace('"', '""')),
            "messages": "true",
        }
        command = sql.SQL("START_REPLICATION SLOT {slot} LOGICAL {lsn} ({parameters})").format(
            slot=sql.Identifier(slot_name),
            lsn=sql.SQL(format_lsn(at)),
            parameters=sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.Literal(value))
                for name, value in parameters.items()
            ),
        )
        try:
            self._connection.execute(command)
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        self._confirmed = at

    def read(
        self, timeout_seconds: float, before_waiting: Callable[[], object] = lambda: None
    ) -> list[bytes]:
        """Return what has arrived, waiting so long for the first of it; may return nothing.

        `before_waiting` is called where nothing has: while there is a backlog it never is.

        Each is a whole XLogData, which begins with XLOG_DATA, or a keepalive. They are not
        taken apart here: that took a third of the time of reading.

        Raises ConnectionLost when the server ends the stream, or has been silent for too long
        although it was asked to answer: a connection may be dead without either end knowing.
        """
        messages: list[bytes] = []
        get_copy_data = self._pgconn.get_copy_data
        try:
            while True:
                answer = take_at_hand(get_copy_data, messages, MOST_MESSAGES, MOST_BYTES)
                if messages:
                    break
                if answer < 0:
                    self._raise_end()
                if not self._wait(0.0):
                    before_waiting()
                    if not self._wait(timeout_seconds):
                        break
                # One wait a call: what came may be half a message.
                timeout_seconds = 0.0
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        if messages:
            self._silent_seconds = 0.0
            self._questions = 0
            self._note_received(messages)
        return messages

    def report(self, confirmed: Lsn, *, ask: bool = False) -> None:
        """Tell the server that everything before `confirmed` is safe and may be forgotten.

        Asked, it answers by a keepalive at once.
        """
        self._confirmed = confirmed
        received = max(self._received, confirmed)
        update = status_update(received, confirmed, time.time_ns() // 1000, ask=ask)
        try:
            self._pgconn.put_copy_data(update)
            self._pgconn.flush()
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def close(self) -> None:
        """Close the connection; the server frees the slot."""
        self._connection.close()

    def _wait(self, timeout_seconds: float) -> bool:
        began = time.monotonic()
        readable, _, _ = select.select([self._pgconn.socket], [], [], timeout_seconds)
        if not readable:
            self._note_silence(time.monotonic() - began)
            return False
        self._pgconn.consume_input()
        return True

    def _note_silence(self, seconds: float) -> None:
        self._silent_seconds += seconds
        limit = self._options.silence_seconds
        if self._silent_seconds >= limit:
            raise ConnectionLost(f"the server has been silent for {limit:g} seconds")
        if self._silent_seconds >= limit * (self._questions + 1) / QUESTIONS_IN_SILENCE:
            self._questions += 1
            self.report(self._confirmed, ask=True)

    def _execute_patiently(
        self, command: bytes, while_waiting: Callable[[], None]
    ) -> list[str | None]:
        """Run a command that may take long, and return its row."""
        pgconn = self._pgconn
        pgconn.send_query(command)
        try:
            pgconn.flush()
            while pgconn.is_busy():
                readable, _, _ = select.select([pgconn.socket], [], [], WAIT_SECONDS)
                if readable:
                    pgconn.consume_input()
                else:
                    while_waiting()
        except BaseException:
            # Closing alone leaves the server waiting: it looks at the connection only later.
            with contextlib.suppress(psycopg.Error):
                pgconn.get_cancel().cancel()
            raise
        row: list[bytes | None] = []
        while (result := pgconn.get_result()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
            if result.ntuples:
                row = [result.get_value(0, column) for column in range(result.nfields)]
        if not row:
            raise ConnectionLost("the server did not answer")
        return [None if value is None else value.decode() for value in row]

    def _note_received(self, messages: list[bytes]) -> None:
        for data in reversed(messages):
            # Keepalives say it too; positions within a transaction go up and down a little.
            self._received = max(self._received, position_of(data))
            if data[0] == XLOG_DATA:
                return

    def _raise_end(self) -> None:
        result = self._pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            raise from_psycopg(psycopg.errors.error_from_result(result))
        raise ConnectionLost("the server ended the replication stream")
