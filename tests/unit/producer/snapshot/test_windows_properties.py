"""Any chunk between any changes: the topic ends as the table, and no row overrides a newer one.

The model is a server on which a transaction becomes visible some time after its commit stands
in the log, and the log is streamed some time after that: in each case the property chooses when.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.snapshot.windows import MvccSnapshot, Windows
from schemas.change_id import Lsn

TABLE = 1
KEYS = 4


@dataclass
class Transaction:
    xid: int
    changes: list[tuple[int, int]]  # Key and version; the versions of a key only grow.
    lsn: int


@dataclass
class Server:
    """A table of versions by key; `visible` is what a query sees."""

    next_xid: int = 4_294_967_290  # Soon to wrap in 32 bits.
    versions: int = 0
    log: list[Transaction] = field(default_factory=list)
    waiting: list[Transaction] = field(default_factory=list)
    visible: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(KEYS), 0))

    def commit(self, keys: list[int]) -> None:
        changes = []
        # A row that a transaction has changed is locked until the change is seen.
        locked = {key for t in self.waiting for key, _ in t.changes}
        for key in keys:
            if key not in locked:
                self.versions += 1
                changes.append((key, self.versions))
        transaction = Transaction(self.next_xid, changes, len(self.log) + 1)
        self.next_xid += 1
        self.log.append(transaction)
        self.waiting.append(transaction)

    def show(self, number: int) -> None:
        if self.waiting:
            transaction = self.waiting.pop(number % len(self.waiting))
            self.visible.update(transaction.changes)

    def snapshot(self) -> MvccSnapshot:
        running = frozenset(t.xid % (1 << 32) for t in self.waiting)
        return MvccSnapshot(self.next_xid, running)


class Consumer:
    """Streams the log and reads chunks, as the producer does; keeps what it published."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.windows: Windows[tuple[int, int]] = Windows()
        self.position = 0
        self.topic: list[tuple[str, int, int]] = []
        self.read_after = -1
        self.is_following = False

    def start(self) -> None:
        self.is_following = True
        self.windows.start(self.server.snapshot())

    def stream_one(self) -> None:
        if self.position < len(self.server.log):
            transaction = self.server.log[self.position]
            if self.is_following:
                self.windows.begin(transaction.xid % (1 << 32))
            for key, version in transaction.changes:
                if self.is_following:
                    self.windows.change(TABLE, b"%d" % key)
                self.topic.append(("u", key, version))
            self.position += 1
        self.close_if_due()

    def close_if_due(self) -> None:
        for key, version in self.windows.reached(Lsn(self.position)) or []:
            self.topic.append(("r", key, version))

    def read_chunk(self) -> None:
        """Read the rows that follow the last chunk's, two at a time."""
        snapshot = self.server.snapshot()
        if self.windows.is_open or not self.windows.may_read(TABLE, snapshot):
            return
        keys = sorted(key for key in self.server.visible if key > self.read_after)[:2]
        if not keys:
            return
        rows = {b"%d" % key: (key, self.server.visible[key]) for key in keys}
        self.read_after = keys[-1]
        self.windows.open(TABLE, snapshot, Lsn(len(self.server.log)), rows)
        self.close_if_due()


steps = st.one_of(
    st.tuples(st.just("commit"), st.lists(st.integers(0, KEYS - 1), max_size=3)),
    st.tuples(st.just("show"), st.integers(0, 5)),
    st.tuples(st.just("stream"), st.just(0)),
    st.tuples(st.just("read"), st.just(0)),
)


def run(server: Server, consumer: Consumer, script: list[tuple[str, object]]) -> None:
    for step, argument in script:
        if step == "commit":
            server.commit(argument)  # type: ignore[arg-type]
        elif step == "show":
            server.show(argument)  # type: ignore[arg-type]
        elif step == "stream":
            consumer.stream_one()
        else:
            consumer.read_chunk()


@given(st.lists(steps, max_size=30), st.lists(steps, max_size=60))
@settings(max_examples=400)
def test_the_topic_ends_as_the_table_and_no_row_overrides_a_newer_one(
    before: list[tuple[str, object]], script: list[tuple[str, object]]
) -> None:
    server = Server()
    consumer = Consumer(server)
    streaming = [step for step in before if step[0] != "read"]
    run(server, consumer, streaming)
    consumer.start()
    run(server, consumer, script)
    # In the end everything is seen, streamed and read.
    while server.waiting:
        server.show(0)
    while consumer.position < len(server.log):
        consumer.stream_one()
    for _ in range(KEYS):
        consumer.read_chunk()
    newest: dict[int, int] = {}
    for op, key, version in consumer.topic:
        if op == "r":
            assert version >= newest.get(key, 0), "an old row stands behind a newer change"
        newest[key] = version
    assert newest == server.visible


@given(st.lists(steps, max_size=60))
def test_no_change_older_than_a_row_follows_it(script: list[tuple[str, object]]) -> None:
    server = Server()
    consumer = Consumer(server)
    consumer.start()
    run(server, consumer, script)
    while consumer.position < len(server.log):
        consumer.stream_one()
    read: dict[int, int] = {}
    for op, key, version in consumer.topic:
        if op == "r":
            read[key] = version
        else:
            assert version > read.get(key, 0)


def test_a_row_waits_until_the_stream_is_past_its_reading() -> None:
    windows: Windows[str] = Windows()
    windows.start(MvccSnapshot(100, frozenset()))
    windows.open(TABLE, MvccSnapshot(100, frozenset()), Lsn(50), {b"1": "one"})
    assert windows.reached(Lsn(49)) is None
    assert windows.reached(Lsn(50)) == ["one"]
    assert windows.reached(Lsn(51)) is None


def test_a_truncate_that_the_chunk_has_not_seen_leaves_nothing_of_it() -> None:
    windows: Windows[str] = Windows()
    windows.start(MvccSnapshot(100, frozenset()))
    windows.open(TABLE, MvccSnapshot(100, frozenset()), Lsn(50), {b"1": "one"})
    windows.begin(100)
    windows.truncate(TABLE)
    assert windows.reached(Lsn(60)) == []


def test_a_chunk_of_a_disturbed_relation_is_read_again_once_that_is_seen() -> None:
    windows: Windows[str] = Windows()
    windows.start(MvccSnapshot(100, frozenset()))
    windows.open(TABLE, MvccSnapshot(100, frozenset()), Lsn(50), {b"1": "one"})
    windows.begin(100)
    windows.disturb(TABLE)
    assert not windows.is_open
    assert not windows.may_read(TABLE, MvccSnapshot(101, frozenset({100})))
    assert windows.may_read(TABLE, MvccSnapshot(101, frozenset()))


def test_the_first_chunk_waits_for_those_that_may_have_been_streamed_unseen() -> None:
    windows: Windows[str] = Windows()
    windows.start(MvccSnapshot(100, frozenset({90, 91})))
    assert not windows.may_read(TABLE, MvccSnapshot(100, frozenset({90, 91})))
    windows.begin(90)  # Streamed only now, so its changes are known.
    assert not windows.may_read(TABLE, MvccSnapshot(100, frozenset({90, 91})))
    assert windows.may_read(TABLE, MvccSnapshot(101, frozenset({90})))


@pytest.mark.parametrize(
    ("text", "xid", "is_seen"),
    [
        ("90:100:", 99, True),
        ("90:100:", 100, False),
        ("90:100:95,97", 95, False),
        ("4294967390:4294967396:", 99, True),  # 2**32 + 100: the epoch is left out.
        ("4294967390:4294967396:", 4294967295, True),
        ("4294967390:4294967396:", 101, False),
    ],
)
def test_a_snapshot_knows_transactions_by_their_32_bits(text: str, xid: int, is_seen: bool) -> None:
    assert MvccSnapshot.parse(text).sees(xid) is is_seen
