"""Turn the messages of a transaction into records for Kafka. Pure; the clock is an argument.

One message gives one event, serialized once: its bytes go to the event's own topic and to
`.wal`. Ordinals count every decoded message, whatever is published of it, so a transaction
sent again gets the same ones.

A transaction is announced with its first message. One that touches only the sink's own
tables, or carries only heartbeats, leaves no trace: with `changes` in the tracked database
every stored batch would otherwise be a transaction to store.

Shapes: Debezium's PostgreSQL connector, "Data change events" and "Transaction metadata".
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from producer.errors import MalformedMessage, UnknownRelation
from producer.open_transaction import OpenTransaction
from producer.pgoutput import Begin, Commit, Delete, Insert, LogicalMessage, Truncate, Update
from producer.relations import RowEncoder
from schemas.change_id import Epoch, Lsn
from schemas.topics import HEARTBEAT_PREFIX, Headers, Topics, transaction_partition, wal_headers

VERSION = b"0.1.0"
ANY_PARTITION = -1
"""Let the client choose by the record's key (Kafka's PARTITION_UA)."""


_MESSAGES = b"LOGICAL_DECODING_MESSAGE"
"""Under which name a transaction's logical messages are counted."""

_SOURCE_END = b',"xmin":null,"origin":null,"origin_lsn":null}'


class Record(NamedTuple):
    """A record to publish: what Kafka's produce takes."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None
    partition: int


@dataclass(frozen=True, slots=True)
class Output:
    """Which records are wanted."""

    tables: bool = True
    wal: bool = True
    tombstones: bool = True
    transaction_metadata: bool = True


class _Described(NamedTuple):
    """A relation, the topic of its events and its name in the counts of a transaction."""

    encoder: RowEncoder
    topic: str
    collection: bytes


class ChangeEvents:
    """Makes the records of one stream, message by message."""

    def __init__(self, topics: Topics, epoch: Epoch, output: Output) -> None:
        self._topics = topics
        self._epoch = str(epoch).encode()
        self._partitions = epoch.wal_partitions
        self._output = output
        self._prefix = orjson.dumps(topics.prefix)
        self._database = orjson.dumps(epoch.database)
        self._relations: dict[int, _Described] = {}
        self._transaction: OpenTransaction | None = None
        self._last_commit_lsn: Lsn | None = None
        self._clock_us = -1
        self._clock_json = b""

    def topic_of(self, relation: RowEncoder) -> str:
        """Return the topic that the relation's events go to."""
        return self._topics.table(relation.relation.pg_schema, relation.relation.table)

    def describe(self, relation: RowEncoder) -> None:
        """Take note of what rows with the relation's oid look like from here on."""
        described = relation.relation
        self._relations[described.oid] = _Described(
            relation,
            self.topic_of(relation),
            f"{described.pg_schema}.{described.table}".encode(),
        )
        if self._transaction is not None:
            self._transaction.source_parts.pop(described.oid, None)

    def begin(self, message: Begin, lsn: Lsn) -> None:
        """Start a transaction; one that was cut off before is forgotten."""
        partition = transaction_partition(message.xid, self._partitions)
        self._transaction = OpenTransaction(message, lsn, partition)

    def commit(self, message: Commit, lsn: Lsn) -> list[Record]:
        """End the transaction and return the records that say so."""
        transaction = self._current()
        self._transaction = None
        self._last_commit_lsn = message.end_lsn
        if transaction.touched_own and not transaction.is_announced:
            return []
        # One without any event is announced only now: Debezium reports each transaction.
        records = [] if transaction.is_announced else self._announce(transaction)
        collections = b",".join(
            b'{"data_collection":%b,"event_count":%d}' % (orjson.dumps(name.decode()), count)
            for name, count in transaction.counts.items()
        )
        value = (
            b'{"status":"END","id":"%b:%d","event_count":%d,"data_collections":[%b],"ts_ms":%d}'
            % (
                transaction.id_prefix,
                lsn,
                transaction.total_order,
                collections,
                message.commit_time_us // 1000,
            )
        )
        return records + self._metadata(transaction, lsn, value, transaction.ordinal)

    def insert(self, message: Insert, lsn: Lsn, now_us: int) -> list[Record]:
        """Return the records of a new row."""
        described = self._event_of(message.relation_oid)
        if described is None:
            return []
        relation = described.encoder
        row = relation.inserted(message.payload)
        key = relation.key(row)
        value = self._envelope(described, lsn, now_us, b"c", b"null", relation.row(row))
        return self._records([Record(described.topic, key, value, None, ANY_PARTITION)], key, value)

    def update(self, message: Update, lsn: Lsn, now_us: int) -> list[Record]:
        """Return the records of a changed row.

        Where its key changed, the table topic gets a delete of the old key and a create of
        the new one, as Debezium does; `.wal` keeps the one update that it was.
        """
        described = self._event_of(message.relation_oid)
        if described is None:
            return []
        relation = described.encoder
        old, new = relation.updated(message.payload)
        key = relation.key(new)
        after = relation.row(new)
        if old is None:
            value = self._envelope(described, lsn, now_us, b"u", b"null", after)
            return self._records(
                [Record(described.topic, key, value, None, ANY_PARTITION)], key, value
            )
        before = relation.before(old)
        old_key = relation.key(old.values)
        value = self._envelope(described, lsn, now_us, b"u", before, after)
        if key == old_key or key is None or old_key is None:
            return self._records(
                [Record(described.topic, key, value, None, ANY_PARTITION)], key, value
            )
        if not self._output.tables:
            return self._records([], key, value)
        # For consumers of the table topic the delete is what `.wal` has as the update.
        delete = self._envelope(
            described, lsn, now_us, b"d", before, b"null", is_counted_already=True
        )
        create = self._envelope(described, lsn, now_us, b"c", b"null", after)
        new_key_header = [("__debezium.newkey", key)]
        old_key_header = [("__debezium.oldkey", old_key)]
        table_records = [Record(described.topic, old_key, delete, new_key_header, ANY_PARTITION)]
        if self._output.tombstones:
            table_records.append(
                Record(described.topic, old_key, None, new_key_header, ANY_PARTITION)
            )
        table_records.append(Record(described.topic, key, create, old_key_header, ANY_PARTITION))
        return self._records(table_records, key, value)

    def delete(self, message: Delete, lsn: Lsn, now_us: int) -> list[Record]:
        """Return the records of a removed row: the delete and, if wanted, its tombstone."""
        described = self._event_of(message.relation_oid)
        if described is None:
            return []
        relation = described.encoder
        old = relation.deleted(message.payload)
        key = relation.key(old.values)
        before = relation.before(old)
        value = self._envelope(described, lsn, now_us, b"d", before, b"null")
        table_records = [Record(described.topic, key, value, None, ANY_PARTITION)]
        if self._output.tombstones:
            table_records.append(Record(described.topic, key, None, None, ANY_PARTITION))
        return self._records(table_records, key, value)

    def truncate(self, message: Truncate, lsn: Lsn, now_us: int) -> list[Record]:
        """Return one event for each table emptied; there is no key and no row."""
        records = []
        for oid in message.relation_oids:
            described = self._event_of(oid)
            if described is None:
                continue
            value = self._envelope(described, lsn, now_us, b"t", b"null", b"null")
            table_records = [Record(described.topic, None, value, None, ANY_PARTITION)]
            records += self._records(table_records, None, value)
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
        if message.prefix == HEARTBEAT_PREFIX:
            if transaction is not None:
                transaction.touched_own = True
            return self._heartbeat(now_us)
        announcement: list[Record] = []
        if transaction is None:
            commit_us, xid, block = now_us, b"null", b"null"
        else:
            if not transaction.is_announced:
                announcement = self._announce(transaction)
            commit_us, xid = transaction.begin.commit_time_us, transaction.id_prefix
            transaction.count_event(_MESSAGES)
            block = self._transaction_block(transaction, b"%d" % lsn, _MESSAGES)
        head, tail = self._source_parts(commit_us, b'""', b'""', xid)
        prefix = orjson.dumps(message.prefix)
        value = (
            b'{"op":"m","ts_ms":%d,"source":%b%d%b%d%b,"transaction":%b,'
            b'"message":{"prefix":%b,"content":"%b"}}'
        ) % (
            now_us // 1000,
            head,
            lsn,
            tail,
            lsn,
            _SOURCE_END,
            block,
            prefix,
            b64encode(message.content),
        )
        key = b'{"prefix":%b}' % prefix
        own = [Record(self._topics.message, key, value, None, ANY_PARTITION)]
        if transaction is None:
            return own if self._output.tables else []
        return announcement + self._records(own, key, value)

    def _current(self) -> OpenTransaction:
        if self._transaction is None:
            raise MalformedMessage("the server sent a message of a transaction outside of any")
        return self._transaction

    def _event_of(self, relation_oid: int) -> _Described | None:
        """Count a message about a relation; return it unless its events are not wanted."""
        transaction = self._current()
        transaction.ordinal += 1
        described = self._relations.get(relation_oid)
        if described is None:
            raise UnknownRelation(
                f"the server sent a row of relation {relation_oid} without describing it first"
            )
        if described.encoder.is_own:
            transaction.touched_own = True
            return None
        return described

    def _envelope(
        self,
        described: _Described,
        lsn: Lsn,
        now_us: int,
        op: bytes,
        before: bytes,
        after: bytes,
        *,
        is_counted_already: bool = False,
    ) -> bytes:
        transaction = self._current()
        oid = described.encoder.relation.oid
        parts = transaction.source_parts.get(oid)
        if parts is None:
            relation = described.encoder.relation
            parts = transaction.source_parts[oid] = self._source_parts(
                transaction.begin.commit_time_us,
                orjson.dumps(relation.pg_schema),
                orjson.dumps(relation.table),
                transaction.id_prefix,
            )
        head, tail = parts
        position = b"%d" % lsn
        if not is_counted_already:
            transaction.count_event(described.collection)
        return b"".join(
            (
                b'{"before":',
                before,
                b',"after":',
                after,
                b',"source":',
                head,
                position,
                tail,
                position,
                _SOURCE_END,
                b',"transaction":',
                self._transaction_block(transaction, position, described.collection),
                b',"op":"',
                op,
                b'",',
                self._clock(now_us),
            )
        )

    def _clock(self, now_us: int) -> bytes:
        """Return the envelope's own times, which whole batches of messages share."""
        if now_us != self._clock_us:
            self._clock_us = now_us
            self._clock_json = b'"ts_ms":%d,"ts_us":%d,"ts_ns":%d000}' % (
                now_us // 1000,
                now_us,
                now_us,
            )
        return self._clock_json

    def _source_parts(
        self, commit_us: int, pg_schema: bytes, table: bytes, xid: bytes
    ) -> tuple[bytes, bytes]:
        """Return the source block up to its first LSN, and from there to its second."""
        last = self._last_commit_lsn
        head = (
            b'{"version":"%b","connector":"postgresql","name":%b,"ts_ms":%d,"snapshot":"false",'
            b'"db":%b,"sequence":"[%b,\\"'
        ) % (
            VERSION,
            self._prefix,
            commit_us // 1000,
            self._database,
            b"null" if last is None else b'\\"%d\\"' % last,
        )
        tail = b'\\"]","ts_us":%d,"ts_ns":%d000,"schema":%b,"table":%b,"txId":%b,"lsn":' % (
            commit_us,
            commit_us,
            pg_schema,
            table,
            xid,
        )
        return head, tail

    def _transaction_block(
        self, transaction: OpenTransaction, position: bytes, collection: bytes
    ) -> bytes:
        if not self._output.transaction_metadata:
            return b"null"
        return b'{"id":"%b:%b","total_order":%d,"data_collection_order":%d}' % (
            transaction.id_prefix,
            position,
            transaction.total_order,
            transaction.counts[collection],
        )

    def _records(
        self, own_topic: list[Record], wal_key: bytes | None, wal_value: bytes
    ) -> list[Record]:
        """Return what is wanted: BEGIN where it is due, the own topic's records, `.wal`'s."""
        transaction = self._current()
        records = [] if transaction.is_announced else self._announce(transaction)
        if self._output.tables:
            records += own_topic
        if self._output.wal:
            headers = wal_headers(self._epoch, transaction.begin.commit_lsn, transaction.ordinal)
            records.append(
                Record(self._topics.wal, wal_key, wal_value, headers, transaction.partition)
            )
        return records

    def _announce(self, transaction: OpenTransaction) -> list[Record]:
        transaction.is_announced = True
        value = (
            b'{"status":"BEGIN","id":"%b:%d","event_count":null,"data_collections":null,"ts_ms":%d}'
            % (
                transaction.id_prefix,
                transaction.begin_lsn,
                transaction.begin.commit_time_us // 1000,
            )
        )
        return self._metadata(transaction, transaction.begin_lsn, value, None)

    def _metadata(
        self, transaction: OpenTransaction, lsn: Lsn, value: bytes, ordinal: int | None
    ) -> list[Record]:
        key = b'{"id":"%b:%d"}' % (transaction.id_prefix, lsn)
        records = []
        if self._output.tables and self._output.transaction_metadata:
            records.append(Record(self._topics.transaction, key, value, None, ANY_PARTITION))
        if self._output.wal:
            headers = wal_headers(self._epoch, transaction.begin.commit_lsn, ordinal)
            records.append(Record(self._topics.wal, key, value, headers, transaction.partition))
        return records

    def _heartbeat(self, now_us: int) -> list[Record]:
        if not self._output.tables:
            return []
        key = b'{"serverName":%b}' % self._prefix
        value = b'{"ts_ms":%d}' % (now_us // 1000)
        return [Record(self._topics.heartbeat, key, value, None, 0)]
