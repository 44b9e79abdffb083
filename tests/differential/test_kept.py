"""What is said to differ from Debezium whatever is asked for really does."""

from __future__ import annotations

from tests.differential.conftest import Outcomes
from tests.differential.kept import RULES
from tests.differential.rules import unused


def test_every_difference_that_is_kept_is_there(
    streamed_values: Outcomes, snapshot_values: Outcomes, events: Outcomes
) -> None:
    runs = (streamed_values, snapshot_values, events)
    outcomes = [outcome for run in runs for outcome in run.values()]
    assert unused([d for outcome in outcomes for d in outcome.differences], RULES) == []
