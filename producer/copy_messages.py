"""What is in the copy messages of a replication connection, around pgoutput. Pure.

Format: PostgreSQL manual, "Streaming Replication Protocol": XLogData, Primary keepalive message,
Standby status update.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from producer.errors import MalformedMessage
from producer.pgoutput import POSTGRES_EPOCH_US
from schemas.change_id import Lsn

XLOG_DATA: Final = 119
"""The letter w, with which an XLogData begins."""

PAYLOAD_AT: Final = 25
"""Where the pgoutput message begins in an XLogData: behind its kind, two positions and a time."""

_UINT64 = struct.Struct(">Q").unpack_from
_KEEPALIVE = struct.Struct(">cQqB")
_STATUS_UPDATE = struct.Struct(">cQQQqB")


class Keepalive(NamedTuple):
    """The server is alive and has sent everything up to `wal_end`."""

    wal_end: Lsn
    reply_requested: bool


def take_at_hand(
    get_copy_data: Callable[[int], tuple[int, Any]],
    messages: list[bytes],
    most_messages: int,
    most_bytes: int,
) -> int:
    """Add the messages that libpq has at hand, up to these bounds, by its PQgetCopyData.

    Returns what it answered last: 0 where more may come, -1 at the end of the stream.
    """
    size = 0
    held_bytes = 0
    while len(messages) < most_messages and held_bytes < most_bytes:
        size, data = get_copy_data(1)
        if size <= 0:
            break
        messages.append(bytes(data))
        held_bytes += size
    return size


def position_of(data: bytes) -> Lsn:
    """Return where a message stands in the WAL."""
    try:
        position: Lsn = _UINT64(data, 1)[0]
    except struct.error:
        raise MalformedMessage(f"the server sent a copy message of {len(data)} bytes") from None
    return position


def keepalive(data: bytes) -> Keepalive:
    """Return the keepalive that a message is; raises MalformedMessage if it is none."""
    if data[:1] != b"k" or len(data) != _KEEPALIVE.size:
        raise MalformedMessage(f"the server sent a copy message that begins with {data[:1]!r}")
    _, wal_end, _, reply_requested = _KEEPALIVE.unpack(data)
    return Keepalive(Lsn(wal_end), bool(reply_requested))


def status_update(received: Lsn, confirmed: Lsn, now_us: int, *, ask: bool) -> bytes:
    """Return what tells the server how far its client is; asked, it answers at once."""
    return _STATUS_UPDATE.pack(
        b"r", received, confirmed, confirmed, now_us - POSTGRES_EPOCH_US, ask
    )
