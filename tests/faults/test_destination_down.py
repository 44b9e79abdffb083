"""The destination is away while the topics fill: it gets everything once it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from tests.faults.under_load import wait_for_transactions, wait_until_stored, writing
from tests.fixtures.load import SCHEMA
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.postgres import FAST_SETTINGS, PostgresServer

TRANSACTIONS_MEANWHILE = 150


@pytest.fixture
def destination(postgres_server: PostgresServer, server_folder: Path) -> Iterator[LocalPostgres]:
    """Run a second server, which a test can take away while the source goes on."""
    if not isinstance(postgres_server, LocalPostgres):
        pytest.skip("the second server is of this machine's programs")
    server = LocalPostgres(server_folder / "destination", free_port(), settings=FAST_SETTINGS)
    try:
        server.start()
        server.ensure_database("audit")
        yield server
    finally:
        server.kill()


def test_what_was_written_while_the_destination_was_down_is_stored_once_it_is_back(
    pipeline: Pipeline, destination: LocalPostgres
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.environ |= {
        "DESTINATION_DB_HOST": destination.host,
        "DESTINATION_DB_PORT": str(destination.port),
        "DESTINATION_DB_NAME": "audit",
        "DESTINATION_DB_USER": destination.user,
        "DESTINATION_DB_PASSWORD": destination.password,
    }
    pipeline.destination = destination.dsn("audit")
    pipeline.start()
    with writing(pipeline) as writers:
        wait_until_stored(pipeline, writers)
        destination.kill()
        wait_for_transactions(writers, TRANSACTIONS_MEANWHILE)
        # A sink that starts meanwhile waits too, and so does one that was there before.
        pipeline.stages["sink"].kill()
        pipeline.stages["sink"].start()
        pipeline.stages["stitcher"].kill()
        pipeline.start("stitcher")
        wait_for_transactions(writers, TRANSACTIONS_MEANWHILE)
        destination.start()
        wait_until_stored(pipeline, writers)
