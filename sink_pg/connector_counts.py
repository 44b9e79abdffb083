"""What the source committed, counted from a Debezium connector's stream in `.wal`. Pure.

Debezium's own END says how many events each table has in a transaction; that is what has to be
stored. The events in the topic are counted too: fewer than END says are a finding, more are not,
since a connector that was stopped sends some again.

A transaction is known by its id and commit time, since the connector does not tell its commit LSN.
Its position is the one that the stitcher gives it (stitcher_stream.debezium_stream).
"""

from __future__ import annotations

from typing import Any

import orjson

from schemas.change_id import connector_epoch
from schemas.envelope import Op, Status
from schemas.topics import HEADER_COMMIT_LSN, HEADER_EPOCH
from sink_pg.source_counts import (
    NotCountable,
    PartitionCounts,
    Position,
    SourceTransaction,
    TableCount,
    WalRecord,
    declare,
    note_commit,
    read_event,
    text_of,
)
from sink_pg.table_patterns import Table

# Rows of a snapshot are of no transaction.
_CHANGES = tuple(op.value for op in (Op.CREATE, Op.UPDATE, Op.DELETE, Op.TRUNCATE))


class ConnectorCounts:
    """Counts one partition, record by record, in the memory of one transaction."""

    def __init__(self, is_from_beginning: bool = True, partitions: int = 1) -> None:
        self._partitions = partitions
        self._open: SourceTransaction | None = None
        self._newest: dict[str, int] = {}
        self._lost: list[SourceTransaction] = []
        self._has_end = False
        self._may_lack_begin = not is_from_beginning

    def take(self, record: WalRecord) -> SourceTransaction | None:
        """Take the next record; return the transaction that it completes, the first time.

        Raises NotCountable where the connector does not tell where transactions end.
        """
        if record.value is None:
            return None
        event = read_event(record.value)
        payload = event.get("payload")
        if "schema" in event and isinstance(payload, dict):
            event = payload
        source = event.get("source")
        if event.get("op") in _CHANGES and isinstance(source, dict) and _has_xid(source):
            self._count(record, source)
        elif event.get("status") == Status.END.value:
            return self._end(record, event)
        return None

    def unfinished(self) -> list[SourceTransaction]:
        """Return those of which no END came before another transaction did."""
        return list(self._lost)

    def _count(self, record: WalRecord, source: dict[str, Any]) -> None:
        transaction, xid = self._open, str(source["txId"])
        if transaction is None or transaction.xid != xid:
            if transaction is not None:
                self._give_up(transaction)
            transaction = self._open = SourceTransaction(
                self._position(record, source),
                record.partition,
                record.offset,
                is_of_connector=True,
            )
            note_commit(transaction, source)
        transaction.offset = record.offset
        table = Table(text_of(source.get("schema")), text_of(source.get("table")))
        transaction.tables.setdefault(table, TableCount()).changes += 1

    def _give_up(self, transaction: SourceTransaction) -> None:
        if not self._has_end and not self._may_lack_begin:
            raise NotCountable(
                "the connector does not tell where transactions end, so nothing can be verified:"
                " set provide.transaction.metadata=true, as deploy/debezium/connector.properties"
                " has it"
            )
        if not self._may_lack_begin and not self._is_known(transaction):
            self._lost.append(transaction)
        self._may_lack_begin = False

    def _end(self, record: WalRecord, event: dict[str, Any]) -> SourceTransaction | None:
        transaction, self._open = self._open, None
        self._has_end = True
        may_lack_begin, self._may_lack_begin = self._may_lack_begin, False
        xid, _, _ = text_of(event.get("id")).partition(":")
        if transaction is None or transaction.xid != xid or may_lack_begin:
            return None  # Of messages only, or begun before the place reading began at.
        if self._is_known(transaction):
            return None
        self._newest[transaction.position.epoch] = transaction.position.commit_lsn
        transaction.offset = record.offset
        declare(transaction, event)
        for count in transaction.tables.values():
            if count.declared is not None:
                count.changes = min(count.changes, count.declared)
        return transaction

    def _position(self, record: WalRecord, source: dict[str, Any]) -> Position:
        given = dict(record.headers).get(HEADER_EPOCH)
        try:
            first = orjson.loads(source["sequence"])[0] if source.get("sequence") else None
            commit_lsn = int(source["lsn"] if first is None else first)
            epoch = (
                given.decode()
                if given
                else str(connector_epoch(source["name"], source["db"], self._partitions))
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise NotCountable(
                f"{record.topic} [{record.partition}] offset {record.offset} is neither of bemi's"
                " producer nor of a Debezium connector for PostgreSQL"
            ) from error
        return Position(epoch, commit_lsn)

    def _is_known(self, transaction: SourceTransaction) -> bool:
        position = transaction.position
        return self._newest.get(position.epoch, -1) >= position.commit_lsn


def _has_xid(source: dict[str, Any]) -> bool:
    return isinstance(source.get("txId"), int)


def counts_for(
    record: WalRecord, is_from_beginning: bool, partitions: int
) -> PartitionCounts | ConnectorCounts:
    """Return what counts the partition whose first record this is, by who has written it."""
    if any(name == HEADER_COMMIT_LSN for name, _ in record.headers):
        return PartitionCounts(is_from_beginning)
    return ConnectorCounts(is_from_beginning, partitions)
