"""Every type's hand-picked values are written as Debezium writes them, in every mode."""

from __future__ import annotations

import pytest

from tests.differential.configurations import SNAPSHOTS, VALUE_MODES
from tests.differential.conftest import Outcomes, assert_no_difference


@pytest.mark.parametrize("name", [configuration.name for configuration in VALUE_MODES])
def test_changes_have_the_values_and_schemas_of_debezium(
    name: str, streamed_values: Outcomes
) -> None:
    assert_no_difference([streamed_values[name]])


@pytest.mark.parametrize("name", [configuration.name for configuration in SNAPSHOTS])
def test_rows_read_have_the_values_and_schemas_of_debezium(
    name: str, snapshot_values: Outcomes
) -> None:
    assert_no_difference([snapshot_values[name]])
