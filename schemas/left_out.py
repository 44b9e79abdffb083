"""Which changes of a transaction are not in `.changes` because a rule or a hook left them out.

The stitcher tells it of each transaction in the topic `.left-out`, so that whoever compares the
source with the trail can tell what was left out from what was lost. A transaction that is stitched
again is told again under the same key; the last one counts.
"""

from __future__ import annotations

import json
from typing import NamedTuple


class LeftOutChanges(NamedTuple):
    """The changes of one table that were left out: how many, and the sum of their ordinals."""

    changes: int
    ordinals: int


class LeftOutOfTransaction(NamedTuple):
    """What was left out of one transaction, by schema and table."""

    epoch: str
    commit_lsn: int
    tables: dict[tuple[str, str], LeftOutChanges]

    def key(self) -> bytes:
        """Return the key of its record."""
        return f"{self.epoch}/{self.commit_lsn}".encode()

    def value(self) -> bytes:
        """Return the value of its record, as JSON."""
        tables = [
            {"schema": pg_schema, "table": table, **left_out._asdict()}
            for (pg_schema, table), left_out in self.tables.items()
        ]
        fields = {"epoch": self.epoch, "commit_lsn": self.commit_lsn, "tables": tables}
        return json.dumps(fields, separators=(",", ":")).encode()


def parse_left_out(value: bytes) -> LeftOutOfTransaction:
    """Return what a record says. Raises ValueError for anything else."""
    try:
        fields = json.loads(value)
        tables = {
            (str(each["schema"]), str(each["table"])): LeftOutChanges(
                int(each["changes"]), int(each["ordinals"])
            )
            for each in fields["tables"]
        }
        return LeftOutOfTransaction(str(fields["epoch"]), int(fields["commit_lsn"]), tables)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it does not say what was left out of a transaction") from error
