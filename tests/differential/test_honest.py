"""Without `bemi.debezium.values` the events differ where Debezium's are false, and only there."""

from __future__ import annotations

from tests.differential import honest, kept
from tests.differential.configurations import HONEST
from tests.differential.conftest import Outcomes, assert_no_difference
from tests.differential.rules import unused


def test_events_differ_from_debeziums_as_documented(streamed_values: Outcomes) -> None:
    assert_no_difference([streamed_values[HONEST.name]], rules=(*honest.RULES, *kept.RULES))


def test_every_documented_difference_is_there(streamed_values: Outcomes) -> None:
    assert unused(streamed_values[HONEST.name].differences, honest.RULES) == []
