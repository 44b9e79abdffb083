"""Tell people what differs: each kind of difference once, with what to replay it by. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.differential.comparison import Difference
from tests.differential.sides import Outcome

SHOWN_CHARACTERS = 300


def report(outcomes: Iterable[Outcome], replay: str = "") -> str:
    """Return the differences of all configurations as text, empty where there are none."""
    lines: list[str] = []
    for outcome in outcomes:
        found = list(_outcome_lines(outcome))
        if found:
            lines += [f"=== configuration {outcome.configuration.name}", *found]
    if lines and replay:
        lines.append(f"replay: {replay}")
    return "\n".join(lines)


def _outcome_lines(outcome: Outcome) -> Iterator[str]:
    for side, reason in outcome.failures.items():
        yield f"--- {side} ended: {_shortened(reason, 1500)}"
    for first, count in by_kind(outcome.differences):
        more = f"  ({count} like this)" if count > 1 else ""
        yield f"--- {first.topic} offset {first.offset}: {first.path}{more}"
        yield f"    debezium: {_shortened(_json(first.debezium))}"
        yield f"    ours:     {_shortened(_json(first.ours))}"
        yield f"    after:    {_shortened(outcome.statements.at(first.lsn))}"


def by_kind(differences: Iterable[Difference]) -> Sequence[tuple[Difference, int]]:
    """Return the first difference of each kind and how many there are of it."""
    kinds: dict[str, list[Difference]] = {}
    for difference in differences:
        kinds.setdefault(difference.kind, []).append(difference)
    return [(found[0], len(found)) for found in kinds.values()]


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shortened(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    return text if len(text) <= characters else f"{text[:characters]}... ({len(text)} characters)"
