"""What `manage.py check` tells of a wrong set-up, without a database."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connections

from bemi import BemiDatabaseRouter, BemiMiddleware, checks, conf
from deploy.local.paths import REPOSITORY

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


class OwnMiddleware(BemiMiddleware):
    """A site's own, made of the package's."""


def two_arguments(request: Any, other: Any) -> dict[str, Any]:
    return {}


def one_argument(request: Any, *, other: Any = None) -> dict[str, Any]:
    return {}


def ids() -> list[str]:
    return [str(message.id) for message in run_checks(tags=["bemi"])]


def test_the_example_site_passes_every_check() -> None:
    assert ids() == []


@pytest.mark.parametrize(
    "path",
    [
        "nowhere.at.all",
        "django.conf.global_settings.DEBUG",
        f"{__name__}.two_arguments",
    ],
)
def test_a_context_function_that_cannot_be_called_is_an_error(settings: Any, path: str) -> None:
    settings.BEMI_CONTEXT_FUNCTION = path
    assert ids() == ["bemi.E001"]


@pytest.mark.parametrize("path", [f"{__name__}.one_argument", "builtins.dict", "builtins.vars"])
def test_a_context_function_may_be_whatever_takes_a_request(settings: Any, path: str) -> None:
    settings.BEMI_CONTEXT_FUNCTION = path
    assert ids() == []


def test_no_postgresql_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connections["default"]), "vendor", "other")
    assert ids() == ["bemi.E002"]


def test_both_packages_at_once_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> Distribution:
        if name != "bemi-django":
            raise PackageNotFoundError(name)
        return Distribution.from_name("Django")

    monkeypatch.setattr(checks, "distribution", found)
    assert ids() == ["bemi.E003"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BEMI_FUNCTION_SCHEMA", 'a"; DROP'),
        ("BEMI_IGNORE_TABLES", "one_table"),
        ("BEMI_REPLICA_IDENTITY_FULL", "one_table"),
        ("BEMI_REPLICA_IDENTITY_FULL", None),
        ("BEMI_SQL_MAX_LENGTH", "2048"),
        ("BEMI_SQL_MAX_LENGTH", -1),
        ("BEMI_SQL_MAX_LENGTH", True),
    ],
)
def test_a_value_that_cannot_be_used_is_an_error(settings: Any, name: str, value: Any) -> None:
    setattr(settings, name, value)
    (message,) = run_checks(tags=["bemi"])
    assert message.id == "bemi.E005"
    assert name in message.msg


@pytest.mark.parametrize("router", ["bemi.BemiDatabaseRouter", BemiDatabaseRouter()])
def test_a_router_without_its_database_is_an_error(settings: Any, router: Any) -> None:
    settings.DATABASE_ROUTERS = [router]
    assert [message.id for message in checks.check_router(None)] == ["bemi.E006"]
    connections.databases["bemi"] = dict(connections["default"].settings_dict)
    try:
        assert checks.check_router(None) == []
    finally:
        del connections.databases["bemi"]


def test_a_missing_middleware_is_a_warning(settings: Any) -> None:
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "nowhere.Middleware"]
    assert ids() == ["bemi.W001"]


@pytest.mark.parametrize("own", ["bemi.BemiMiddleware", f"{__name__}.OwnMiddleware"])
def test_a_middleware_before_authentication_is_a_warning(settings: Any, own: str) -> None:
    settings.MIDDLEWARE = [own, AUTHENTICATION]
    assert ids() == ["bemi.W002"]
    settings.MIDDLEWARE = [AUTHENTICATION, own]
    assert ids() == []
    settings.MIDDLEWARE = [own]
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("BEMI_CONTEXT_FUNKTION", "BEMI_CONTEXT_FUNCTION"),
        ("BEMI_IGNORED_TABLES", "BEMI_IGNORE_TABLES"),
        ("BEMI_REPLICA_IDENTITY", "BEMI_REPLICA_IDENTITY_FULL"),
        ("BEMI_OF_THE_SITE", None),
    ],
)
def test_a_name_that_looks_misspelt_is_a_warning(
    settings: Any, name: str, meant: str | None
) -> None:
    setattr(settings, name, 1)
    found = run_checks(tags=["bemi"])
    assert [message.id for message in found] == (["bemi.W003"] if meant else [])
    assert all(f"Is {meant} meant?" == message.hint for message in found)


def test_every_setting_that_is_read_has_its_name_in_the_list() -> None:
    source = (conf.__file__ or "").replace(".pyc", ".py")
    with open(source, encoding="utf-8") as file:
        text = file.read()
    assert {name for name in conf.SETTINGS if text.count(f'"{name}"') < 2} == set()


def test_prepared_statements_are_a_warning() -> None:
    options = connections["default"].settings_dict["OPTIONS"]
    options.update(server_side_binding=True, prepare_threshold=5)
    try:
        assert ids() == ["bemi.W004"]
        options["prepare_threshold"] = None
        assert ids() == []
    finally:
        options.clear()


def test_the_page_lists_every_check() -> None:
    sources = [
        REPOSITORY / "django_bemi" / "bemi" / f"{name}.py" for name in ("checks", "source_state")
    ]
    there_are = {
        found
        for source in sources
        for found in re.findall(r'"(bemi\.[EW]\d+)"', source.read_text())
    }
    page = (REPOSITORY / "docs" / "django.md").read_text()
    assert len(there_are) > 10
    assert set(re.findall(r"^\| `(bemi\.[EW]\d+)` \|", page, re.MULTILINE)) == there_are
