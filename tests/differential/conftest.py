"""What the comparing tests share: the way to run both sides, and what came of the usual runs.

What costs is to start, so each run has all configurations at once, and many tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest

from deploy.local.debezium import LocalDebezium
from deploy.local.registry import LocalRegistry
from tests.differential.column_kinds import ALL_KINDS, ColumnKind
from tests.differential.configurations import (
    EVENT_FORMS,
    HONEST,
    SNAPSHOTS,
    VALUE_MODES,
    Configuration,
    avro_configurations,
)
from tests.differential.event_script import event_steps
from tests.differential.kept import RULES
from tests.differential.report import report
from tests.differential.rules import Rule, unexplained
from tests.differential.script import Step, in_rounds, kind_steps, tables_of_kinds
from tests.differential.sides import Outcome, SideBySide, install, side_by_side
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.postgres import PostgresServer, new_database


class Comparison:
    """Both sides on one database, and the kinds of columns that it can have."""

    def __init__(self, sides: SideBySide, kinds: Sequence[ColumnKind]) -> None:
        self.sides = sides
        self.kinds = kinds

    def outcomes(self) -> dict[str, Outcome]:
        """Stop both sides and return what came of each configuration."""
        return {outcome.configuration.name: outcome for outcome in self.sides.finish()}


Compare = Callable[..., AbstractContextManager[Comparison]]
Outcomes = dict[str, Outcome]
"""What came of each configuration, by its name."""

LEFT_OUT_BY_DEBEZIUM = (
    Step("CREATE TABLE emptied (id int PRIMARY KEY)", changes_schema=True),
    Step("CREATE TABLE no_columns ()", changes_schema=True),
    Step("ALTER TABLE no_columns REPLICA IDENTITY FULL", changes_schema=True),
    Step("INSERT INTO emptied VALUES (1)"),
    Step("TRUNCATE emptied"),
    Step("INSERT INTO no_columns DEFAULT VALUES"),
)


@pytest.fixture(scope="session")
def compare(
    postgres_server: PostgresServer,
    kafka_broker: KafkaBroker,
    debezium_worker: LocalDebezium,
    tmp_path_factory: pytest.TempPathFactory,
) -> Compare:
    """Return a way to open a comparison of configurations; its sides are not started yet."""

    @contextmanager
    def opened(
        configurations: Sequence[Configuration], registry_url: str | None = None
    ) -> Iterator[Comparison]:
        for server in (postgres_server, kafka_broker, debezium_worker):
            server.start()
        with new_database(postgres_server) as database:
            available = install(database)
            kinds = [k for k in ALL_KINDS if not k.extension or k.extension in available]
            with side_by_side(
                database,
                kafka_broker.bootstrap_servers,
                debezium_worker,
                tmp_path_factory.mktemp("differential"),
                configurations,
                registry_url=registry_url,
            ) as sides:
                yield Comparison(sides, kinds)

    return opened


@pytest.fixture(scope="session")
def avro(registry_server: LocalRegistry) -> Sequence[Configuration]:
    """Return configurations that write Avro to the session's registry."""
    registry_server.start()
    converters = [registry_server.converter_properties(side) for side in ("key", "value")]
    return avro_configurations(converters[0] | converters[1])


@pytest.fixture(scope="session")
def streamed_values(
    compare: Compare, avro: Sequence[Configuration], registry_server: LocalRegistry
) -> Outcomes:
    """Run every kind's values while they are read, in every mode."""
    with compare([*VALUE_MODES, HONEST, *avro], registry_server.url) as comparison:
        comparison.sides.start()
        tables = tables_of_kinds(comparison.kinds)
        comparison.sides.run(in_rounds([kind_steps(*table) for table in tables]))
        comparison.sides.run(LEFT_OUT_BY_DEBEZIUM)
        assert not comparison.sides.errors
        return comparison.outcomes()


@pytest.fixture(scope="session")
def snapshot_values(compare: Compare) -> Outcomes:
    """Run the same before anybody reads, then some changes to stream."""
    with compare(SNAPSHOTS) as comparison:
        tables = list(tables_of_kinds(comparison.kinds))
        comparison.sides.prepare(in_rounds([kind_steps(*table) for table in tables]))
        comparison.sides.start()
        for table, _ in tables:
            comparison.sides.run([Step(f"DELETE FROM {table} WHERE id > 5")])
        assert not comparison.sides.errors
        return comparison.outcomes()


@pytest.fixture(scope="session")
def events(
    compare: Compare, avro: Sequence[Configuration], registry_server: LocalRegistry
) -> Outcomes:
    """Run the hand-picked changes of keys, identities, tables, transactions and messages."""
    with compare([*EVENT_FORMS, *avro], registry_server.url) as comparison:
        comparison.sides.start()
        comparison.sides.run(event_steps())
        assert not comparison.sides.errors
        return comparison.outcomes()


def assert_no_difference(
    outcomes: Iterable[Outcome], replay: str = "", rules: Sequence[Rule] = RULES
) -> None:
    """Fail with a readable list of what differs and no rule explains."""
    outcomes = [replace(o, differences=unexplained(o.differences, rules)) for o in outcomes]
    assert all(outcome.records for outcome in outcomes), "Debezium published nothing"
    if text := report(outcomes, replay):
        pytest.fail(text, pytrace=False)
