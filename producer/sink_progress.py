"""Which position is stored in `changes`, as far as the stages behind tell. Pure.

Nobody says it: a transaction may become no change at all, and a partition may be quiet for days.
So it is followed by offsets, three steps for one position at a time:

    acknowledged by Kafka -> where `.wal` ends then -> stitched up to there -> where `.changes` ends
    then -> stored up to there: so everything before the position is stored

Each step is read after the one before, and everything only grows; so what is read late is
merely late. It holds for one life of the two topics: one that ends before where it ended, or
before where its reader is, has lost records that were counted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.change_id import Lsn

Offsets = Mapping[int, int]
"""By partition; a partition that is not there stands at 0."""


@dataclass(frozen=True, slots=True)
class Look:
    """How far everybody is, read in the order of the fields."""

    acknowledged: Lsn
    """Before it everything is in `.wal`."""
    stitched: Offsets
    """The next records of `.wal`: what the ones before gave is in `.changes`."""
    wal_ends: Offsets
    stored: Offsets
    """The next records of `.changes`: the ones before are stored."""
    changes_ends: Offsets


class _Mark(NamedTuple):
    """A position, and up to where it must be done for everything before to be."""

    lsn: Lsn
    ends: Offsets


class SinkProgress:
    """The last position before which everything is stored; never moves back."""

    def __init__(self, stored: Lsn) -> None:
        self.stored_lsn = stored
        self._stitching: _Mark | None = None
        self._storing: _Mark | None = None
        self._last: Look | None = None

    @property
    def waits_for(self) -> str | None:
        """The stage that has to go on, None where everything is stored."""
        if self._storing is not None:
            return "sink"
        return None if self._stitching is None else "stitcher"

    def observe(self, look: Look) -> str | None:
        """Take in a look; return which topic has lost its end, if one has.

        Then nothing of it counts, and nobody can tell any more what is stored.
        """
        last, self._last = self._last or look, look
        if not (_covers(look.wal_ends, last.wal_ends) and _covers(look.wal_ends, look.stitched)):
            return ".wal"
        if not (
            _covers(look.changes_ends, last.changes_ends)
            and _covers(look.changes_ends, look.stored)
        ):
            return ".changes"
        self._finish_storing(look)
        self._begin_storing(look)
        if self._stitching is None and look.acknowledged > self._marked:
            self._stitching = _Mark(look.acknowledged, dict(look.wal_ends))
            self._begin_storing(look)
        return None

    @property
    def _marked(self) -> Lsn:
        return self.stored_lsn if self._storing is None else self._storing.lsn

    def _begin_storing(self, look: Look) -> None:
        mark = self._stitching
        if mark is not None and self._storing is None and _covers(look.stitched, mark.ends):
            self._stitching = None
            self._storing = _Mark(mark.lsn, dict(look.changes_ends))
            self._finish_storing(look)

    def _finish_storing(self, look: Look) -> None:
        mark = self._storing
        if mark is not None and _covers(look.stored, mark.ends):
            self._storing = None
            self.stored_lsn = mark.lsn


def _covers(done: Offsets, ends: Offsets) -> bool:
    return all(done.get(partition, 0) >= end for partition, end in ends.items())
