"""Count what rules leave out of each transaction, to be told once it is over. Pure.

Told and not only logged, because a change that is in `.wal` and not in `.changes` is otherwise one
that was lost. Memory is that of the tables of one transaction.
"""

from __future__ import annotations

from schemas.change import Change
from schemas.left_out import LeftOutChanges, LeftOutOfTransaction
from stitcher_stream.stitch import Transaction

_NONE = LeftOutChanges(0, 0)


class LeftOutCounts:
    """What is left out of the transactions of one partition, one after the other."""

    __slots__ = ("_epoch", "_lsn", "_tables", "_transaction")

    def __init__(self) -> None:
        self._transaction: Transaction | None = None
        self._epoch = ""
        self._lsn = 0
        self._tables: dict[tuple[str, str], LeftOutChanges] = {}

    def add(self, transaction: Transaction | None, change: Change) -> None:
        """Count a change of the open transaction; what is over must have been taken before."""
        self._transaction = transaction
        self._epoch, self._lsn = change["epoch"], change["commit_lsn"]
        table = change["schema"], change["table"]
        changes, ordinals = self._tables.get(table, _NONE)
        self._tables[table] = LeftOutChanges(changes + 1, ordinals + change["ordinal"])

    def take(self, open_now: Transaction | None) -> LeftOutOfTransaction | None:
        """Return what was left out of the transaction before, once another one is open or none.

        A transaction that begins again counts as another.
        """
        if not self._tables or open_now == self._transaction:
            return None
        over = LeftOutOfTransaction(self._epoch, self._lsn, self._tables)
        self._tables = {}
        return over
