"""Feed damaged messages to everything that reads the stream's bytes. Pure.

The rule is one line: any bytes give records whose JSON is valid, or a Stop error of the
producer's own; never another exception, never a hang, never JSON that nobody can read.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from producer import pgoutput
from producer.change_events import ChangeEvents, Output, Record
from producer.column_types.column_type import READABLE, TypeFacts, ValueModes
from producer.errors import MalformedMessage, UnknownRelation, ValueNotConvertible
from producer.event_source import Server
from producer.event_writer import WriterOptions
from producer.json_events import JsonEvents
from producer.table_shape import CatalogFacts, TableRules, shape
from schemas.change_id import Epoch, Lsn
from schemas.topics import Topics

ALLOWED = (MalformedMessage, UnknownRelation, ValueNotConvertible)
ROWS = b"IUD"
NOW_US = 1_700_000_000_000_000
MODES = {"readable": READABLE, "debezium": ValueModes()}


def _type_facts(value: dict[str, Any] | None) -> TypeFacts | None:
    if value is None:
        return None
    nested = {name: _type_facts(value[name]) for name in ("element", "base")}
    return TypeFacts(**{**value, **nested, "labels": tuple(value["labels"])})


_RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())
RECORDED: tuple[bytes, ...] = tuple(bytes.fromhex(each) for each in _RECORDED["messages"])
"""What a real server sent, in its order; see `record`."""
TYPES = {
    int(oid): facts for oid, value in _RECORDED["types"].items() if (facts := _type_facts(value))
}


class Reader:
    """Reads messages as the capture does, and looks at the records it makes of them."""

    def __init__(self, modes: ValueModes) -> None:
        server = Server("p", "shop")
        own, readable = JsonEvents(WriterOptions(server, modes)), JsonEvents(WriterOptions(server))
        if modes == READABLE:
            own = readable
        self._modes = modes
        self._events = ChangeEvents(
            Topics("p"), Epoch(71, 1, 4, "slot", "shop"), Output(), own, readable
        )
        self._lsn = 0

    def take(self, payload: bytes) -> list[Record]:
        """Read one message; raises one of ALLOWED when it is none."""
        self._lsn += 1
        lsn = Lsn(self._lsn)
        if payload[:1] and payload[0] in ROWS:
            records = self._events.row(payload, 0, lsn, NOW_US)
        else:
            records = self._take_other(pgoutput.decode(payload), lsn)
        for record in records:
            check(record)
        return records

    def _take_other(self, message: pgoutput.Message, lsn: Lsn) -> list[Record]:
        match message:
            case pgoutput.Begin():
                self._events.begin(message, lsn)
            case pgoutput.Commit():
                return self._events.commit(message, lsn)
            case pgoutput.Truncate():
                return self._events.truncate(message, lsn, NOW_US)
            case pgoutput.LogicalMessage():
                return self._events.message(message, lsn, NOW_US)
            case pgoutput.Origin():
                self._events.origin(message)
            case pgoutput.Relation():
                facts = CatalogFacts(key=(), types=TYPES)
                self._events.describe(
                    shape(message, facts, self._modes, TableRules()),
                    shape(message, facts, READABLE, TableRules()),
                )
        return []


def check(record: Record) -> None:
    """Raise AssertionError unless key and value of the record are valid JSON."""
    _, key, value, _, _ = record
    for part in (key, value):
        if part is not None:
            try:
                orjson.loads(part)
            except ValueError as error:
                raise AssertionError(f"no JSON ({error}): {part!r}") from error


def read_all(payloads: Iterable[bytes], modes: ValueModes) -> tuple[int, int]:
    """Read the messages, going on after each error; return how many were read and refused.

    The real capture stops at the first error. Going on reaches more states.
    """
    reader = Reader(modes)
    read = refused = 0
    for payload in payloads:
        try:
            reader.take(payload)
            read += 1
        except ALLOWED:
            refused += 1
    return read, refused


def _flip_bits(payload: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        payload[chance.randrange(len(payload))] ^= 1 << chance.randrange(8)


def _cut(payload: bytearray, chance: random.Random) -> None:
    del payload[chance.randrange(len(payload)) :]


def _extend(payload: bytearray, chance: random.Random) -> None:
    payload += chance.randbytes(chance.randint(1, 20))


def _replace_length(payload: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(payload))
    payload[at : at + 4] = struct.pack(">I", chance.choice(LENGTHS))


def _replace_bytes(payload: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(payload))
    hostile = chance.choice(HOSTILE)
    payload[at : at + len(hostile)] = hostile


def _repeat(payload: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(payload))
    part = payload[at : at + chance.randint(1, 50)]
    payload[at:at] = part * chance.randint(1, 3)


VARIANTS = 16
LENGTHS = (0, 1, 0x7FFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HOSTILE = (
    b"\xff", b"\xc3", b"\xed\xa0\x80", b'"', b'","x":', b"\\", b"\x00", b"\x1f", b"\n", b"NaN",
    b"1e999", b"-", b"--1", b"0x1", b"\xd9\xa1", b" 1 ", b"1_0", b"t", b"u", b"n", b"b", b"{", b"}",
    b"[", b"infinity", b"294277-01-01", b" BC", b"{{", b"99999999999999999999",
)  # fmt: skip
DAMAGE: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip_bits, _cut, _extend, _replace_length, _replace_bytes, _repeat,
)  # fmt: skip


def damaged(payload: bytes, chance: random.Random) -> bytes:
    """Return the message with something wrong in it; now and then in several ways."""
    changed = bytearray(payload)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if changed:
            chance.choice(DAMAGE)(changed, chance)
    return bytes(changed)


def with_values(payload: bytes, chance: random.Random) -> bytes:
    """Return an Insert with hostile texts as values, its lengths right: a lying server's.

    Damage seldom gets past the lengths; this always does.
    """
    at = 8
    (count,) = struct.unpack_from(">H", payload, 6)
    parts = [payload[:at]]
    for _ in range(count):
        kind = payload[at : at + 1]
        at += 1
        if kind != b"t":
            parts.append(kind)
            continue
        (length,) = struct.unpack_from(">I", payload, at)
        value = payload[at + 4 : at + 4 + length]
        at += 4 + length
        if chance.random() < 0.2:
            value = chance.choice(
                (chance.choice(HOSTILE), value + chance.choice(HOSTILE), damaged(value, chance))
            )
        parts += [b"t", struct.pack(">I", len(value)), value]
    return b"".join(parts)


def damaged_stream(chance: random.Random) -> list[bytes]:
    """Return the recorded messages, each after some that were made of it by damage."""
    messages = []
    for payload in RECORDED:
        # To take a description in is slow; rows are many and cheap.
        for _ in range(chance.randint(0, 1 if payload[:1] == b"R" else VARIANTS)):
            is_insert = payload[:1] == b"I" and chance.random() < 0.5
            damage = with_values if is_insert else damaged
            messages.append(damage(payload, chance))
        messages.append(payload)
    return messages
