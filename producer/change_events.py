"""Turn the messages of a transaction into records for Kafka. Pure; the clock is an argument.

One message gives one event. Ordinals count every decoded message, whatever is published of it,
so a transaction sent again gets the same ones. There are at most two outputs: the tables' topics,
as the configuration wants them, and `.wal`, always readable JSON; where both would write the same
each event is written once and its bytes go to both.

A transaction is announced with its first message. One that touches only the sink's own
tables, or carries only heartbeats, leaves no trace: with `changes` in the tracked database
every stored batch would otherwise be a transaction to store.

Shapes: Debezium's PostgreSQL connector, "Data change events" and "Transaction metadata".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from producer.errors import MalformedMessage, UnknownRelation
from producer.event_source import Source
from producer.event_writer import Event, EventWriter, RelationEvents
from producer.open_transaction import OpenTransaction
from producer.pgoutput import Begin, Commit, LogicalMessage, Origin, Truncate
from producer.table_shape import TableShape
from schemas.change_id import Epoch, Lsn
from schemas.topics import (
    GAP_PREFIX,
    HEARTBEAT_PREFIX,
    MESSAGES_COLLECTION,
    SNAPSHOT_PREFIX,
    Headers,
    Topics,
    ordinal_header,
    transaction_partition,
    wal_headers,
)

ANY_PARTITION = -1
"""Let the client choose by the record's key (Kafka's PARTITION_UA)."""

Record = tuple[str, bytes | None, bytes | None, Headers | None, int]
"""Topic, key, value, headers and partition: what Kafka's produce takes."""

_UINT32 = struct.Struct(">I").unpack_from


def every_prefix(_prefix: str) -> bool:
    """Publish messages of every prefix."""
    return True


@dataclass(frozen=True, slots=True)
class Output:
    """Which records are wanted."""

    tombstones: bool = True
    transaction_metadata: bool = True
    headers: Headers | None = None
    """What each record of the tables' topics carries (extended.headers.enabled)."""
    skipped_operations: frozenset[str] = frozenset()
    skip_messages_without_change: bool = False
    publishes_message: Callable[[str], bool] = every_prefix
    heartbeats: bool = True


class _Described(NamedTuple):
    """A relation in the outputs that want it."""

    collection: str
    is_own: bool
    identity_is_full: bool
    table: RelationEvents | None
    wal: RelationEvents | None


class ChangeEvents:
    """Makes the records of one stream, message by message.

    `tables` and `wal` write the events of the two outputs. None is an output that is not
    wanted; the same writer twice is one form for both.
    """

    def __init__(
        self,
        topics: Topics,
        epoch: Epoch,
        output: Output,
        tables: EventWriter | None,
        wal: EventWriter | None,
    ) -> None:
        self._topics = topics
        # A topic's name is put together each time it is asked for.
        self._wal_topic = topics.wal
        self._message_topic = topics.message
        self._transaction_topic = topics.transaction
        self._epoch = str(epoch).encode()
        self._partitions = epoch.wal_partitions
        self._output = output
        self._has_metadata = output.transaction_metadata
        self._headers = output.headers
        self._skipped = output.skipped_operations
        self._leaves_out = bool(self._skipped) or output.skip_messages_without_change
        self._tables = tables
        self._wal = wal
        self._is_shared = tables is wal
        self._relations: dict[int, _Described | None] = {}
        self._transaction: OpenTransaction | None = None
        self._last_commit_lsn: Lsn | None = None
        self.xmin: int | None = None
        """What the source blocks of later transactions say (xmin.fetch.interval.ms)."""

    def describe(self, shape: TableShape, wal_shape: TableShape | None = None) -> None:
        """Take note of what rows with the relation's oid look like from here on.

        `wal_shape` is its shape in the value modes of `.wal`, where those differ.
        """
        topic = self._topics.table(shape.pg_schema, shape.table)
        table = wal = None
        # The sink's own tables are in no topic, and in no schema registry.
        if not shape.is_own:
            table = None if self._tables is None else self._tables.relation(shape, topic)
            wal = table
            if not self._is_shared:
                wal = None if self._wal is None else self._wal.relation(wal_shape or shape, topic)
        collection = f"{shape.pg_schema}.{shape.table}"
        self._relations[shape.oid] = _Described(
            collection, shape.is_own, shape.identity_is_full, table, wal
        )

    def ignore(self, relation_oid: int) -> None:
        """Publish nothing of the relation: the configuration leaves it out."""
        self._relations[relation_oid] = None

    def relation(self, relation_oid: int) -> RelationEvents | None:
        """Return the relation as its own topic has it, None where that is not wanted."""
        described = self._relations.get(relation_oid)
        return None if described is None or described.is_own else described.table

    def begin(self, message: Begin, lsn: Lsn) -> None:
        """Start a transaction; one that was cut off before is forgotten."""
        self._transaction = OpenTransaction(message, lsn, self._last_commit_lsn, self.xmin)
        if self._wal is not None:
            self._transaction.partition = transaction_partition(message.xid, self._partitions)
            self._transaction.wal_headers = wal_headers(self._epoch, message.commit_lsn)

    def origin(self, message: Origin) -> None:
        """Take note that the transaction was replicated from elsewhere."""
        self._current().origin = message

    def commit(self, message: Commit, lsn: Lsn) -> list[Record]:
        """End the transaction and return the records that say so."""
        transaction = self._current()
        self._transaction = None
        self._last_commit_lsn = message.end_lsn
        if transaction.touched_own and not transaction.is_announced:
            return []
        # One without any event is announced only now: Debezium reports each transaction.
        records = [] if transaction.is_announced else self._announce(transaction)
        records += self._metadata(transaction, lsn)
        return records

    def row(self, data: bytes, at: int, lsn: Lsn, now_us: int) -> list[Record]:
        """Return the records of the Insert, Update or Delete that begins at `at` in `data`.

        Where the row's key changed, the table topic gets a delete of the old key and a create
        of the new one, as Debezium does; `.wal` keeps the one update that it was.
        """
        transaction = self._current()
        try:
            (oid,) = _UINT32(data, at + 1)
        except struct.error:
            raise MalformedMessage("a row message ends before its relation") from None
        described = self._counted(transaction, oid)
        if described is None:
            return []
        relation, writer = described.table or described.wal, self._tables or self._wal
        if relation is None or writer is None:
            return []
        text = data.decode("latin-1")
        op, old_key, key, before, after = event = relation.event(data, text, at)
        table = described.table
        has_moved = old_key is not None and table is not None and key is not None and old_key != key
        if self._leaves_out and (
            self._skips_all(op, has_moved)
            or (
                self._output.skip_messages_without_change
                and described.identity_is_full
                and op == "u"
                and relation.is_unchanged(event, data, at)
            )
        ):
            return []
        records = [] if transaction.is_announced else self._announce(transaction)
        transaction.count_event(described.collection)
        key_bytes = writer.key(relation, key)
        value = writer.change(relation, transaction, lsn, op, before, after, now_us)
        wal_record = None
        # Before the table's records: those of a changed key count another event.
        if described.wal is not None and self._wal is not None and op not in self._skipped:
            wal_key, wal_value = key_bytes, value
            if relation is not described.wal:
                _, _, own_key, own_before, own_after = described.wal.event(data, text, at)
                wal_key = self._wal.key(described.wal, own_key)
                wal_value = self._wal.change(
                    described.wal, transaction, lsn, op, own_before, own_after, now_us
                )
            wal_record = self._wal_record(transaction, wal_key, wal_value)
        if table is not None:
            if has_moved:
                records += self._moved(table, transaction, event, lsn, now_us)
            else:
                topic, headers = table.topic, self._headers
                records.append((topic, key_bytes, value, headers, ANY_PARTITION))
                if op == "d" and self._output.tombstones:
                    records.append((topic, key_bytes, None, headers, ANY_PARTITION))
        if wal_record is not None:
            records.append(wal_record)
        return records

    def truncate(self, message: Truncate, lsn: Lsn, now_us: int) -> list[Record]:
        """Return one event for each table emptied; there is no key and no row."""
        transaction = self._current()
        records: list[Record] = []
        for oid in message.relation_oids:
            described = self._counted(transaction, oid)
            if described is None or "t" in self._skipped:
                continue
            if not transaction.is_announced:
                records += self._announce(transaction)
            transaction.count_event(described.collection)
            value = None
            if (relation := described.table) is not None and self._tables is not None:
                null = relation.null
                value = self._tables.change(relation, transaction, lsn, "t", null, null, now_us)
                records.append((relation.topic, None, value, self._headers, ANY_PARTITION))
            if (relation := described.wal) is not None and self._wal is not None:
                if value is None or not self._is_shared:
                    null = relation.null
                    value = self._wal.change(relation, transaction, lsn, "t", null, null, now_us)
                records.append(self._wal_record(transaction, None, value))
        return records

    def message(self, message: LogicalMessage, lsn: Lsn, now_us: int) -> list[Record]:
        """Return the records of a logical message.

        One that is not transactional has no place in the order of transactions: it goes to
        `.message` only.
        """
        transaction = None
        if message.transactional:
            transaction = self._current()
            transaction.ordinal += 1
        if message.prefix in (HEARTBEAT_PREFIX, SNAPSHOT_PREFIX):
            if transaction is not None:
                transaction.touched_own = True
            return self.heartbeat(now_us) if message.prefix == HEARTBEAT_PREFIX else []
        records: list[Record] = []
        # A gap is never left out: it is what an auditor has to see.
        is_published = message.prefix == GAP_PREFIX or self._output.publishes_message(
            message.prefix
        )
        if transaction is None:
            # As in Debezium, for which such a message is a commit of its own.
            self._last_commit_lsn = lsn
            place: OpenTransaction | Source = Source(now_us, last_commit_lsn=lsn, xmin=self.xmin)
        else:
            place = transaction
            if not transaction.is_announced:
                records += self._announce(transaction)
            if is_published or self._wal is not None:
                transaction.count_event(MESSAGES_COLLECTION)
        key = value = None
        if self._tables is not None and is_published:
            key, value = self._tables.message(place, message, lsn, now_us)
            records.append((self._message_topic, key, value, None, ANY_PARTITION))
        if self._wal is not None and transaction is not None:
            if value is None or not self._is_shared:
                key, value = self._wal.message(place, message, lsn, now_us)
            records.append(self._wal_record(transaction, key, value))
        return records

    def heartbeat(self, now_us: int) -> list[Record]:
        """Return the record that says the stream is alive."""
        if self._tables is None or not self._output.heartbeats:
            return []
        key, value = self._tables.heartbeat(now_us)
        return [(self._topics.heartbeat, key, value, None, 0)]

    def _current(self) -> OpenTransaction:
        if self._transaction is None:
            raise MalformedMessage("the server sent a message of a transaction outside of any")
        return self._transaction

    def _counted(self, transaction: OpenTransaction, relation_oid: int) -> _Described | None:
        """Count a message about a relation; return it unless its events are not wanted."""
        transaction.ordinal += 1
        try:
            described = self._relations[relation_oid]
        except KeyError:
            raise UnknownRelation(
                f"the server sent a row of relation {relation_oid} without describing it first"
            ) from None
        if described is not None and described.is_own:
            transaction.touched_own = True
            return None
        return described

    def _moved(
        self,
        relation: RelationEvents,
        transaction: OpenTransaction,
        event: Event,
        lsn: Lsn,
        now_us: int,
    ) -> list[Record]:
        """Return the table topic's records of a row whose key changed.

        For its consumers the delete is what `.wal` has as the update; the create counts anew.
        """
        writer = self._tables
        assert writer is not None  # noqa: S101 - the caller has a table topic.
        null, topic = relation.null, relation.topic
        _, old, new, before, after = event
        old_key, key = writer.key(relation, old), writer.key(relation, new)
        common = self._headers or []
        new_key_header = [("__debezium.newkey", writer.key_header(relation, new)), *common]
        old_key_header = [("__debezium.oldkey", writer.key_header(relation, old)), *common]
        records: list[Record] = []
        if "d" not in self._skipped:
            delete = writer.change(relation, transaction, lsn, "d", before, null, now_us)
            records.append((topic, old_key, delete, new_key_header, ANY_PARTITION))
            if self._output.tombstones:
                records.append((topic, old_key, None, new_key_header, ANY_PARTITION))
        if "c" not in self._skipped:
            if records:
                transaction.count_event(relation.collection)
            create = writer.change(relation, transaction, lsn, "c", null, after, now_us)
            records.append((topic, key, create, old_key_header, ANY_PARTITION))
        return records

    def _skips_all(self, op: str, has_moved: bool) -> bool:
        """Tell whether skipped.operations leaves nothing of an event.

        A changed key is a delete and a create on the table's topic, each with its own letter.
        """
        letters = {"d", "c"} if has_moved else {op}
        if has_moved and self._wal is not None:
            letters.add(op)
        return letters <= self._skipped

    def _announce(self, transaction: OpenTransaction) -> list[Record]:
        transaction.is_announced = True
        return self._metadata(transaction, None)

    def _metadata(self, transaction: OpenTransaction, end: Lsn | None) -> list[Record]:
        """Return the records that announce the transaction, or say that it ended at `end`."""
        records: list[Record] = []
        key = value = None
        if self._tables is not None and self._has_metadata:
            key, value = _written(self._tables, transaction, end)
            records.append((self._transaction_topic, key, value, None, ANY_PARTITION))
        if self._wal is not None:
            if value is None or not self._is_shared:
                key, value = _written(self._wal, transaction, end)
            headers = transaction.wal_headers
            if end is not None:
                headers = [*headers, ordinal_header(transaction.ordinal)]
            records.append((self._wal_topic, key, value, headers, transaction.partition))
        return records

    def _wal_record(
        self, transaction: OpenTransaction, key: bytes | None, value: bytes | None
    ) -> Record:
        headers = [*transaction.wal_headers, ordinal_header(transaction.ordinal)]
        return (self._wal_topic, key, value, headers, transaction.partition)


def _written(
    writer: EventWriter, transaction: OpenTransaction, end: Lsn | None
) -> tuple[bytes, bytes]:
    return writer.begin(transaction) if end is None else writer.end(transaction, end)
