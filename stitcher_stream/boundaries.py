"""Where in `.wal` a transaction begins, so that reading may begin there. Pure.

Transactions stand in a partition one after the other, none interleaved with another, so a
transaction begins where the record before is of another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from schemas.change_id import Epoch
from schemas.envelope import Status
from schemas.topics import HEADER_COMMIT_LSN, HEADER_EPOCH
from stitcher_stream.stitch import WalRecord


def transaction_of(record: WalRecord) -> tuple[object, ...] | None:
    """Return what tells the record's transaction from its neighbours; None where nothing does.

    The producer's headers do; in a Debezium connector's stream the transaction's id does.
    """
    headers = dict(record.headers)
    if HEADER_COMMIT_LSN in headers:
        return headers.get(HEADER_EPOCH), headers[HEADER_COMMIT_LSN]
    event = _members(record.value)
    source = event.get("source")
    if isinstance(source, dict):
        return (source.get("txId"),)
    return (int(xid),) if (xid := str(event.get("id")).partition(":")[0]).isdecimal() else None


def wal_topic(record: WalRecord) -> str:
    """Return which topic of the name `.wal` the record was written to; "" where it does not say."""
    epoch = dict(record.headers).get(HEADER_EPOCH)
    try:
        return "" if epoch is None else Epoch.parse(epoch.decode()).wal_topic
    except ValueError:
        return ""


def begins_transaction(record: WalRecord) -> bool:
    """Return whether the record says itself that it is a transaction's first."""
    return _members(record.value).get("status") == Status.BEGIN.value


def beginning(records: Iterable[WalRecord]) -> int | None:
    """Return the offset at which the transaction of the last of the records begins.

    The records follow each other in one partition. None where it may begin before them.
    """
    begin: int | None = None
    current: tuple[object, ...] | None = None
    is_first = True
    for record in records:
        transaction = transaction_of(record)
        if begins_transaction(record) or (not is_first and transaction != current):
            begin = record.offset
        current, is_first = transaction, False
    return begin


def _members(value: bytes | None) -> dict[str, Any]:
    try:
        members = orjson.loads(value or b"")
    except ValueError:
        return {}
    if not isinstance(members, dict):
        return {}
    # With schemas the event is the payload.
    payload = members.get("payload")
    return payload if isinstance(payload, dict) else members
