"""How far a partition is stored. Pure.

The next offset says where reading goes on. Epoch, commit LSN and ordinal say which changes
are stored: within one epoch a partition only grows, so a change at or below them is a
redelivery. Another epoch (a failover, a restore, a new slot, a `.wal` made anew) may step back
with changes that are new; there the change's id decides, by the table's key.
"""

from __future__ import annotations

from typing import NamedTuple


class Watermark(NamedTuple):
    """The end of what is stored of one partition.

    Epoch, commit LSN and ordinal are those of the last change that was stored or dropped
    as a redelivery; there are none until the partition had its first readable change.
    """

    next_offset: int
    epoch: str | None = None
    commit_lsn: int = 0
    ordinal: int = 0
    topic_id: str | None = None
    """Which topic of that name the offset is of; None where that is not known."""

    def is_of_another(self, topic_id: str) -> bool:
        """Return whether the offset says nothing of the topic that is there now."""
        return self.topic_id is not None and self.topic_id != topic_id

    def covers(self, epoch: str, commit_lsn: int, ordinal: int) -> bool:
        """Return whether the change is stored already, as far as its position tells."""
        return epoch == self.epoch and (commit_lsn, ordinal) <= (self.commit_lsn, self.ordinal)
