"""A site whose reads go to a standby that follows its database by streaming."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, connection, connections
from django.test.utils import CaptureQueriesContext

import bemi
from bemi import Bemi
from bemi.checks import check_tracked_databases
from deploy.local.postgres import LocalPostgres
from tests.fixtures.standbys import STANDBY_SLOT, Servers
from tests.fixtures.waiting import eventually
from tests.integration.django_bemi.conftest import use_database
from tests.integration.django_bemi.test_capture import Item, run
from tests.integration.django_bemi.wal import Context, RowChange, Wal


class ReadsGoToTheStandby:
    """A database router, as Django's manual has it for a primary and its replicas."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "standby"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def primary_wal(
    primary: LocalPostgres, servers: Servers, settings: Any, django_db_blocker: Any
) -> Iterator[Wal]:
    """Let Django write to a server of the test's own, and read from its standby."""
    before = dict(connection.settings_dict)
    address = {"HOST": primary.host, "NAME": "postgres", "USER": primary.user}
    with django_db_blocker.unblock(), psycopg.connect(primary.dsn("postgres")) as admin:
        admin.autocommit = True
        use_database(**address, PORT=str(primary.port), PASSWORD=primary.password)
        run("CREATE TABLE item (id serial PRIMARY KEY, name text UNIQUE, amount int DEFAULT 0)")
        run(Bemi.migration_up())
        wal = Wal(admin, "wal")
        standby = servers.standby_of(primary, primary_slot_name=STANDBY_SLOT)
        connections.databases["standby"] = {
            **connection.settings_dict,
            "PORT": str(standby.port),
        }
        settings.DATABASE_ROUTERS = [ReadsGoToTheStandby()]
        try:
            yield wal
        finally:
            connections["standby"].close()
            del connections["standby"]
            del connections.databases["standby"]
            use_database(**before)


def names_on_the_standby() -> list[str]:
    return sorted(Item.objects.values_list("name", flat=True))


def test_reads_of_the_standby_are_as_they_are_and_writes_carry_their_context(
    primary_wal: Wal,
) -> None:
    with bemi.context(user_id=7):
        Item.objects.create(name="a")
        eventually(lambda: names_on_the_standby() == ["a"])
        item = Item.objects.get(name="a")
        assert item._state.db == "standby"
        item.amount = 5
        item.save(using="default")
        with CaptureQueriesContext(connections["standby"]) as queries:
            eventually(lambda: Item.objects.get(name="a").amount == 5)
            assert [found.name for found in Item.objects.raw("SELECT * FROM item")] == ["a"]
    assert len(queries) >= 2
    assert not [query["sql"] for query in queries if "Bemi" in query["sql"]]
    assert primary_wal.read() == [
        Context('{"user_id":7,"SQL":"INSERT INTO item"}'),
        RowChange("INSERT", "public.item"),
        Context('{"user_id":7,"SQL":"UPDATE \\"item\\" SET \\"name\\" = %s, \\"amount\\" = %s'
                ' WHERE \\"item\\".\\"id\\" = %s"}'),
        RowChange("UPDATE", "public.item"),
    ]  # fmt: skip


def test_nothing_is_attempted_on_the_standby(primary_wal: Wal) -> None:
    with bemi.context(user_id=7), pytest.raises(InternalError, match="read-only"):
        Item.objects.using("standby").create(name="refused")
    eventually(lambda: names_on_the_standby() == [])

    assert check_tracked_databases(None, ["default", "standby"]) == []
    with pytest.raises(CommandError, match="standby is a standby: run this on its primary"):
        call_command("bemi_triggers", database="standby")
    out = StringIO()
    with pytest.raises(SystemExit):  # There is no table `changes` here.
        call_command("bemi_status", stdout=out)
    assert "database default: 1 tables tracked" in out.getvalue()
    assert "database standby: a standby, tracked where its primary is\n" in out.getvalue()
    assert out.getvalue().count("no replication slot") == 0


def test_migrations_run_on_the_primary_and_have_nothing_to_do_on_the_standby(
    primary_wal: Wal,
) -> None:
    call_command("migrate", verbosity=0)
    with connections["standby"].cursor() as cursor:
        present = "SELECT to_regclass('auth_group') IS NOT NULL"
        eventually(lambda: cursor.execute(present).fetchone() == (True,))
    call_command("migrate", database="standby", verbosity=0)
