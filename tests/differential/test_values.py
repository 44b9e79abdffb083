"""Every type's hand-picked values are written as Debezium writes them, in every mode."""

from __future__ import annotations

import pytest

from tests.differential.configurations import SNAPSHOTS, VALUE_MODES
from tests.differential.conftest import Compare, assert_no_difference
from tests.differential.script import Step, in_rounds, kind_steps, tables_of_kinds
from tests.differential.sides import Outcome

Outcomes = dict[str, Outcome]


@pytest.fixture(scope="module")
def streamed(compare: Compare) -> Outcomes:
    """All configurations at once on the same statements: what costs is to start."""
    with compare(VALUE_MODES) as comparison:
        comparison.sides.start()
        tables = tables_of_kinds(comparison.kinds)
        comparison.sides.run(in_rounds([kind_steps(*table) for table in tables]))
        assert not comparison.sides.errors
        return comparison.outcomes()


@pytest.fixture(scope="module")
def snapshots(compare: Compare) -> Outcomes:
    """The same statements before anybody reads, then some changes to stream."""
    with compare(SNAPSHOTS) as comparison:
        tables = list(tables_of_kinds(comparison.kinds))
        comparison.sides.prepare(in_rounds([kind_steps(*table) for table in tables]))
        comparison.sides.start()
        for table, _ in tables:
            comparison.sides.run([Step(f"DELETE FROM {table} WHERE id > 5")])
        assert not comparison.sides.errors
        return comparison.outcomes()


@pytest.mark.parametrize("name", [configuration.name for configuration in VALUE_MODES])
def test_changes_have_the_values_and_schemas_of_debezium(name: str, streamed: Outcomes) -> None:
    assert_no_difference([streamed[name]])


@pytest.mark.parametrize("name", [configuration.name for configuration in SNAPSHOTS])
def test_rows_read_have_the_values_and_schemas_of_debezium(name: str, snapshots: Outcomes) -> None:
    assert_no_difference([snapshots[name]])
