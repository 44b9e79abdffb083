"""Read tables while streaming, chunk by chunk. Edge: its own connection, by calls of the capture.

The capture tells what it streams (`begin`, `row`, `truncate`, `describe`) and where it stands
between transactions (`reached`), and gets the rows to publish there; `on_idle` reads the next
chunk. Which rows may be published when is `windows`' to say.

A chunk counts as read once Kafka has acknowledged its rows, and only then is the key it ends
with stored. After a kill the chunk is read again, and the stream is shown again from before
its rows: each row ends at its last state. Keys that the settings hide are not stored, which is in a
topic: such a table is read from its start again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from producer.catalog import Catalog
from producer.change_events import ANY_PARTITION, Record
from producer.errors import DeliveryFailed, OffsetsUnreadable, from_psycopg
from producer.offset_store import KeyValues
from producer.progress import InFlight
from producer.snapshot.chunks import SnapshotTable
from producer.snapshot.copied_rows import Message
from producer.snapshot.copy_lines import copy_lines
from producer.snapshot.incremental_state import IncrementalState, KeyTexts, TableToRead
from producer.snapshot.marks import Mark, Reading
from producer.snapshot.published_tables import published_tables
from producer.snapshot.readers import ReadParts
from producer.snapshot.signals import LogMessage, Signal, SignalRefused
from producer.snapshot.statements import KeyRange, copy_keys, key_at
from producer.snapshot.table_records import TableRecords
from producer.snapshot.windows import MvccSnapshot, Windows
from schemas.change_id import Lsn, parse_lsn
from schemas.topics import SNAPSHOT_PREFIX

STORE_SECONDS = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IncrementalSettings:
    """What the settings say of incremental snapshots."""

    publication: str
    slot_name: str
    chunk_rows: int
    may_write: bool
    """Whether a message may be written into the log; without, closing a window takes longer."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that is being read."""

    table: SnapshotTable
    records: TableRecords
    key: tuple[str, ...]
    is_keyed_alike: bool
    """Events' keys tell rows apart as the table's own key does."""
    hides_key: bool
    """The table's own key has a column that is published in no record as it is."""


class _Chunk(NamedTuple):
    """A chunk that waits for its turn, or for Kafka."""

    table_name: str
    topic: str
    end: KeyTexts


class IncrementalSnapshots:
    """The incremental snapshots of one stream; `close` it with the stream."""

    def __init__(
        self,
        settings: IncrementalSettings,
        parts: ReadParts,
        store: KeyValues,
        is_captured: Callable[[str, str], bool],
        ensure_topic: Callable[[str], None],
    ) -> None:
        """Go on with what is stored; `parts` are this object's own from here on."""
        self._settings = settings
        self._parts = parts
        self._connection = parts.connection
        self._catalog = Catalog(parts.connection)
        self._store = store
        self._is_captured = is_captured
        self._ensure_topic = ensure_topic
        self._store_key = f"incremental/{settings.slot_name}"
        stored = store.get(self._store_key)
        self._state = IncrementalState()
        if stored is not None:
            try:
                self._state = IncrementalState.from_json(stored)
            except ValueError as error:
                raise OffsetsUnreadable(f"{self._store_key}: {error}") from error
        self._windows: Windows[Message] = Windows()
        self._table: _Table | None = None
        self._chunk: _Chunk | None = None
        self._position = Lsn(0)
        self._in_flight: InFlight | None = None
        self.is_following = False
        """Whether the capture must tell of rows and transactions."""

    def signal(self, signal_id: str, signal: Signal) -> None:
        """Act on a signal; returns when what it asks for is stored."""
        if isinstance(signal, LogMessage):
            log.info("signal: %s", signal.message)
            return
        try:
            captured = tuple(table.name for table in self._published())
            state = self._state.signalled(signal_id, signal, captured)
        except ValueError as error:
            raise SignalRefused(str(error)) from error
        if state != self._state:
            self._state = state
            self._save()
            if not self._store.flush(STORE_SECONDS):
                raise DeliveryFailed("Kafka has not stored a signal")
            log.info("incremental snapshot: %s tables to read", len(state.tables))

    def begin(self, xid: int) -> None:
        """Take note of a transaction that the stream begins to show."""
        self._windows.begin(xid)

    def row(self, relation_oid: int, records: Sequence[Record]) -> None:
        """Take note of a row's records, before they are published."""
        for _, key, _, _, partition in records:
            if partition != ANY_PARTITION:
                continue  # Of `.wal`; the table's topic may leave the operation out.
            if key is None:
                self._disturb(relation_oid)
            else:
                self._windows.change(relation_oid, key)
        table = self._table
        if (
            table is not None
            and not table.is_keyed_alike
            and table.table.relation.oid == relation_oid
        ):
            self._disturb(relation_oid)

    def truncate(self, relation_oids: Sequence[int]) -> None:
        """Take note of tables that were emptied."""
        for oid in relation_oids:
            self._windows.truncate(oid)

    def describe(self, relation_oid: int) -> None:
        """Take note that a relation's rows look different from here on, or are described first."""
        self._disturb(relation_oid)
        if self._table is not None and self._table.table.relation.oid == relation_oid:
            self._table = None

    def reached(self, lsn: Lsn) -> list[Record]:
        """Return the rows whose turn it is; to be called between transactions only.

        What was reached before stays reached: 0 asks again.
        """
        self._position = max(self._position, lsn)
        messages = self._windows.reached(self._position)
        if messages is None or self._chunk is None:
            return []
        topic, headers = self._chunk.topic, self._parts.headers
        if not messages:
            self._in_flight = InFlight()  # Nothing to wait for.
        return [
            (topic, message["key"], message["value"], headers, ANY_PARTITION)
            for message in messages
        ]

    def published(self, in_flight: InFlight) -> None:
        """Take note that the rows of `reached` were handed to Kafka."""
        self._in_flight = in_flight

    def on_idle(self) -> None:
        """Read the next chunk if it is time for one; to be called once a round of reading."""
        if self._in_flight is not None and not self._in_flight.pending:
            self._finish_chunk()
        if self._windows.is_open or self._in_flight is not None:
            return
        wanted = self._state.table
        if wanted is None:
            if self.is_following:
                # Done, or paused: what is streamed meanwhile need not be remembered.
                self.is_following, self._windows = False, Windows()
            return
        try:
            if not self.is_following:
                self._windows.start(self._snapshot())
                self.is_following = True
            self._read_chunk(wanted)
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            # A table that was dropped, or may not be read; a condition that is none. The stream
            # must not stop for what a signal asks.
            self._drop(wanted, _reason(error))
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def close(self) -> None:
        """Let go of the connection; what was not stored is read again."""
        self._connection.close()

    def _read_chunk(self, wanted: TableToRead) -> None:
        table = self._described(wanted)
        if table is None:
            return
        connection, relation = self._connection, table.table.relation
        keys = KeyRange(table.key, wanted.after, wanted.last)
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            snapshot = self._snapshot()
            if not self._windows.may_read(relation.oid, snapshot):
                return
            last = wanted.last or self._key_at(table, keys, wanted, None)
            end = last and self._key_at(
                table, KeyRange(table.key, wanted.after, last), wanted, self._settings.chunk_rows
            )
            messages = (
                self._copy(table, KeyRange(table.key, wanted.after, end or last), wanted.condition)
                if last
                else []
            )
        if last is None:
            self._drop(wanted, "it has no rows")
            return
        self._state = self._state.began(last, hides_key=table.hides_key)
        self._chunk = _Chunk(wanted.name, table.records.topic, end or last)
        rows = {message["key"] or b"%d" % n: message for n, message in enumerate(messages)}
        self._windows.open(relation.oid, snapshot, self._end_of_log(), rows)

    def _copy(self, table: _Table, keys: KeyRange, condition: str | None) -> list[Message]:
        statement = copy_keys(table.table, keys, condition, table.records.columns)
        now_us = time.time_ns() // 1000
        table.records.read_at(now_us)
        return [
            message
            for lines in copy_lines(self._connection, statement.as_bytes(self._connection))
            for message in table.records.messages(lines, now_us)
        ]

    def _finish_chunk(self) -> None:
        self._in_flight = None
        chunk, self._chunk = self._chunk, None
        if chunk is not None:
            self._state = self._state.read(chunk.table_name, chunk.end)
            self._save()
            if not any(table.name == chunk.table_name for table in self._state.tables):
                log.info("incremental snapshot: %s is read", chunk.table_name)
                self._table = None

    def _described(self, wanted: TableToRead) -> _Table | None:
        """Return the table as it is now, None where it cannot be read."""
        if self._table is not None and self._table.table.name == wanted.name:
            return self._table
        found = [table for table in self._published() if table.name == wanted.name]
        if not found:
            self._drop(wanted, "it is not captured any more")
            return None
        (table,) = found
        relation = table.relation
        facts = self._catalog.facts(relation)
        key = facts.key or ()
        if not key or not all(facts.columns[name].not_null for name in key):
            self._drop(wanted, "it has no key to read it by")
            return None
        shape = self._parts.shape(relation)
        topic = self._parts.topic(relation.pg_schema, relation.table)
        self._ensure_topic(topic)
        reading = Reading(None, None, time.time_ns() // 1000)
        events = self._parts.writer.relation(shape, topic)
        published_key = {shape.columns[number].name for number in shape.key}
        in_clear = {
            column.name
            for number, column in enumerate(shape.columns)
            if column.has_own_values and (column.is_written or number in shape.key)
        }
        self._table = _Table(
            table,
            TableRecords(self._parts.writer, relation, events, reading, Mark.INCREMENTAL),
            key,
            is_keyed_alike=set(key) <= published_key and _has_no_rule(shape.columns, key),
            hides_key=not set(key) <= in_clear,
        )
        return self._table

    def _drop(self, table: TableToRead, reason: str) -> None:
        log.warning("incremental snapshot: not reading %s: %s", table.name, reason)
        self._state = self._state.finished(table.name)
        self._table = None
        self._save()

    def _disturb(self, relation_oid: int) -> None:
        was_open = self._windows.is_open
        self._windows.disturb(relation_oid)
        if was_open and not self._windows.is_open:
            self._chunk = None

    def _published(self) -> list[SnapshotTable]:
        return published_tables(
            self._connection,
            self._settings.publication,
            is_wanted=self._is_captured,
            overrides={},
        )

    def _key_at(
        self, table: _Table, keys: KeyRange, wanted: TableToRead, rows: int | None
    ) -> KeyTexts | None:
        statement = key_at(table.table, keys, wanted.condition, rows=rows)
        row = self._connection.execute(statement).fetchone()
        return None if row is None else tuple(str(text) for text in row)

    def _snapshot(self) -> MvccSnapshot:
        return MvccSnapshot.parse(self._one("SELECT pg_current_snapshot()::text"))

    def _end_of_log(self) -> Lsn:
        """Return an end of the log that the stream will be past before long."""
        if self._one("SELECT pg_is_in_recovery()"):
            return parse_lsn(self._one("SELECT pg_last_wal_replay_lsn()::text"))
        end = parse_lsn(self._one("SELECT pg_current_wal_insert_lsn()::text"))
        if self._settings.may_write and self._position < end:
            # On an idle server the log may not reach the disk, or the stream, for seconds.
            self._connection.execute(
                "SELECT pg_logical_emit_message(true, %s, '')", [SNAPSHOT_PREFIX]
            )
        return end

    def _one(self, query: str) -> Any:
        row = self._connection.execute(query).fetchone()
        assert row is not None  # noqa: S101 - the query returns one row by its making.
        return row[0]

    def _save(self) -> None:
        self._store.put(self._store_key, self._state.as_json())


def _reason(error: psycopg.Error) -> str:
    """Return what the server says, without the statement and the values, which may be keys."""
    if isinstance(error, psycopg.DataError):
        return f"the server refuses a value ({type(error).__name__})"
    return error.diag.message_primary or type(error).__name__


def _has_no_rule(columns: Sequence[Any], key: Sequence[str]) -> bool:
    """Tell whether no column of the key is masked: masked keys may be alike."""
    return all(column.rule is None for column in columns if column.name in key)
