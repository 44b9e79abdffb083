"""Publish what the messages of the stream say, transaction by transaction.

Where the pure parts that each message goes through are joined: `pgoutput`, `change_events`,
`progress`. It knows no server: what was read comes in, records go out through `publish`, what
describes a table is handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from producer.change_events import ChangeEvents, Record
from producer.copy_messages import PAYLOAD_AT, XLOG_DATA, keepalive, position_of
from producer.errors import MalformedMessage
from producer.pgoutput import (
    Begin,
    Commit,
    LogicalMessage,
    Origin,
    Relation,
    Truncate,
    decode,
)
from producer.progress import InFlight, Progress
from schemas.change_id import Lsn
from schemas.topics import HEARTBEAT_PREFIX

_INSERT: Final = 73
_UPDATE: Final = 85
_DELETE: Final = 68


class Follower(Protocol):
    """Who reads tables beside the stream, and has to see what is streamed meanwhile."""

    @property
    def is_listening(self) -> bool:
        """Whether rows concern it now."""

    def relation(self, relation: Relation) -> None:
        """Take note of what a relation's rows look like."""

    def begin(self, xid: int) -> None:
        """Take note of a transaction."""

    def row(self, data: bytes, at: int, records: Sequence[Record]) -> None:
        """Take note of a row message, at `at` in `data`, and the records made of it."""

    def truncate(self, relation_oids: Sequence[int]) -> None:
        """Take note of emptied tables."""

    def reached(self, lsn: Lsn) -> list[Record]:
        """Return the records of the rows whose turn it is now."""

    def published(self, in_flight: InFlight) -> None:
        """Take note that those have been handed to Kafka."""


class Taken:
    """What a batch of messages was."""

    def __init__(self) -> None:
        self.kinds = bytearray()
        """The letter that each message begins with, keepalives apart."""
        self.records = 0
        self.heartbeats = 0
        self.reply_requested = False
        """Whether the server wants an answer."""


class StreamPublisher:
    """Publishes one stream; `describe` is told of each relation before its first row."""

    def __init__(
        self,
        events: ChangeEvents,
        publish: Callable[[list[Record], InFlight], None],
        progress: Progress,
        follower: Follower | None,
        describe: Callable[[Relation], None],
        *,
        confirms_keepalives: bool,
    ) -> None:
        """Begin outside of any transaction.

        `confirms_keepalives` lets an idle stream confirm what the server has read for other
        databases (lsn.flush.mode=connector_and_driver).
        """
        self._events = events
        self._publish_records = publish
        self._progress = progress
        self._follower = follower
        self._describe = describe
        self._confirms_keepalives = confirms_keepalives
        self._transaction: InFlight | None = None
        self._records: list[Record] = []
        self.committed_us = 0
        """When the last transaction that has ended was committed, in microseconds."""

    def take(self, messages: list[bytes], now_us: int) -> Taken:
        """Publish what the messages say; raises MalformedMessage where one is none."""
        taken = Taken()
        kinds = taken.kinds
        follower = self._follower
        is_followed = follower is not None and follower.is_listening
        for data in messages:
            if data[0] != XLOG_DATA or len(data) <= PAYLOAD_AT:
                self._take_keepalive(data, taken)
                continue
            kind = data[PAYLOAD_AT]
            kinds.append(kind)
            if kind in (_INSERT, _UPDATE, _DELETE):
                records = self._events.row(data, PAYLOAD_AT, position_of(data), now_us)
                if is_followed and follower is not None:
                    follower.row(data, PAYLOAD_AT, records)
                self._records += records
            else:
                self._take_other(data, now_us, taken)
        self._publish(taken)
        return taken

    def publish_alone(self, records: list[Record]) -> None:
        """Publish what belongs to no transaction; later ones wait for it to be confirmed."""
        if records:
            alone = self._progress.begin()
            self._publish_records(records, alone)
            self._progress.commit(alone, Lsn(0))

    def publish_read_rows(self, reached: Lsn) -> None:
        """Publish the rows, read beside the stream, whose turn it is where the stream stands."""
        if self._follower is None or self._transaction is not None:
            return
        records = self._follower.reached(reached)
        if records:
            alone = self._progress.begin()
            self._publish_records(records, alone)
            self._progress.commit(alone, Lsn(0))
            self._follower.published(alone)

    def _take_keepalive(self, data: bytes, taken: Taken) -> None:
        alive = keepalive(data)
        if self._confirms_keepalives:
            self._progress.idle(alive.wal_end)
        taken.reply_requested = taken.reply_requested or alive.reply_requested
        self.publish_read_rows(alive.wal_end)

    def _take_other(self, data: bytes, now_us: int, taken: Taken) -> None:
        """Take what is no row: what surrounds and describes the rows."""
        message = decode(data[PAYLOAD_AT:])
        lsn = position_of(data)
        events = self._events
        follower = self._follower
        if isinstance(message, Begin):
            self._transaction = self._progress.begin()
            events.begin(message, lsn)
            if follower is not None:
                follower.begin(message.xid)
        elif isinstance(message, LogicalMessage):
            if message.prefix == HEARTBEAT_PREFIX:
                taken.heartbeats += 1
            records = events.message(message, lsn, now_us)
            if message.transactional:
                self._records += records
            else:
                taken.records += len(records)
                self.publish_alone(records)
        elif isinstance(message, Commit):
            self._records += events.commit(message, lsn)
            self._publish(taken)
            self._progress.commit(self._in_flight(), message.end_lsn)
            self._transaction = None
            self.committed_us = message.commit_time_us
            if follower is not None:
                self.publish_read_rows(message.end_lsn)
        elif isinstance(message, Truncate):
            self._records += events.truncate(message, lsn, now_us)
            if follower is not None:
                follower.truncate(message.relation_oids)
        elif isinstance(message, Relation):
            if follower is not None:
                follower.relation(message)
            self._describe(message)
        elif isinstance(message, Origin):
            events.origin(message)

    def _publish(self, taken: Taken) -> None:
        """Hand over what has been made of the transaction that is being read."""
        records = self._records
        if records:
            taken.records += len(records)
            self._publish_records(records, self._in_flight())
            records.clear()

    def _in_flight(self) -> InFlight:
        if self._transaction is None:
            raise MalformedMessage("the server sent a change outside of any transaction")
        return self._transaction
