"""Decide which rows of a chunk may be published between streamed changes. Pure.

A chunk is read under an MVCC snapshot while changes stream. What the stream shows is older or
newer than the rows, transaction by transaction: older when the snapshot sees the transaction,
newer when it does not. Two things are kept:

- A row whose key a newer transaction has changed, streamed before the row's turn, is dropped:
  it would put an old row over a new one. The stream has the newer state.
- Rows are published only after every transaction that the snapshot sees has been streamed, or
  changes older than the row would follow it. Their commits stand in the log before where the
  log ended when the chunk had been read, so the window closes once the stream is past that.

No mark needs to be written into the database for this. Debezium's watermarks stand for the same
two moments, but a transaction may stand in the log before the first mark and still be unseen by
the chunk (it waits for a synchronous standby, say); its changes are told by their xid here.

Transactions streamed before the first chunk have left no trace. Those running when the first
chunk is to be read may be among them, so it waits until each has been streamed or has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from schemas.change_id import Lsn

RowT = TypeVar("RowT")

MOST_KEYS: Final = 100_000
"""Of one transaction; where there are more, the next chunk waits until it is seen."""

_XIDS: Final = 1 << 32
_HALF: Final = 1 << 31

Key = tuple[int, bytes]
"""A relation and a row's key as it is published."""


@dataclass(frozen=True, slots=True)
class MvccSnapshot:
    """What a query sees: pg_current_snapshot()."""

    xmax: int
    running: frozenset[int]
    """By their low 32 bits, as the stream has them."""

    @classmethod
    def parse(cls, text: str) -> MvccSnapshot:
        """Return the snapshot that PostgreSQL writes as `xmin:xmax:xid,xid`.

        Raises ValueError for any other form.
        """
        _, xmax, running = text.split(":")
        return cls(int(xmax), frozenset(int(xid) % _XIDS for xid in running.split(",") if running))

    def sees(self, xid: int) -> bool:
        """Return whether the changes of a committed transaction of the stream are seen."""
        distance = (xid - self.xmax) % _XIDS
        return distance >= _HALF and xid not in self.running


@dataclass(slots=True)
class _Transaction:
    """A streamed transaction that no chunk has seen."""

    keys: set[Key] = field(default_factory=set)
    emptied: set[int] = field(default_factory=set)
    """Relations it has truncated."""
    disturbed: set[int] = field(default_factory=set)
    """Relations of which no chunk can be told from its changes."""
    is_too_large: bool = False

    def changes(self, key: Key) -> bool:
        return key in self.keys or key[0] in self.emptied


@dataclass(slots=True)
class _Window(Generic[RowT]):
    relation_oid: int
    snapshot: MvccSnapshot
    closes_at: Lsn
    rows: dict[bytes, RowT]


class Windows(Generic[RowT]):
    """Follows the stream while a table is read; at most one chunk is open at a time."""

    def __init__(self) -> None:
        self._window: _Window[RowT] | None = None
        self._unseen: dict[int, _Transaction] = {}
        self._suspects: frozenset[int] | None = None
        self._current: _Transaction | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether a chunk waits for its turn."""
        return self._window is not None

    def start(self, snapshot: MvccSnapshot) -> None:
        """Begin to follow the stream; what was streamed before is unknown.

        `snapshot` is one of this moment. Called again it changes nothing.
        """
        if self._suspects is None:
            self._suspects = snapshot.running

    def begin(self, xid: int) -> None:
        """Take note of a transaction that the stream begins to show."""
        self._suspects = (self._suspects or frozenset()) - {xid}
        window = self._window
        if window is not None and window.snapshot.sees(xid):
            self._current = None  # Older than the rows, and than those of any later chunk.
        else:
            self._current = self._unseen[xid] = _Transaction()

    def change(self, relation_oid: int, key: bytes) -> None:
        """Take note that the transaction has changed a row, before it is published."""
        current = self._current
        if current is None:
            return
        if len(current.keys) < MOST_KEYS:
            current.keys.add((relation_oid, key))
        else:
            current.is_too_large = True
        window = self._window
        if window is not None and window.relation_oid == relation_oid:
            window.rows.pop(key, None)

    def truncate(self, relation_oid: int) -> None:
        """Take note that the transaction has emptied a relation."""
        if self._current is not None:
            self._current.emptied.add(relation_oid)
            if self._window is not None and self._window.relation_oid == relation_oid:
                self._window.rows.clear()

    def disturb(self, relation_oid: int) -> None:
        """Take note that rows read before can no longer be told from the transaction's changes.

        Its columns are described anew, or a change does not say which row it is of. An open
        chunk of it is abandoned: `is_open` is false then, and it is to be read again.
        """
        if self._current is not None:
            self._current.disturbed.add(relation_oid)
            if self._window is not None and self._window.relation_oid == relation_oid:
                self._window = None

    def may_read(self, relation_oid: int, snapshot: MvccSnapshot) -> bool:
        """Return whether a chunk read under this snapshot can be told from the stream."""
        self._settle(snapshot)
        self._suspects = (self._suspects or frozenset()) & snapshot.running
        return not self._suspects and not any(
            transaction.is_too_large or relation_oid in transaction.disturbed
            for transaction in self._unseen.values()
        )

    def open(
        self,
        relation_oid: int,
        snapshot: MvccSnapshot,
        closes_at: Lsn,
        rows: Mapping[bytes, RowT],
    ) -> None:
        """Hold a chunk, which was read under a snapshot that `may_read` has allowed.

        `closes_at` is an end of the log after the snapshot was taken.
        """
        self._settle(snapshot)
        left = {
            key: row
            for key, row in rows.items()
            if not any(t.changes((relation_oid, key)) for t in self._unseen.values())
        }
        self._window = _Window(relation_oid, snapshot, closes_at, left)

    def reached(self, lsn: Lsn) -> list[RowT] | None:
        """Return the chunk's rows once it is their turn, None before.

        To be called between transactions only: `lsn` is where the stream stands then, and every
        transaction that commits before it has been streamed.
        """
        window = self._window
        if window is None or lsn < window.closes_at:
            return None
        self._window = None
        return list(window.rows.values())

    def _settle(self, snapshot: MvccSnapshot) -> None:
        self._unseen = {
            xid: transaction for xid, transaction in self._unseen.items() if not snapshot.sees(xid)
        }
        if not any(self._current is one for one in self._unseen.values()):
            self._current = None
