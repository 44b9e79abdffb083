"""Whether seals follow each other without a break. Pure.

Each seal says the hash of the one before and its own, which is a hash of all it says. So a
seal that was changed, removed, added or exchanged shows at its place in the chain.
"""

from __future__ import annotations

from typing import NamedTuple


class Seal(NamedTuple):
    """A seal as it stands in bemi_seals; `is_true` says whether its hash is that of the rest."""

    number: int
    row_count: int
    rows_hash: bytes
    oldest: str | None
    newest: str | None
    previous_hash: bytes
    hash: bytes
    is_true: bool

    @property
    def is_of_erasure(self) -> bool:
        """Whether it seals what was erased, and no rows that were stored."""
        return self.oldest is None and self.row_count > 0


class SealChain:
    """Takes the seals by their numbers, from the first one on."""

    def __init__(self) -> None:
        self.number = 0
        self.hash = b""
        """Of the last seal; worth noting elsewhere."""

    def take(self, seal: Seal) -> list[str]:
        """Return what is wrong with the seal's place in the chain."""
        breaks = []
        expected = self.number + 1
        if seal.number != expected:
            gone = f"{expected}" if seal.number == expected + 1 else f"{expected}-{seal.number - 1}"
            breaks.append(f"seal {gone} was removed")
        elif seal.previous_hash != self.hash:
            breaks.append(f"seal {seal.number} does not follow seal {self.number}: one was changed")
        if not seal.is_true:
            breaks.append(f"seal {seal.number} was changed: its hash is not that of what it says")
        self.number, self.hash = seal.number, seal.hash
        return breaks


def broken_rows(seal: Seal, row_count: int, rows_hash: bytes) -> str | None:
    """Return what is wrong with a seal's rows as they are now, None where they are as sealed."""
    if row_count == seal.row_count and rows_hash == seal.rows_hash:
        return None
    if seal.is_of_erasure:
        return f"the record of what was erased under seal {seal.number} was changed"
    place = f"rows of seal {seal.number}, committed from {seal.oldest} to {seal.newest}"
    if row_count < seal.row_count:
        return f"{place}: {seal.row_count - row_count} of {seal.row_count} were removed or moved"
    if row_count > seal.row_count:
        return f"{place}: {row_count - seal.row_count} were added to the {seal.row_count} sealed"
    return f"{place}: at least one of {seal.row_count} was changed"
