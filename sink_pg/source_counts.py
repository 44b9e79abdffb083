"""What the source committed, counted from the records of `.wal`. Pure.

A transaction is counted when its END is there: what each table's END says beside what stands
in the topic, and which places (ordinals) the changes have. A transaction that was sent again
is counted once. One that was cut off has to come again whole; if it does not, that is a
finding of its own, as is a gap that the producer recorded.

Debezium counts an UPDATE that changes a key as two events, of which `.wal` has one; so the
END may exceed what stands there by the number of such updates.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import orjson

from runtime.errors import Stop
from schemas.change_id import Epoch
from schemas.envelope import Op, Status
from schemas.topics import (
    GAP_PREFIX,
    HEADER_COMMIT_LSN,
    HEADER_EPOCH,
    HEADER_ORDINAL,
    MESSAGES_COLLECTION,
)
from sink_pg.change_rows import storable_text
from sink_pg.table_patterns import Table

# A connector counts each logical message under the name of a Java object that it made for it.
_OBJECT = re.compile(r"io\.debezium\.[\w.$]+@[0-9a-f]+")
_CHANGES = tuple(op.value for op in (Op.CREATE, Op.READ, Op.UPDATE, Op.DELETE, Op.TRUNCATE))


class NotCountable(Stop):
    """The stream in `.wal` lacks what changes are counted by."""


class WalRecord(Protocol):
    """A record of `.wal`."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]: ...


class Position(NamedTuple):
    """Which transaction, among all of a pipeline."""

    epoch: str
    commit_lsn: int


@dataclass(slots=True)
class TableCount:
    """The changes of one table in one transaction."""

    changes: int = 0
    ordinals: int = 0
    """The sum of the changes' ordinals: equal counts with unequal sums are unequal changes."""
    moved: int = 0
    """Updates that changed the key."""
    declared: int | None = None
    """What END says; None where the table is not in it."""

    @property
    def is_as_declared(self) -> bool:
        """Whether END agrees with what stands in the topic."""
        return self.declared is not None and 0 <= self.declared - self.changes <= self.moved


@dataclass(slots=True)
class SourceTransaction:
    """A transaction as `.wal` has it; the offset is that of its last record."""

    position: Position
    partition: int
    offset: int
    xid: str = "unknown"
    committed_at_us: int | None = None
    """None where nothing in it says so."""
    database: str = ""
    tables: dict[Table, TableCount] = field(default_factory=dict)
    unreadable: int = 0
    gaps: list[str] = field(default_factory=list)
    has_begin: bool = False
    is_of_connector: bool = False
    """Known by its id and commit time, not by its commit LSN; ordinals are not known."""

    @property
    def system_identifier(self) -> str:
        """The source's, by which `changes` knows its transactions whatever slot sent them."""
        return str(Epoch.parse(self.position.epoch).system_identifier)

    def undeclared(self) -> Iterator[tuple[Table, TableCount]]:
        """Give the tables of which END says something else than stands in the topic."""
        return ((table, each) for table, each in self.tables.items() if not each.is_as_declared)


class PartitionCounts:
    """Counts one partition, record by record, in the memory of one transaction.

    `is_from_beginning` says that nothing came before: else what the first transaction lacks
    may stand before the place at which reading began.
    """

    def __init__(self, is_from_beginning: bool = True) -> None:
        self._open: SourceTransaction | None = None
        self._cut: dict[int, SourceTransaction] = {}
        self._lost: list[SourceTransaction] = []
        self._newest: dict[str, int] = {}
        self._may_lack_begin = not is_from_beginning

    def take(self, record: WalRecord) -> SourceTransaction | None:
        """Take the next record; return the transaction that it completes, the first time.

        Raises NotCountable where it has not the headers that the producer gives each record.
        """
        if record.value is None:
            return None
        headers = dict(record.headers)
        position = _position(record, headers)
        event = read_event(record.value)
        op, status = event.get("op"), event.get("status")
        if status == Status.BEGIN.value and op is None:
            self._begin(position, record).has_begin = True
            return None
        transaction = self._open
        if transaction is None or transaction.position != position:
            transaction = self._begin(position, record)
        transaction.offset = record.offset
        source = event.get("source")
        if transaction.committed_at_us is None and isinstance(source, dict):
            note_commit(transaction, source)
        if op in _CHANGES:
            _count(transaction, record, headers, event)
        elif op == Op.MESSAGE.value:
            _note_gap(transaction, event)
        elif status == Status.END.value:
            return self._end(transaction, event)
        else:
            transaction.unreadable += 1
        return None

    def unfinished(self) -> list[SourceTransaction]:
        """Return those that were cut off and did not come again before a later one did.

        The producer sends by commit LSN, so what a later one overtook will not come any more.
        """
        return list(self._lost)

    def _begin(self, position: Position, record: WalRecord) -> SourceTransaction:
        cut = self._open
        if cut is not None and cut.position != position:
            self._cut[cut.position.commit_lsn] = cut
        self._open = SourceTransaction(position, record.partition, record.offset)
        return self._open

    def _end(
        self, transaction: SourceTransaction, event: dict[str, Any]
    ) -> SourceTransaction | None:
        self._open = None
        position = transaction.position
        self._cut.pop(position.commit_lsn, None)
        overtaken = [lsn for lsn in self._cut if lsn < position.commit_lsn]
        self._lost += [self._cut.pop(lsn) for lsn in overtaken]
        may_lack_begin, self._may_lack_begin = self._may_lack_begin, False
        if may_lack_begin and not transaction.has_begin:
            return None
        if self._newest.get(position.epoch, -1) >= position.commit_lsn:
            return None
        self._newest[position.epoch] = position.commit_lsn
        declare(transaction, event)
        return transaction


def _position(record: WalRecord, headers: dict[str, bytes | None]) -> Position:
    epoch, commit_lsn = headers.get(HEADER_EPOCH), headers.get(HEADER_COMMIT_LSN)
    if epoch is None or commit_lsn is None or not commit_lsn.isdigit() or not _is_epoch(epoch):
        raise NotCountable(
            f"{record.topic} [{record.partition}] offset {record.offset} has no headers"
            f" {HEADER_EPOCH} and {HEADER_COMMIT_LSN}: only what bemi's producer writes can be"
            " verified"
        )
    return Position(epoch.decode(), int(commit_lsn))


@lru_cache(maxsize=64)
def _is_epoch(header: bytes) -> bool:
    try:
        Epoch.parse(header.decode())
    except ValueError:
        return False
    return True


def read_event(value: bytes) -> dict[str, Any]:
    """Return the object that a record's value is; an empty one for anything else."""
    try:
        event = orjson.loads(value)
    except ValueError:
        try:
            event = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return event if isinstance(event, dict) else {}


def _count(
    transaction: SourceTransaction,
    record: WalRecord,
    headers: dict[str, bytes | None],
    event: dict[str, Any],
) -> None:
    source, ordinal = event.get("source"), headers.get(HEADER_ORDINAL)
    if not isinstance(source, dict) or ordinal is None or not ordinal.isdigit():
        transaction.unreadable += 1
        return
    table = Table(text_of(source.get("schema")), text_of(source.get("table")))
    count = transaction.tables.setdefault(table, TableCount())
    count.changes += 1
    count.ordinals += int(ordinal)
    if event.get("op") == Op.UPDATE.value and _has_moved(record.key, event.get("before")):
        count.moved += 1


def note_commit(transaction: SourceTransaction, source: dict[str, Any]) -> None:
    """Take from an event's `source` what it says of its transaction."""
    commit_time, xid = source.get("ts_us"), source.get("txId")
    if isinstance(commit_time, int):
        transaction.committed_at_us = commit_time
    if isinstance(xid, int):
        transaction.xid = str(xid)
    transaction.database = text_of(source.get("db"))


def text_of(name: object) -> str:
    """Return the name as `changes` has it, which cannot hold every character."""
    return storable_text(name) if isinstance(name, str) else ""


def _has_moved(key: bytes | None, before: object) -> bool:
    # An update's old row is there where its key changed, or with REPLICA IDENTITY FULL.
    if key is None or not isinstance(before, dict):
        return False
    return any(before.get(name) != value for name, value in read_event(key).items())


def _note_gap(transaction: SourceTransaction, event: dict[str, Any]) -> None:
    message = event.get("message")
    if isinstance(message, dict) and message.get("prefix") == GAP_PREFIX:
        try:
            gap = json.loads(b64decode(message["content"]))
            text = f"{gap['reason']} from {gap['from_lsn']} to {gap['to_lsn']}"
        except (KeyError, TypeError, ValueError):
            text = "it cannot be read"
        transaction.gaps.append(text)


def declare(transaction: SourceTransaction, event: dict[str, Any]) -> None:
    """Take from END how many changes each table has."""
    collections = event.get("data_collections")
    by_name = {str(table): table for table in transaction.tables}
    for collection in collections if isinstance(collections, list) else []:
        if not isinstance(collection, dict):
            continue
        name, count = text_of(collection.get("data_collection")), collection.get("event_count")
        if name == MESSAGES_COLLECTION or _OBJECT.fullmatch(name) or not isinstance(count, int):
            continue
        # Where nothing of the table is there, its name alone tells its schema.
        table = by_name.get(name) or Table(*_split(name))
        transaction.tables.setdefault(table, TableCount()).declared = count


def _split(name: str) -> tuple[str, str]:
    pg_schema, _, table = name.partition(".")
    return pg_schema, table
