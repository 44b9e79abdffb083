"""Keys, row images, filters, names and transactions are as Debezium has them."""

from __future__ import annotations

import pytest

from tests.differential.configurations import EVENT_FORMS, HEARTBEATS
from tests.differential.conftest import Compare, assert_no_difference
from tests.differential.event_script import event_steps
from tests.differential.script import Step
from tests.differential.sides import Outcome


@pytest.fixture(scope="module")
def outcomes(compare: Compare) -> dict[str, Outcome]:
    """All configurations at once on the same statements: what costs is to start."""
    with compare(EVENT_FORMS) as comparison:
        comparison.sides.start()
        comparison.sides.run(event_steps())
        assert not comparison.sides.errors
        return comparison.outcomes()


@pytest.mark.parametrize("name", [configuration.name for configuration in EVENT_FORMS])
def test_events_are_those_of_debezium(name: str, outcomes: dict[str, Outcome]) -> None:
    assert_no_difference([outcomes[name]])


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
