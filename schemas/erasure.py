"""Which stored changes were erased, and what of them: the record of an erasure. Pure.

It stands in the topic `.erasures` before anything is erased, so whoever reads `.changes` again,
today's table or a new one, knows what must not come back. It names changes by their ids, which
are the same in every replay, and says nothing of the person they are about. An erasure of many
changes has several records under its id.

What is erased is replaced by `ERASED`: each member of `before` and `after` (`values`) or of
`context`, or those that are named; and the primary key.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

ERASED = "[erased]"
"""Stands for a value that was erased."""


class Part(str, Enum):
    """A part of a change that can be erased."""

    VALUES = "values"
    CONTEXT = "context"
    PRIMARY_KEY = "primary-key"


class Erasure(NamedTuple):
    """What was decided: by what reason which parts are erased, when and by which role."""

    id: str
    erased_at: str
    """ISO 8601 with the offset."""
    erased_by: str
    reason: str
    parts: tuple[Part, ...]
    members: tuple[str, ...] | None
    """The members of `before`, `after` and `context` that are erased; None for all."""


class ErasedChange(NamedTuple):
    """A change that is erased: its id and when it was committed (ISO 8601 with the offset)."""

    id: str
    committed_at: str


class ErasureRecord(NamedTuple):
    """An erasure and some of its changes."""

    erasure: Erasure
    changes: tuple[ErasedChange, ...]

    def key(self) -> bytes:
        """Return the key of the record."""
        return self.erasure.id.encode()

    def value(self) -> bytes:
        """Return the value of the record, as JSON."""
        fields = {**self.erasure._asdict(), "changes": self.changes}
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def parse_erasure(value: bytes) -> ErasureRecord:
    """Return what a record says. Raises ValueError for anything else."""
    try:
        fields: Any = json.loads(value)
        members = fields["members"]
        if not isinstance(members, list | None):
            raise ValueError("no list")
        erasure = Erasure(
            str(UUID(fields["id"])),
            _text(fields["erased_at"]),
            _text(fields["erased_by"]),
            _text(fields["reason"]),
            tuple(Part(part) for part in fields["parts"]),
            None if members is None else tuple(map(_text, members)),
        )
        changes = tuple(ErasedChange(str(UUID(id_)), _text(at)) for id_, at in fields["changes"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError("it does not say which changes were erased") from error
    return ErasureRecord(erasure, changes)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value
