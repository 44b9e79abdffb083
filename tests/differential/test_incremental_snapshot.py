"""An incremental snapshot reads the rows that Debezium reads, in its order and form."""

from __future__ import annotations

import json
from functools import partial

from tests.differential.configurations import DEFAULTS, READABLE, configuration
from tests.differential.conftest import Compare, assert_no_difference
from tests.differential.script import Step, quoted
from tests.differential.sides import SideBySide
from tests.fixtures.waiting import eventually

ROWS = 10
SIGNALS = {
    "signal.data.collection": "public.signals",
    "incremental.snapshot.chunk.size": "3",
    "table.include.list": "public.t,public.signals",
    # The producer's watermarks are messages, whose transactions Debezium would announce.
    "provide.transaction.metadata": "false",
}
REQUEST = json.dumps({"data-collections": ["public.t"], "type": "incremental"})


def test_the_rows_of_an_incremental_snapshot_are_those_of_debezium(compare: Compare) -> None:
    # One after the other: Debezium's watermarks are rows of the signal table they share.
    for base in (READABLE, DEFAULTS):
        with compare([configuration(base.name, base.properties, SIGNALS)]) as comparison:
            sides = comparison.sides
            sides.prepare(
                [
                    Step(
                        "CREATE TABLE signals (id varchar(64) PRIMARY KEY,"
                        " type varchar(32) NOT NULL, data varchar(2048))"
                    ),
                    Step("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric)"),
                    Step(f"INSERT INTO t SELECT g, 'x', g FROM generate_series(1, {ROWS}) g"),
                ]
            )
            sides.start()
            sides.run(
                [Step(f"INSERT INTO signals VALUES ('s', 'execute-snapshot', {quoted(REQUEST)})")]
            )
            eventually(partial(_are_read, sides), 60.0)
            sides.run([Step("UPDATE t SET v = 'y' WHERE id = 1")])
            outcomes = comparison.outcomes().values()
        assert_no_difference(outcomes)


def _are_read(sides: SideBySide) -> bool:
    return min(sides.counts("public.t")) >= ROWS
