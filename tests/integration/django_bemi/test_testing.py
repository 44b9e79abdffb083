"""What a site's tests see of the changes that its code makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.test import modify_settings, override_settings

import bemi
from bemi.testing import BemiTestMixin, CapturedChanges, captured_changes
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.library.models import Author, Book


@pytest.fixture(autouse=True)
def library(empty_site: Database) -> Iterator[Database]:
    with modify_settings(INSTALLED_APPS={"append": "tests.integration.django_bemi.library"}):
        with connection.schema_editor() as editor:
            editor.create_model(Author)
            editor.create_model(Book)
        yield empty_site


def shape(changes: CapturedChanges) -> list[str]:
    return [f"{change.operation} {change.table}" for change in changes]


def triggers() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '\\_bemi\\_capture%%'")
        (count,) = cursor.fetchone()
    return int(count)


def test_every_changed_row_is_captured_with_its_context() -> None:
    with captured_changes() as changes:
        with bemi.context(user_id=7):
            author = Author.objects.create(name="one")
            Author.objects.bulk_create([Author(name="two"), Author(name="three")])
        Author.objects.filter(pk=author.pk).update(name="1")
        with bemi.context(user_id=8), connection.cursor() as cursor:
            cursor.execute("DELETE FROM author WHERE name = %s", ["two"])
        assert len(changes) == 5
    Author.objects.create(name="after the block")
    assert shape(changes) == ["CREATE author"] * 3 + ["UPDATE author", "DELETE author"]
    assert changes[0].context["user_id"] == 7
    assert changes[3].context == {}
    assert changes.get("UPDATE", id=author.pk).before["name"] == "one"
    assert changes.get("UPDATE", id=author.pk).after["name"] == "1"
    assert changes.get("DELETE").context["user_id"] == 8
    assert len(changes.of(Book)) == 0
    assert len(changes.of(Author)[1:3]) == 2


def test_nothing_is_left_behind() -> None:
    for _ in range(2):
        with captured_changes():
            assert triggers() > 0
        assert triggers() == 0
    with pytest.raises(ZeroDivisionError), captured_changes():
        raise ZeroDivisionError
    assert triggers() == 0


def test_inside_a_transaction_that_is_rolled_back_as_a_testcase_does_it() -> None:
    with transaction.atomic():
        with captured_changes() as changes:
            Author.objects.create(name="one")
            with transaction.atomic():
                Author.objects.create(name="taken back")
                transaction.set_rollback(True)
        transaction.set_rollback(True)
    assert [change.after["name"] for change in changes] == ["one"]
    assert triggers() == 0


def test_a_transaction_that_is_broken_is_no_second_error() -> None:
    with (
        pytest.raises(DatabaseError, match="division by zero"),
        transaction.atomic(),
        captured_changes(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1 / 0")
    assert triggers() == 0


def test_another_connection_goes_on_as_if_nothing_were(admin: psycopg.Connection[Any]) -> None:
    with captured_changes() as changes:
        admin.execute("INSERT INTO author (name) VALUES ('elsewhere')")
        assert len(changes) == 0


def test_truncate_and_the_settings_context_are_seen() -> None:
    with captured_changes() as changes, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('bemi.context', %s, true)", ['{"job": "import"}'])
        cursor.execute("TRUNCATE book")
        with cursor.copy("COPY author (name) FROM STDIN") as copy:
            copy.write("copied\n")
    assert shape(changes) == ["TRUNCATE book", "CREATE author"]
    assert [change.context for change in changes] == [{"job": "import"}] * 2


@override_settings(BEMI_CONTEXT_KEY="0123456789abcdef")
def test_a_signed_context_is_seen_as_it_is() -> None:
    with captured_changes() as changes, bemi.context(user_id=7):
        Author.objects.create(name="one")
    assert changes[0].context["user_id"] == 7


def test_what_is_not_there_is_told_with_all_that_is() -> None:
    with captured_changes() as changes:
        Author.objects.create(name="one")
    with pytest.raises(
        AssertionError, match=r"(?s)0 changes, not 1, of None {'name': 'two'}.*'one'"
    ):
        changes.get(name="two")


def test_the_fixture_and_the_mixin_are_the_block(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.hasplugin("bemi")
    with BemiTestMixin().capturedBemiChanges() as changes:
        Author.objects.create(name="one")
    assert shape(changes) == ["CREATE author"]
