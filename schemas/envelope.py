"""The words of a Debezium event, as they stand on the table topics and on `.wal`.

A record of `.wal` is one of three JSON objects, without schema:

- an event: `before`, `after`, `source`, `transaction`, `op`, `ts_ms`, `ts_us`, `ts_ns`;
- a logical message: the same without `before` and `after`, with `op` "m" and
  `message`: {`prefix`, `content` in base64};
- transaction metadata: `status` "BEGIN" or "END", `id`, `event_count`,
  `data_collections`, `ts_ms`.

A transaction is BEGIN, its events and messages in WAL order, END, all in one partition. A
producer that was stopped inside one sends it again from its BEGIN. The record's key is that
of the event's own topic: the row's key as a JSON object, or none.

A key-changing UPDATE is one event (`u`) on `.wal` with the new key; the table topic has
Debezium's two (`d`, `c`). No tombstones stand on `.wal`.

Names and order: Debezium's PostgreSQL connector, "Data change events".
"""

from __future__ import annotations

from enum import Enum


class Op(str, Enum):
    """What an event reports: Debezium's `op`."""

    CREATE = "c"
    READ = "r"
    UPDATE = "u"
    DELETE = "d"
    TRUNCATE = "t"
    MESSAGE = "m"


class Status(str, Enum):
    """Where in its transaction a metadata record stands."""

    BEGIN = "BEGIN"
    END = "END"


UNAVAILABLE_VALUE = "__debezium_unavailable_value"
"""Stands for a stored value that PostgreSQL did not send: out of line and unchanged."""
