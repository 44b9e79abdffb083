"""Which tables an incremental snapshot still has to read, and how far it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from producer.configuration.expressions import compile_expressions, matches_any
from producer.snapshot.signals import (
    ExecuteSnapshot,
    PauseSnapshot,
    ResumeSnapshot,
    Signal,
    StopSnapshot,
)

REMEMBERED_SIGNALS = 100

KeyTexts = tuple[str, ...]
"""A row's key as PostgreSQL writes its values."""


@dataclass(frozen=True, slots=True)
class TableToRead:
    """A table, `schema.table`, and where its reading stands."""

    name: str
    condition: str | None = None
    after: KeyTexts | None = None
    """The last key that was read; None before the first chunk."""
    last: KeyTexts | None = None
    """The largest key when reading began: rows behind it come by the stream."""
    hides_key: bool = False
    """Whether keys are stored nowhere: a restart then reads the table from its start."""


@dataclass(frozen=True, slots=True)
class IncrementalState:
    """The tables to read, the first of them being read. What is stored between starts."""

    tables: tuple[TableToRead, ...] = ()
    is_paused: bool = False
    signals: tuple[str, ...] = ()
    """The ids of the last signals: the stream may show one again after a restart."""

    @property
    def table(self) -> TableToRead | None:
        """The table to read from now."""
        return self.tables[0] if self.tables and not self.is_paused else None

    def signalled(
        self, signal_id: str, signal: Signal, captured: tuple[str, ...]
    ) -> IncrementalState:
        """Return the state after a signal; one that was seen before changes nothing.

        `captured` are the names of the tables that can be read.
        """
        if signal_id and signal_id in self.signals:
            return self
        signals = (*self.signals, signal_id)[-REMEMBERED_SIGNALS:] if signal_id else self.signals
        state = replace(self, signals=signals)
        if isinstance(signal, PauseSnapshot):
            return replace(state, is_paused=True)
        if isinstance(signal, ResumeSnapshot):
            return replace(state, is_paused=False)
        if isinstance(signal, StopSnapshot):
            stopped = compile_expressions(signal.collections)
            kept = tuple(t for t in self.tables if stopped and not matches_any(stopped, t.name))
            return replace(state, tables=kept)
        if isinstance(signal, ExecuteSnapshot):
            wanted = compile_expressions(signal.collections)
            waiting = {table.name for table in self.tables}
            added = tuple(
                TableToRead(name, _condition(signal, name))
                for name in captured
                if name not in waiting and matches_any(wanted, name)
            )
            return replace(state, tables=self.tables + added)
        return state

    def began(self, last: KeyTexts, *, hides_key: bool) -> IncrementalState:
        """Return the state once the first table's largest key is known."""
        first = replace(self.tables[0], last=last, hides_key=hides_key)
        return replace(self, tables=(first, *self.tables[1:]))

    def read(self, name: str, after: KeyTexts) -> IncrementalState:
        """Return the state once a chunk up to this key is published."""
        if not self.tables or self.tables[0].name != name:
            return self  # It was stopped meanwhile.
        first = self.tables[0]
        if after == first.last:
            return self.finished(name)
        return replace(self, tables=(replace(first, after=after), *self.tables[1:]))

    def finished(self, name: str) -> IncrementalState:
        """Return the state once a table needs no more reading."""
        return replace(self, tables=tuple(t for t in self.tables if t.name != name))

    def as_json(self) -> dict[str, Any]:
        """Return what is stored, in a topic: without the keys that are to be hidden."""
        return {
            "tables": [
                [t.name, t.condition, *((None, None) if t.hides_key else (t.after, t.last))]
                for t in self.tables
            ],
            "is_paused": self.is_paused,
            "signals": list(self.signals),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> IncrementalState:
        """Return what `as_json` wrote; raises ValueError for anything else."""
        try:
            tables = tuple(
                TableToRead(name, condition, after and tuple(after), last and tuple(last))
                for name, condition, after, last in stored["tables"]
            )
            return cls(tables, bool(stored["is_paused"]), tuple(stored["signals"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not the state of an incremental snapshot") from error


def _condition(signal: ExecuteSnapshot, name: str) -> str | None:
    for collection, condition in signal.conditions:
        if matches_any(compile_expressions((collection,)), name):
            return condition
    return None
