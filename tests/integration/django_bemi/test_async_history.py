"""Reading the trail from async code, and from a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connections

import bemi
from bemi.models import BemiChange
from tests.fixtures.postgres import Database, PostgresServer, new_database
from tests.integration.django_bemi.conftest import make_changes_table, run_async
from tests.integration.django_bemi.library.models import Author
from tests.integration.django_bemi.recorder import Recorder
from tests.integration.django_bemi.test_connections import alias
from tests.integration.django_bemi.test_history import now, recorder

__all__ = ["recorder"]


def test_every_question_can_be_asked_by_async_code(recorder: Recorder) -> None:
    with bemi.context(request_id="a"):
        author = Author.objects.create(name="one")
    first = now()
    with bemi.context(request_id="b"):
        Author.objects.update(name="two")
    recorder.record()

    async def ask() -> None:
        changes = author.bemi_changes()
        assert await changes.acount() == 2
        assert (await changes.updated().aget()).diff() == {"name": ["one", "two"]}
        assert [change.operation async for change in changes.asc()] == ["CREATE", "UPDATE"]
        oldest, newest = await changes.afirst_change(), await changes.alast_change()
        assert oldest is not None
        assert newest is not None
        assert (oldest.operation, newest.operation) == ("CREATE", "UPDATE")
        history = await author.abemi_field_history("name")
        assert [(old, new) for _, old, new in history] == [(None, "one"), ("one", "two")]
        was = await author.abemi_as_of(first)
        assert was is not None
        assert was.name == "one"
        assert [row.name for row in await Author.bemi.aas_of(first)] == ["one"]
        groups = [len(group) async for group in BemiChange.objects.aby_transaction()]
        assert groups == [1, 1]
        requests = [key async for key, _ in BemiChange.objects.aby_context("request_id")]
        assert requests == ["a", "b"]
        planned = await author.abemi_revert_to(first, dry_run=True)
        assert [step.values for step in planned] == [{"name": "one"}]
        async with bemi.context(user_id=7):
            await newest.arevert()
            assert bemi.current_context() == {"user_id": 7}
        assert (await Author.objects.aget()).name == "one"
        assert bemi.current_context() == {}

    run_async(ask())
    recorder.record()
    context = author.bemi_changes().last_change().context  # type: ignore[union-attr]
    assert context is not None
    assert context["user_id"] == 7
    assert len(context["reverted"]) == 1


def test_a_transaction_of_several_changes_is_one_group_for_async_code(recorder: Recorder) -> None:
    Author.objects.bulk_create([Author(name=str(number)) for number in range(3)])
    Author.objects.create(name="later")
    recorder.record()

    async def ask() -> list[int]:
        return [len(group) async for group in BemiChange.objects.aby_transaction()]

    sizes: list[int] = []

    async def note() -> None:
        sizes.extend(await ask())

    run_async(note())
    assert sizes == [3, 1]


@pytest.fixture
def trail_database(
    recorder: Recorder, postgres_server: PostgresServer, settings: Any
) -> Iterator[Database]:
    """Give the trail a database of its own, which the router reads it from."""
    with new_database(postgres_server) as database, alias("bemi", database):
        with database.connect() as connection:
            make_changes_table(connection)
        settings.DATABASE_ROUTERS = ["bemi.BemiDatabaseRouter"]
        yield database
        connections["bemi"].close()


def moved(source: psycopg.Connection[Any], target: Database) -> None:
    """Move what was recorded to where the router looks for it."""
    with target.connect() as connection:
        out, into = source.cursor(), connection.cursor()
        with (
            out.copy("COPY (SELECT * FROM changes) TO STDOUT") as rows,
            into.copy("COPY changes FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write(row)
    source.execute("DELETE FROM changes")


def test_a_trail_in_a_database_of_its_own_is_read_and_undone(
    recorder: Recorder, trail_database: Database, admin: psycopg.Connection[Any]
) -> None:
    author = Author.objects.create(name="one")
    first = now()
    with bemi.context(request_id="r"):
        Author.objects.update(name="two")
    recorder.record()
    moved(admin, trail_database)
    assert BemiChange.objects.db == "bemi"
    was = author.bemi_as_of(first)
    assert was is not None
    assert was.name == "one"
    assert was._state.db == "default"
    assert [row.name for row in Author.bemi.as_of(now())] == ["two"]
    BemiChange.objects.context({"request_id": "r"}).revert()
    assert Author.objects.get().name == "one"

    async def ask() -> None:
        assert await author.bemi_changes().acount() == 2

    run_async(ask())
