"""Stitch what a Debezium connector writes to `.wal`. Pure: a fold as `stitch`, for its records.

The connector routes all tables and messages to one topic, all of a transaction to the partition
of its commit time (deploy/debezium/connector.properties). A transaction found elsewhere may
have its context in another partition, so it stops the stitcher. Its records have no headers of
ours, so what they lack is made of `source`:

- The transaction is (`txId`, commit time), two facts of the log.
- The ordinal is the row's LSN plus how many changes of the transaction had that LSN before. A
  WAL record that gives several changes (COPY, TRUNCATE) is at least as many bytes long, so no
  two changes share an ordinal, and they grow.
- The id is made of source, transaction and ordinal: the same whenever the event is sent again.
- `commit_lsn` is not told. In its place stands the end of the commit before, from
  `source.sequence`; of the first transaction after a new slot, its first LSN. Both lie below the
  transaction's own and grow from each to the next, which is what the sink goes by.

A connector that was stopped sends again from where it had last recorded its offset, which may
be inside a transaction. Rows that come again get the same ids. They have no context where it
was set before the place the connector began at, and say so; the sink has them already.

What a connector does not tell, and so cannot be made good:

- How many rows of an LSN were sent when it was stopped. The header
  `__debezium.context.runId` (extended.headers.enabled, on by default) tells a new run.
- A key-changing UPDATE is two events, a DELETE and a CREATE.
- Which server it was: a new one, restored or promoted, needs another `topic.prefix`.
- A row of a snapshot is of no transaction, and in any partition. Each snapshot is an epoch of
  its own; rows of an incremental one have no position at all and are dead letters.

Fields of `source`: Debezium 3.6, PostgreSQL connector, "Data change events".
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from schemas.change import Change
from schemas.change_id import Epoch, change_uuid, connector_epoch, transaction_seed
from schemas.envelope import Op, Status
from schemas.topics import HEADER_EPOCH, wal_headers
from stitcher_stream.contexts import DEFAULT_RULES, NO_CONTEXT, ContextRules
from stitcher_stream.errors import MalformedChange, TransactionsTorn, UnreadableRecord
from stitcher_stream.stitch import (
    OPERATIONS,
    START,
    LastEvent,
    State,
    WalRecord,
    fold_change,
    fold_message,
    read_event,
    transaction_of,
)

SENT_AGAIN = (
    "the connector sent it again from within its transaction, so a context set before is not known"
)
RUN_HEADER = "__debezium.context.runId"

_MAX_BIGINT = (1 << 63) - 1
_MAX_JAVA_INT = (1 << 31) - 1


class Place(NamedTuple):
    """The partition of `.wal` that is read, and how many there are."""

    partition: int
    partitions: int


ONLY_PARTITION = Place(0, 1)


class Source(NamedTuple):
    """What an event says of where it comes from."""

    name: str
    database: str
    transaction_id: int
    lsn: int
    commit_time: int
    previous_commit: int | None


def stitch_debezium(
    state: State,
    record: WalRecord,
    rules: ContextRules = DEFAULT_RULES,
    place: Place = ONLY_PARTITION,
) -> tuple[State, Change | None]:
    """Return the state after the record, and the change it tells, if it tells one.

    Raises UnreadableRecord or MalformedChange; TransactionsTorn where the connector does not
    keep a transaction in one partition.
    """
    if record.value is None:
        return state, None
    event = _payload(read_event(record.value))
    op = event.get("op")
    operation = OPERATIONS.get(op) if isinstance(op, str) else None
    if operation is not None:
        return _change(state, record, event, operation, place)
    if op == Op.MESSAGE:
        return _message(state, record, event, rules, place), None
    return _beside(state, event, place), None


def partition_of(commit_ms: int, partitions: int) -> int:
    """Return where Debezium's PartitionRouting puts what has this number in the one field it reads.

    The hash is that of a java.lang.Long (`partition.hash.function=java`, its default).
    """
    positive = (commit_ms ^ (commit_ms >> 32)) & _MAX_JAVA_INT
    return (0 if positive == _MAX_JAVA_INT else positive) % partitions


def _payload(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event itself, also where its schema is sent with it."""
    payload = event.get("payload")
    return payload if "schema" in event and isinstance(payload, dict) else event


def _check_place(commit_ms: int, place: Place) -> None:
    expected = partition_of(commit_ms, place.partitions)
    if expected != place.partition:
        raise TransactionsTorn.found(commit_ms, expected, place.partition, place.partitions)


def _beside(state: State, event: dict[str, Any], place: Place) -> State:
    """Return the state after what is neither a change nor a message."""
    status = event.get("status")
    if status is not None and isinstance(commit_ms := event.get("ts_ms"), int):
        _check_place(commit_ms, place)
    if status == Status.END:
        return START._replace(last=state.last)
    # A BEGIN may be sent again in the middle; each event says itself what it belongs to.
    if status == Status.BEGIN or event.keys() == {"ts_ms"}:
        return state
    raise UnreadableRecord("neither a change, nor a message, BEGIN, END or heartbeat")


def _message(
    state: State, record: WalRecord, event: dict[str, Any], rules: ContextRules, place: Place
) -> State:
    told = event.get("source")
    if isinstance(told, dict) and told.get("txId") is None:
        return state
    try:
        source = _source(event)
    except (LookupError, TypeError, ValueError) as error:
        raise UnreadableRecord("a logical message whose `source` lacks something") from error
    opened, named = _opened(state, record, source, place, is_snapshot=False)
    last = _last(opened, source)
    if last.lsn != source.lsn:
        # The changes that follow have the message's own LSN.
        last = last._replace(lsn=source.lsn, same_lsn=-1)
    after = fold_message(opened, named, event, rules)
    if after is not opened:
        last = last._replace(context_lsn=source.lsn)
    return after._replace(last=last)


def _change(
    state: State, record: WalRecord, event: dict[str, Any], operation: str, place: Place
) -> tuple[State, Change | None]:
    is_snapshot = event["op"] == Op.READ
    try:
        source = _source(event)
        if is_snapshot:
            # The rows of a snapshot have the time their table was read. In its stead stands what
            # tells those of one partition from those of another, which are counted alike.
            source = source._replace(commit_time=place.partition)
        key = record.key if record.key is None else _key(record.key)
        opened, named = _opened(state, record, source, place, is_snapshot)
        last = _next(_last(opened, source), source.lsn, dict(record.headers).get(RUN_HEADER))
        ordinal = last.lsn + last.same_lsn
        epoch, commit_lsn = _open(opened)
        headers = wal_headers(epoch, commit_lsn, ordinal)
    except (LookupError, TypeError, ValueError, UnreadableRecord) as error:
        raise MalformedChange(
            "a change of a Debezium connector whose key or `source` lacks something, as the rows "
            f"of an incremental snapshot do: {type(error).__name__}"
        ) from error
    folded, change = fold_change(opened, named._replace(key=key, headers=headers), event, operation)
    if change is not None:
        change["id"] = str(change_uuid(_seed(source, folded), ordinal))
        if last.lsn < last.context_lsn:
            # It comes again, from before the context in force was set.
            change["context"], change["context_error"] = NO_CONTEXT, SENT_AGAIN
    return folded._replace(last=last), change


def _opened(
    state: State, record: WalRecord, source: Source, place: Place, is_snapshot: bool
) -> tuple[State, WalRecord]:
    """Return the state in the event's own transaction, and the record with what names it."""
    last, open_now = state.last, state.transaction
    if open_now is not None and last is not None and _is_of(last, source):
        headers = wal_headers(open_now.epoch, open_now.commit_lsn_number)
        return state, record._replace(headers=headers)
    if not is_snapshot:
        _check_place(source.commit_time // 1000, place)
    previous = source.previous_commit
    commit_lsn = source.lsn if previous is None or is_snapshot else previous
    headers = wal_headers(_epoch(record, source, place, is_snapshot), commit_lsn)
    named = record._replace(headers=headers)
    transaction = transaction_of(named)
    is_again = (
        last is not None
        and not is_snapshot
        and (commit_lsn, source.lsn) <= (last.commit_lsn, last.lsn)
    )
    return State(transaction, NO_CONTEXT, SENT_AGAIN if is_again else None, last), named


def _open(state: State) -> tuple[bytes, int]:
    transaction = state.transaction
    assert transaction is not None  # noqa: S101 -- `_opened` has just made it.
    return transaction.epoch, transaction.commit_lsn_number


def _is_of(last: LastEvent, source: Source) -> bool:
    return (last.transaction_id, last.commit_time) == (source.transaction_id, source.commit_time)


def _last(opened: State, source: Source) -> LastEvent:
    """Return where the event before stood, if it was of the same transaction."""
    last, (_, commit_lsn) = opened.last, _open(opened)
    if last is not None and _is_of(last, source):
        return last
    run = None if last is None else last.run
    return LastEvent(run, source.transaction_id, source.commit_time, commit_lsn, source.lsn, -1)


def _next(last: LastEvent, lsn: int, run: bytes | None) -> LastEvent:
    """Return where a change stands that follows; a new run counts anew."""
    is_same_run = last.run is None or run is None or run == last.run
    same_lsn = last.same_lsn + 1 if is_same_run and lsn == last.lsn else 0
    return last._replace(run=run or last.run, lsn=lsn, same_lsn=same_lsn)


def _source(event: dict[str, Any]) -> Source:
    source = event["source"]
    found = Source(
        source["name"],
        source["db"],
        source["txId"],
        source["lsn"],
        source["ts_us"],
        _previous_commit(source.get("sequence")),
    )
    numbers = (found.transaction_id, found.lsn, found.commit_time)
    if not (
        isinstance(found.name, str)
        and isinstance(found.database, str)
        and all(number.__class__ is int and 0 <= number < _MAX_BIGINT >> 1 for number in numbers)
    ):
        raise TypeError("a field has another type than it must have")
    return found


def _previous_commit(sequence: object) -> int | None:
    """Return the first of `["last commit", "lsn"]`."""
    if sequence is None:
        return None
    if not isinstance(sequence, str):
        raise TypeError("the sequence is not text")
    first = orjson.loads(sequence)[0]
    number = None if first is None else int(first)
    if number is not None and not 0 <= number <= _MAX_BIGINT:
        raise ValueError("the last commit is no LSN")
    return number


def _key(key: bytes) -> bytes:
    parsed = orjson.loads(key)
    if isinstance(parsed, dict) and "schema" in parsed and isinstance(parsed.get("payload"), dict):
        return orjson.dumps(parsed["payload"])
    return key


def _epoch(record: WalRecord, source: Source, place: Place, is_snapshot: bool) -> bytes:
    """Return the epoch that a header gives, or one made of what the connector is called."""
    given = dict(record.headers).get(HEADER_EPOCH)
    if given is None:
        epoch = connector_epoch(source.name, source.database, place.partitions)
    else:
        epoch = Epoch.parse(given.decode())
    if is_snapshot:
        epoch = replace(epoch, slot_name=f"{epoch.slot_name}_snapshot_{source.transaction_id}")
    return str(epoch).encode()


def _seed(source: Source, state: State) -> int:
    transaction = state.transaction
    source_id = "" if transaction is None else transaction.source_id
    return _transaction_seed(source_id, source.transaction_id, source.commit_time)


@lru_cache(maxsize=256)
def _transaction_seed(source_id: str, transaction_id: int, commit_time: int) -> int:
    # The transaction id in the place of the commit LSN, and marked as that.
    return transaction_seed(f"{source_id}/xid", transaction_id, commit_time)
