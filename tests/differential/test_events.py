"""Keys, row images, filters, names and transactions are as Debezium has them."""

from __future__ import annotations

import pytest

from tests.differential.configurations import EVENT_FORMS, HEARTBEATS
from tests.differential.conftest import Compare, Outcomes, assert_no_difference
from tests.differential.script import Step


@pytest.mark.parametrize("name", [configuration.name for configuration in EVENT_FORMS])
def test_events_are_those_of_debezium(name: str, events: Outcomes) -> None:
    assert_no_difference([events[name]])


def test_heartbeats_are_those_of_debezium(compare: Compare) -> None:
    with compare(HEARTBEATS) as comparison:
        comparison.sides.start()
        comparison.sides.run([Step("CREATE TABLE t (id int PRIMARY KEY)", changes_schema=True)])
        for number in range(5):
            # Debezium sends one with an event that comes when it is due.
            comparison.sides.run([Step(f"INSERT INTO t VALUES ({number})")])
            comparison.sides.run([Step("SELECT pg_sleep(0.3)")])
        outcomes = comparison.outcomes().values()
    assert_no_difference(outcomes)
