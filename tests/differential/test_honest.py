"""Without `bemi.debezium.values` the events differ where Debezium's are false, and only there."""

from __future__ import annotations

from dataclasses import replace

from tests.differential.configurations import HONEST
from tests.differential.conftest import Compare, assert_no_difference
from tests.differential.honest import unexplained, unused
from tests.differential.script import Step, in_rounds, kind_steps, tables_of_kinds

LEFT_OUT = (
    Step("CREATE TABLE emptied (id int PRIMARY KEY)", changes_schema=True),
    Step("CREATE TABLE no_columns ()", changes_schema=True),
    Step("ALTER TABLE no_columns REPLICA IDENTITY FULL", changes_schema=True),
    Step("INSERT INTO emptied VALUES (1)"),
    Step("TRUNCATE emptied"),
    Step("INSERT INTO no_columns DEFAULT VALUES"),
)


def test_events_differ_from_debeziums_as_documented_and_not_otherwise(compare: Compare) -> None:
    with compare([HONEST]) as comparison:
        comparison.sides.start()
        tables = tables_of_kinds(comparison.kinds)
        comparison.sides.run(in_rounds([kind_steps(*table) for table in tables]))
        comparison.sides.run(LEFT_OUT)
        assert not comparison.sides.errors
        outcome = comparison.outcomes()[HONEST.name]
    assert_no_difference([replace(outcome, differences=unexplained(outcome.differences))])
    assert unused(outcome.differences) == []
