"""What the doctor says of one matter. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad it is; the worst one is the exit code of the command."""

    OK = 0
    WARNING = 1
    """It works, and somebody will regret it."""
    ERROR = 2
    """It does not work, changes are lost, or the application breaks."""


@dataclass(frozen=True, slots=True)
class WholeRowIdentity:
    """A fix: REPLICA IDENTITY FULL for a table whose UPDATE and DELETE fail as it is."""

    pg_schema: str
    table: str

    def __str__(self) -> str:
        return f"REPLICA IDENTITY FULL for {self.pg_schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class TopicSetting:
    """A fix: a setting of a topic that keeps what would be deleted unread."""

    topic: str
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value} for topic {self.topic}"


Fix = WholeRowIdentity | TopicSetting
"""What `--fix` does: nothing that loses anything, needs a restart or holds a lock for long."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One matter: how it is, and what to do about it."""

    area: str
    severity: Severity
    summary: str
    advice: str = ""
    sql: tuple[str, ...] = ()
    """What a person may run as it is."""
    fixes: tuple[Fix, ...] = ()


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the exit code."""
    return max((finding.severity for finding in findings), default=Severity.OK)


def some_of(names: Iterable[str], most: int = 4) -> str:
    """Return the names in a line, the first ones of many."""
    listed = list(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")
