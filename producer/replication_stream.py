"""Read the replication stream and report progress to the server. Edge.

One connection in COPY BOTH mode carries WAL one way and status the other. Reading is in
batches: whatever has arrived, or one wait for more.

Protocol: PostgreSQL manual, "Streaming Replication Protocol" (XLogData, Primary keepalive
message, Standby status update) and "Logical Streaming Replication Parameters".
"""

from __future__ import annotations

import select
import struct
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import pq, sql

from producer.errors import ConnectionLost, MalformedMessage, from_psycopg
from producer.pgoutput import POSTGRES_EPOCH_US
from schemas.change_id import Lsn, format_lsn

MOST_MESSAGES = 1000
"""Messages of one batch at most, so that status is reported in time."""

SESSION_OPTIONS = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=iso_8601 -c extra_float_digits=1"
    " -c bytea_output=hex -c statement_timeout=0 -c idle_session_timeout=0"
    " -c wal_sender_timeout=60s"
)
"""A session's settings change the text of values: they are pinned, whatever the role has."""

_XLOG_DATA = ord("w")
_KEEPALIVE = ord("k")
_XLOG_DATA_HEADER = struct.Struct(">cQQq")
_KEEPALIVE_BODY = struct.Struct(">cQqB")
_STATUS_UPDATE = struct.Struct(">cQQQqB")


class XLogData(NamedTuple):
    """One pgoutput message and the position it was read at."""

    wal_start: Lsn
    payload: bytes


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The server is alive and has sent everything up to `wal_end`."""

    wal_end: Lsn
    reply_requested: bool


@dataclass(frozen=True, slots=True)
class System:
    """What IDENTIFY_SYSTEM answers."""

    system_identifier: int
    timeline: int
    database: str


class ReplicationStream:
    """An open stream. Not safe for use by several threads."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._received = Lsn(0)

    @classmethod
    def connect(cls, connection_parameters: dict[str, Any]) -> ReplicationStream:
        """Connect without reading anything yet."""
        try:
            connection = psycopg.connect(
                **connection_parameters,
                replication="database",
                options=SESSION_OPTIONS,
                autocommit=True,
            )
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        return cls(connection)

    def identify(self) -> System:
        """Return which server this is, as it says itself."""
        try:
            row = self._connection.execute("IDENTIFY_SYSTEM").fetchone()
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        if row is None:
            raise ConnectionLost("the server did not say which it is")
        return System(int(row[0]), int(row[1]), str(row[3]))

    def start(self, slot_name: str, publication_name: str, at: Lsn) -> None:
        """Begin to read after `at`, which must be the end of a transaction.

        The server begins at the slot's confirmed position where that is later.
        """
        command = sql.SQL(
            "START_REPLICATION SLOT {slot} LOGICAL {lsn} (proto_version '1', "
            "publication_names {publications}, messages 'true')"
        ).format(
            slot=sql.Identifier(slot_name),
            lsn=sql.SQL(format_lsn(at)),
            publications=sql.Literal('"{}"'.format(publication_name.replace('"', '""'))),
        )
        try:
            self._connection.execute(command)
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def read(self, timeout_seconds: float) -> list[XLogData | Keepalive]:
        """Return what has arrived, waiting so long for the first of it; may return nothing.

        Raises ConnectionLost when the server ends the stream.
        """
        messages: list[XLogData | Keepalive] = []
        get_copy_data = self._pgconn.get_copy_data
        try:
            while len(messages) < MOST_MESSAGES:
                size, data = get_copy_data(1)
                if size > 0:
                    messages.append(self._parse(bytes(data)))
                elif size == 0:
                    if messages or not self._wait(timeout_seconds):
                        break
                    # One wait a call: what came may be half a message.
                    timeout_seconds = 0.0
                else:
                    if messages:
                        break
                    self._raise_end()
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        return messages

    def report(self, confirmed: Lsn) -> None:
        """Tell the server that everything before `confirmed` is safe and may be forgotten."""
        received = max(self._received, confirmed)
        update = _STATUS_UPDATE.pack(
            b"r", received, confirmed, confirmed, time.time_ns() // 1000 - POSTGRES_EPOCH_US, 0
        )
        try:
            self._pgconn.put_copy_data(update)
            self._pgconn.flush()
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def close(self) -> None:
        """Close the connection; the server frees the slot."""
        self._connection.close()

    def _wait(self, timeout_seconds: float) -> bool:
        readable, _, _ = select.select([self._pgconn.socket], [], [], timeout_seconds)
        if not readable:
            return False
        self._pgconn.consume_input()
        return True

    def _parse(self, data: bytes) -> XLogData | Keepalive:
        kind = data[0]
        if kind == _XLOG_DATA and len(data) > _XLOG_DATA_HEADER.size:
            wal_start = Lsn(int.from_bytes(data[1:9], "big"))
            if wal_start > self._received:
                self._received = wal_start
            return XLogData(wal_start, data[_XLOG_DATA_HEADER.size :])
        if kind == _KEEPALIVE and len(data) == _KEEPALIVE_BODY.size:
            _, wal_end, _, reply_requested = _KEEPALIVE_BODY.unpack(data)
            if wal_end > self._received:
                self._received = Lsn(wal_end)
            return Keepalive(Lsn(wal_end), bool(reply_requested))
        raise MalformedMessage(f"the server sent a copy message that begins with {data[:1]!r}")

    def _raise_end(self) -> None:
        result = self._pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            raise from_psycopg(psycopg.errors.error_from_result(result))
        raise ConnectionLost("the server ended the replication stream")
