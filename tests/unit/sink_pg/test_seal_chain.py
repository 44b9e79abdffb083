"""A chain of seals is unbroken, or the break is named where it is."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink_pg.seal_chain import Seal, SealChain, broken_rows

AT = "2026-01-01 00:00:00+00"


@dataclass(frozen=True, slots=True)
class Written:
    """A seal as a table holds it, whose hash the oracle can make anew."""

    number: int
    content: bytes
    previous_hash: bytes
    hash: bytes

    @staticmethod
    def after(previous: Written | None, content: bytes) -> Written:
        number = 1 if previous is None else previous.number + 1
        before = b"" if previous is None else previous.hash
        return Written(number, content, before, _hash(number, content, before))

    def read(self) -> Seal:
        is_true = self.hash == _hash(self.number, self.content, self.previous_hash)
        return Seal(self.number, 1, self.content, AT, AT, self.previous_hash, self.hash, is_true)


def _hash(number: int, content: bytes, previous: bytes) -> bytes:
    return sha256(b"%d|%b|%b" % (number, content, previous)).digest()


def chain_of(contents: list[bytes]) -> list[Written]:
    chain: list[Written] = []
    for content in contents:
        chain.append(Written.after(chain[-1] if chain else None, content))
    return chain


def breaks(chain: list[Written]) -> list[str]:
    checked = SealChain()
    return [each for written in chain for each in checked.take(written.read())]


contents = st.lists(st.binary(max_size=3), min_size=1, max_size=6)


@given(contents)
def test_chain_as_it_was_written_is_unbroken(written: list[bytes]) -> None:
    assert breaks(chain_of(written)) == []


@given(contents, st.data())
def test_seal_that_was_changed_is_named(written: list[bytes], data: st.DataObject) -> None:
    chain = chain_of(written)
    at = data.draw(st.integers(0, len(chain) - 1))
    changed = Written(at + 1, chain[at].content + b"x", chain[at].previous_hash, chain[at].hash)
    chain[at] = changed
    assert breaks(chain)[0].startswith(f"seal {at + 1} was changed")


@given(contents, st.data())
def test_seal_that_was_changed_with_its_hash_breaks_the_link_after_it(
    written: list[bytes], data: st.DataObject
) -> None:
    chain = chain_of([*written, b"last"])
    at = data.draw(st.integers(0, len(chain) - 2))
    chain[at] = Written.after(chain[at - 1] if at else None, chain[at].content + b"x")
    assert breaks(chain) == [f"seal {at + 2} does not follow seal {at + 1}: one was changed"]


@given(contents, st.data())
def test_seals_that_were_removed_are_named(written: list[bytes], data: st.DataObject) -> None:
    chain = chain_of([*written, b"last"])
    first = data.draw(st.integers(0, len(chain) - 2))
    last = data.draw(st.integers(first, len(chain) - 2))
    del chain[first : last + 1]
    name = f"{first + 1}" if first == last else f"{first + 1}-{last + 1}"
    assert breaks(chain) == [f"seal {name} was removed"]


@pytest.mark.parametrize(
    ("row_count", "rows_hash", "words"),
    [
        (5, b"as sealed", None),
        (5, b"other", "at least one of 5 was changed"),
        (3, b"other", "2 of 5 were removed or moved"),
        (0, b"", "5 of 5 were removed"),
        (6, b"other", "1 were added to the 5 sealed"),
    ],
)
def test_rows_are_as_sealed_or_it_is_said_what_became_of_them(
    row_count: int, rows_hash: bytes, words: str | None
) -> None:
    found = broken_rows(Seal(7, 5, b"as sealed", AT, AT, b"", b"", True), row_count, rows_hash)
    assert (found is None) if words is None else (found is not None and words in found)
