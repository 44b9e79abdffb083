"""The names that sites of bemi-django use, where they use them, and what they do."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from bemi import Bemi, BemiDatabaseRouter, BemiRecordMixin, row_identity
from bemi.models import BemiChange


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "bemi",
            [
                "BemiMiddleware",
                "get_bemi_context",
                "BemiRecordMixin",
                "BemiDatabaseRouter",
                "Bemi",
            ],
        ),
        (
            "bemi.middleware",
            [
                "MAX_CONTEXT_SIZE",
                "bemi_context_var",
                "get_bemi_context",
                "BemiMiddleware",
                "BemiDBWrapper",
                "logger",
            ],
        ),
        ("bemi.models", ["BemiChange"]),
        ("bemi.managers", ["BemiChangeManager"]),
        ("bemi.querysets", ["BemiChangeQuerySet"]),
        ("bemi.mixins", ["BemiRecordMixin"]),
        ("bemi.routers", ["BemiDatabaseRouter"]),
        ("bemi.migrations.0001_initial", ["Migration"]),
        ("bemi.migrations.0002_bemichange", ["Migration"]),
    ],
)
def test_every_public_name_is_where_it_was(module: str, names: list[str]) -> None:
    assert [name for name in names if not hasattr(import_module(module), name)] == []


def test_importing_the_package_imports_no_models_driver_or_settings() -> None:
    program = (
        "import sys, bemi;"
        "wrong = {'psycopg', 'psycopg2', 'bemi.models', 'confluent_kafka', 'faust', 'aiokafka',"
        " 'producer', 'stitcher_stream', 'sink_pg', 'schemas', 'runtime'} & set(sys.modules);"
        "assert not wrong, wrong"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={})


def test_a_change_names_what_differs_and_has_none_where_a_side_has_nothing() -> None:
    change = BemiChange(before={"a": 1, "b": 2}, after={"a": 1, "b": 3, "c": 4})
    assert change.diff() == {"b": [2, 3], "c": [None, 4]}
    assert BemiChange(before=None, after={"a": 1}).diff() == {"a": [None, 1]}
    assert BemiChange(before={"a": 1}, after=None).diff() == {"a": [1, None]}


def test_the_router_reads_the_trail_elsewhere_and_lets_triggers_into_tracked_databases() -> None:
    router = BemiDatabaseRouter()
    assert router.db_for_read(BemiChange) == "bemi"
    assert router.db_for_write(BemiChange) == "bemi"
    assert router.db_for_read(User) is None
    assert router.db_for_write(User) is None
    assert router.allow_relation(BemiChange(), User()) is True
    assert router.allow_relation(User(), User()) is None
    assert router.allow_migrate("default", "auth") is None
    assert router.allow_migrate("default", "bemi", "bemichange") is False
    assert router.allow_migrate("default", "bemi", bemi_source=True) is True
    assert router.allow_migrate("bemi", "bemi", bemi_source=True) is False


@pytest.mark.parametrize(
    ("primary_key", "text"),
    [
        (1, "1"),
        ("a,b", "a,b"),
        ((1, "x"), "1,x"),
        (("a,b", "c\\d"), "a\\,b,c\\\\d"),
    ],
)
def test_a_primary_key_is_written_as_in_the_trail(primary_key: Any, text: str) -> None:
    assert row_identity.joined_primary_key(primary_key) == text


def test_a_table_name_may_name_its_schema() -> None:
    assert row_identity.split_table_name("task") == (None, "task")
    assert row_identity.split_table_name('app"."task') == ("app", "task")
    assert row_identity.split_table_name('"app"."task"') == ("app", "task")


def test_the_mixin_asks_for_the_changes_of_its_own_row() -> None:
    class Record:
        _meta = User._meta
        pk = 7

    sql = str(BemiRecordMixin.bemi_changes(Record(), "email").query)  # type: ignore[arg-type]
    assert '"changes"."table" = auth_user' in sql
    assert '"changes"."primary_key" = 7' in sql
    assert "IS DISTINCT FROM" in sql


def test_the_function_schema_must_be_a_plain_name(settings: Any) -> None:
    settings.BEMI_FUNCTION_SCHEMA = "tracking"
    assert 'FUNCTION "tracking"._bemi_emit_context()' in Bemi.migration_up()
    settings.BEMI_FUNCTION_SCHEMA = 'a"; DROP'
    with pytest.raises(ImproperlyConfigured, match="plain name"):
        Bemi.migration_up()
