"""Decoding pgoutput: each message once, and what is no message."""

from __future__ import annotations

import pytest

from producer import pgoutput
from producer.errors import MalformedMessage
from producer.pgoutput import (
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Origin,
    Relation,
    ReplicaIdentity,
    Truncate,
    Type,
    Update,
)
from schemas.change_id import Lsn, Xid
from tests.unit.producer import pgoutput_bytes as wire

MESSAGES: list[tuple[bytes, Message]] = [
    (wire.begin(10, 1_700_000_000_000_001, 7), Begin(Lsn(10), 1_700_000_000_000_001, Xid(7))),
    (
        wire.commit(10, 20, 1_700_000_000_000_001),
        Commit(Lsn(10), Lsn(20), 1_700_000_000_000_001),
    ),
    (
        wire.relation(5, "public", "my table.x", [("id", 23, True), ("ü", 25, False)]),
        Relation(
            5,
            "public",
            "my table.x",
            ReplicaIdentity.DEFAULT,
            (Column("id", 23, -1, True), Column("ü", 25, -1, False)),
        ),
    ),
    (wire.insert(5, [b"1"]), Insert(5, wire.insert(5, [b"1"]))),
    (wire.update(5, None, [b"1"]), Update(5, wire.update(5, None, [b"1"]))),
    (wire.delete(5, [b"1"]), Delete(5, wire.delete(5, [b"1"]))),
    (wire.truncate([5, 6], 3), Truncate((5, 6), cascade=True, restart_identity=True)),
    (
        wire.logical_message(transactional=True, lsn=9, prefix="_bemi", content=b"{}"),
        LogicalMessage(True, Lsn(9), "_bemi", b"{}"),
    ),
    (b"O" + (99).to_bytes(8, "big") + b"node\0", Origin(Lsn(99), "node")),
    (b"Y" + (777).to_bytes(4, "big") + b"public\0mood\0", Type(777, "public", "mood")),
]


@pytest.mark.parametrize(("payload", "message"), MESSAGES, ids=lambda value: type(value).__name__)
def test_each_message_is_decoded(payload: bytes, message: Message) -> None:
    assert pgoutput.decode(payload) == message


# Where a row ends is known to whoever knows its columns: see test_relations.
FRAMED = [pair for pair in MESSAGES if not isinstance(pair[1], Insert | Update | Delete)]


@pytest.mark.parametrize(("payload", "message"), FRAMED, ids=lambda value: type(value).__name__)
def test_a_message_cut_off_anywhere_is_malformed(payload: bytes, message: Message) -> None:
    for length in range(len(payload)):
        with pytest.raises(MalformedMessage):
            pgoutput.decode(payload[:length])


@pytest.mark.parametrize(("payload", "message"), FRAMED, ids=lambda value: type(value).__name__)
def test_a_message_with_bytes_left_over_is_malformed(payload: bytes, message: Message) -> None:
    with pytest.raises(MalformedMessage):
        pgoutput.decode(payload + b"\0")


def test_a_message_of_a_later_protocol_is_named_in_the_error() -> None:
    with pytest.raises(MalformedMessage, match="S"):
        pgoutput.decode(b"S\0\0\0\0")
