"""A database of the test's own under Django, and what its WAL says."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from pytest_django import DjangoDbBlocker

from sink_pg.statements import migrations
from tests.django_site import configure
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.wal import Wal

configure()


def make_changes_table(connection: psycopg.Connection[Any]) -> None:
    """Make the table `changes` as the sink's own migrations make it."""
    for migration in migrations():
        connection.execute(migration.statements)


def use_database(**address: Any) -> None:
    """Point Django's default connection somewhere else."""
    from django.db import connections

    connections["default"].close()
    connections["default"].settings_dict.update(address)


def run_async(work: Coroutine[Any, Any, None]) -> None:
    """Run async code, and close what it opened in the thread that serves it.

    That thread is asgiref's and outlives the test's database.
    """
    from django.db import connections

    async def run() -> None:
        try:
            await work
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(run())


@pytest.fixture
def empty_site(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[Database]:
    """Let Django use the test's database, with no table in it."""
    from django.db import connections

    before = dict(connections["default"].settings_dict)
    with django_db_blocker.unblock():
        use_database(
            HOST=database.environ["DB_HOST"],
            PORT=database.environ["DB_PORT"],
            NAME=database.environ["DB_NAME"],
            USER=database.environ["DB_USER"],
            PASSWORD=database.environ["DB_PASSWORD"],
        )
        try:
            yield database
        finally:
            use_database(**before)


@pytest.fixture
def site(empty_site: Database) -> Database:
    """Let Django use the test's database, with the triggers and the table `item` in it."""
    from django.db import connection

    from bemi import Bemi

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE item (id serial PRIMARY KEY, name text UNIQUE, amount int DEFAULT 0)"
        )
        cursor.execute(Bemi.migration_up())
    return empty_site


@pytest.fixture
def admin(empty_site: Database) -> Iterator[psycopg.Connection[Any]]:
    """Give a plain connection of a superuser, without any wrapper."""
    with empty_site.connect() as connection:
        yield connection


@pytest.fixture
def wal(admin: psycopg.Connection[Any], site: Database) -> Wal:
    """Give what is committed in the test's database from now on."""
    return Wal(admin, f"wal_{site.name}")
