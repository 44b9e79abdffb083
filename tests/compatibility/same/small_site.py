"""A site that runs on bemi-django and on django-bemi alike; it uses what both have.

As a program: `small_site.py migrate|check|request USER_ID ACTION NAME`, on the database that DB_*
names. Its models are Django's own users and groups.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import django
from django.conf import settings

NAME = "tests.compatibility.same.small_site"

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    SECRET_KEY="of a test",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "bemi"],
    MIDDLEWARE=["bemi.BemiMiddleware"],
    ROOT_URLCONF=NAME,
    BEMI_CONTEXT_FUNCTION=f"{NAME}.context_of_request",
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
# Under this name too when it is the program itself: settings name it.
sys.modules.setdefault(NAME, sys.modules[__name__])
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


def context_of_request(request: HttpRequest) -> Any:
    kind = request.headers.get("X-Kind", "dict")
    if kind == "raises":
        raise RuntimeError("the context function is broken")
    if kind == "none":
        return {}
    return {
        "user_id": int(request.headers["X-User"]),
        "endpoint": request.path,
        "nested": {"list": [1, None, "two"]},
    }


def create(name: str) -> None:
    Group.objects.create(name=name)


def save(name: str) -> None:
    group = Group.objects.get(name=name)
    group.name = f"{name}!"
    group.save()


def delete(name: str) -> None:
    Group.objects.filter(name=name).delete()


def update(name: str) -> None:
    Group.objects.update(name=name)


def bulk_create(name: str) -> None:
    Group.objects.bulk_create([Group(name=f"{name}{number}") for number in range(3)])


def add_to_group(name: str) -> None:
    user = User.objects.create(username=name)
    user.groups.add(Group.objects.create(name=name))


def raw(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO auth_group (name) VALUES (%s);", [name])


def executemany(name: str) -> None:
    with connection.cursor() as cursor:
        names = [(f"{name}{number}",) for number in range(2)]
        cursor.executemany("INSERT INTO auth_group (name) VALUES (%s)", names)


def read(name: str) -> None:
    list(Group.objects.filter(name=name))


ACTIONS = {
    action.__name__: action
    for action in (create, save, delete, update, bulk_create, add_to_group, raw, executemany, read)
}


def answer(request: HttpRequest, action: str, name: str) -> HttpResponse:
    ACTIONS[action](name)
    return HttpResponse(action)


urlpatterns = [path("<str:action>/<str:name>/", answer)]


def send(user_id: int, action: str, name: str = "a", **headers: str) -> int:
    """Let the site answer a request, and return its status."""
    response = Client().post(f"/{action}/{name}/", headers={"X-User": str(user_id), **headers})
    return response.status_code


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "request":
        user_id, action, name = arguments
        status = send(int(user_id), action, name)
        assert status == 200, status
    elif command == "check":
        call_command("check", fail_level="WARNING", databases=["default"])
    else:
        call_command(command, *arguments, verbosity=0)
