"""What the comparing tests share: the way to run both sides in a database of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import pytest

from deploy.local.debezium import LocalDebezium
from tests.differential.column_kinds import ALL_KINDS, ColumnKind
from tests.differential.configurations import Configuration
from tests.differential.report import report
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


def assert_no_difference(outcomes: Iterable[Outcome], replay: str = "") -> None:
    """Fail with a readable list of what differs."""
    outcomes = list(outcomes)
    assert all(outcome.records for outcome in outcomes), "Debezium published nothing"
    if text := report(outcomes, replay):
        pytest.fail(text, pytrace=False)
