"""The record of a gap: what an auditor must be able to see in the trail itself. Pure.

It is a logical message with the prefix `_bemi_gap`, written into the source's own log, so it
arrives in order with the changes around it: in `.message` and in `.wal`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from schemas.change_id import Lsn, format_lsn


class GapReason(Enum):
    """Why changes are missing, or are there that should not be."""

    SLOT_LOST = "slot_lost"
    SLOT_MISSING = "slot_missing"
    SLOT_MOVED_ON = "slot_moved_on"
    OTHER_SERVER = "other_server"
    SERVER_WENT_BACK = "server_went_back"
    HISTORY_DIVERGED = "history_diverged"
    PUBLICATION_MISSING = "publication_missing"
    PUBLICATION_CHANGED = "publication_changed"


@dataclass(frozen=True, slots=True)
class GapRecord:
    """A stretch of the log that the trail does not tell, or not truly.

    After `history_diverged` and `server_went_back` it is the other way round: the trail has
    changes from `to_lsn` to `from_lsn` that the database does not have.
    """

    reason: GapReason
    from_lsn: Lsn | None  # Everything before it was captured; None where that is not known.
    to_lsn: Lsn | None  # From here on everything is captured; None until the slot is made.
    from_system: tuple[int, int] | None  # System identifier and timeline.
    to_system: tuple[int, int]
    database: str
    slot_name: str

    def ending_at(self, lsn: Lsn) -> GapRecord:
        """Return the record with its end, where that was not known before."""
        return self if self.to_lsn is not None else replace(self, to_lsn=lsn)

    def to_bytes(self, at: datetime) -> bytes:
        """Return the message's content, with the time at which the gap was accepted."""
        from_id, from_timeline = self.from_system or (None, None)
        return json.dumps(
            {
                "reason": self.reason.value,
                "from_lsn": None if self.from_lsn is None else format_lsn(self.from_lsn),
                "to_lsn": None if self.to_lsn is None else format_lsn(self.to_lsn),
                "from_system_identifier": None if from_id is None else str(from_id),
                "from_timeline": from_timeline,
                "to_system_identifier": str(self.to_system[0]),
                "to_timeline": self.to_system[1],
                "database": self.database,
                "slot": self.slot_name,
                "at": at.isoformat(),
            }
        ).encode()
