"""Why records may differ: one rule for each cause. Pure.

A difference that no rule covers is a fault of the producer, and a rule that covers none is out
of date, so what the rules list is all that differs, and really does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.differential.comparison import Difference

_COLUMN = re.compile(r"^value\.(?:payload\.)?(?:before|after)\.(?:n_|d\d_)?(?P<kind>\w+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """Differences of one cause."""

    name: str
    covers: Callable[[Difference], bool]


def kind_of(difference: Difference) -> str | None:
    """Return the kind of the column that the difference is in."""
    found = _COLUMN.match(difference.path)
    return found["kind"] if found else None


def unexplained(differences: Iterable[Difference], rules: Sequence[Rule]) -> list[Difference]:
    """Return the differences that no rule covers."""
    return [d for d in differences if not any(rule.covers(d) for rule in rules)]


def explained(differences: Iterable[Difference], rules: Sequence[Rule]) -> list[str]:
    """Return the name of the first rule that covers it, of each difference that one does."""
    covering = (next((rule for rule in rules if rule.covers(d)), None) for d in differences)
    return [rule.name for rule in covering if rule is not None]


def unused(differences: Iterable[Difference], rules: Sequence[Rule]) -> list[str]:
    """Return the names of the rules that cover no difference."""
    found = list(differences)
    return [rule.name for rule in rules if not any(rule.covers(d) for d in found)]
