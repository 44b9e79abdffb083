"""A site in one file that does everything once; run by whichever interpreter is to be tested.

`python one_file_site.py [psycopg2]`: the word forces psycopg2 where psycopg is there too. Each
step runs in the context {"step": its name}; the last line written is JSON of the versions. What
reached the log is for the caller to look at.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

if "psycopg2" in sys.argv[1:]:
    # What is None there cannot be imported, so Django takes the other driver.
    sys.modules["psycopg"] = None  # type: ignore[assignment]

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["bemi"],
    MIDDLEWARE=["bemi.BemiMiddleware"],
    BEMI_CONTEXT_FUNCTION=f"{__name__}.context_of_request",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["DB_HOST"],
            "PORT": os.environ["DB_PORT"],
            "NAME": os.environ["DB_NAME"],
            "USER": os.environ["DB_USER"],
            "PASSWORD": os.environ["DB_PASSWORD"],
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from asgiref.sync import sync_to_async  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections, models, transaction  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import AsyncRequestFactory, RequestFactory  # noqa: E402

import bemi  # noqa: E402
from bemi.models import BemiChange  # noqa: E402
from bemi.testing import captured_changes  # noqa: E402

try:
    import_module("psycopg")
    is_psycopg3 = True
except ImportError:
    is_psycopg3 = False


class Item(models.Model):
    """The table `item`."""

    name = models.TextField()
    amount = models.IntegerField(default=0)

    objects: models.Manager[Item] = models.Manager()

    class Meta:
        app_label = "items"
        db_table = "item"
        managed = False

    def __str__(self) -> str:
        return self.name


def context_of_request(request: Any) -> dict[str, Any]:
    return {"step": request.path.strip("/")}


def sync_view(request: Any) -> HttpResponse:
    Item.objects.create(name="by a view")
    return HttpResponse()


async def async_view(request: Any) -> HttpResponse:
    await Item.objects.acreate(name="by an async view")
    return HttpResponse()


async def answer_async() -> None:
    await bemi.BemiMiddleware(async_view)(AsyncRequestFactory().post("/async/"))
    await sync_to_async(connections.close_all)()


def orm() -> None:
    Item.objects.bulk_create([Item(name=str(number)) for number in range(3)])
    Item.objects.filter(name="0").update(amount=1)
    Item.objects.bulk_update(Item.objects.filter(name__in=["1", "2"]), ["amount"])
    Item.objects.update_or_create(name="1", defaults={"amount": 5})
    Item.objects.filter(name="2").delete()


def raw() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO item (name, amount) VALUES (%s, 1)", ["100% -- raw"])
        cursor.execute("/* first */ UPDATE item SET amount = 7 WHERE name = '0'")
        cursor.executemany("UPDATE item SET amount = %s WHERE name = '0'", [(8,), (9,)])
        composed = _sql().SQL("DELETE FROM {} WHERE name = %s").format(_sql().Identifier("item"))
        cursor.execute(composed, ["100% -- raw"])
        as_bytes: Any = b"DELETE FROM item WHERE name = '1'"
        cursor.execute(as_bytes)


def _sql() -> Any:
    return import_module("psycopg.sql" if is_psycopg3 else "psycopg2.sql")


def copy() -> None:
    with connection.cursor() as cursor:
        if is_psycopg3:
            with cursor.copy("COPY item (name, amount) FROM STDIN") as into:
                into.write(b"a\t1\nb\t1\n")
            return
        cursor.copy_expert("COPY item (name, amount) FROM STDIN", io.StringIO("a\t1\nb\t1\n"))
        cursor.copy_from(
            io.StringIO("c;it's\nd;2\n"), "item", ";", "it's", columns=["name", "amount"]
        )


def execute_values() -> None:
    if is_psycopg3:
        return
    extras: Any = import_module("psycopg2.extras")
    with connection.cursor() as cursor:
        extras.execute_values(
            cursor, "INSERT INTO item (name, amount) VALUES %s", [("x", 1), ("y", 2)]
        )


def callproc() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION add_item(n text) RETURNS int LANGUAGE sql AS"
            " $$ INSERT INTO item (name) VALUES (n) RETURNING amount $$"
        )
        cursor.callproc("add_item", ["100% -- called"])
        cursor.execute("SELECT add_item(%s)", ["selected"])
        if not is_psycopg3:
            cursor.cursor.callproc("add_item", {"n": "by name"})


def read_in_chunks() -> None:
    with transaction.atomic():
        for item in Item.objects.filter(name__in=["a", "b"]).iterator(chunk_size=1):
            Item.objects.filter(pk=item.pk).update(amount=3)


STEPS: list[Callable[[], None]] = [orm, raw, copy, execute_values, callproc, read_in_chunks]


def main() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE item (id bigserial PRIMARY KEY, name text, amount int)")
    call_command("migrate", verbosity=0)
    call_command("check", fail_level="WARNING", databases=["default"], stdout=io.StringIO())
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
    bemi.BemiMiddleware(sync_view)(RequestFactory().post("/sync/"))
    asyncio.run(answer_async())
    for step in STEPS:
        with bemi.context(step=step.__name__):
            step()
    with captured_changes() as changes, bemi.context(step="captured"):
        Item.objects.filter(name="b").update(amount=4)
    assert changes.get("UPDATE", name="b").context["step"] == "captured"
    assert BemiChange.objects.context({"step": "raw"}).updated().asc().count() == 0
    if "zero" in sys.argv[1:]:
        call_command("migrate", "bemi", "zero", verbosity=0)
    driver: Any = import_module("psycopg" if is_psycopg3 else "psycopg2")
    versions = {
        "python": platform.python_version(),
        "django": django.__version__,
        "driver": f"{driver.__name__} {driver.__version__}",
    }
    connections.close_all()
    print(json.dumps(versions))


if __name__ == "__main__":
    main()
