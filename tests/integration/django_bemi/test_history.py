"""Rows as they were, and changes undone, on a trail that the pipeline's own parts recorded."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection, models, transaction
from django.test import modify_settings

import bemi
from bemi import Bemi
from bemi.field_values import ERASED
from bemi.models import BemiChange
from bemi.revert import RevertConflict
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.library.models import Author, Book, Member, Person
from tests.integration.django_bemi.recorder import Recorder

EVERY_TYPE: dict[str, Any] = {
    "born": date(1999, 12, 31),
    "fee": Decimal("12345678901234.000001"),
    "tags": ["a", 'quoted "b", c', None],
    "extra": {"big": 2**60, "list": [1, None, {"x": "ü"}]},
    "photo": b"\x00\xff\x01",
    "code": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "seen": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc),
    "opens": time(3, 4, 5, 678901),
    "rest": timedelta(days=3, hours=4, microseconds=5),
    "ratio": 0.1,
    "is_active": True,
}


@pytest.fixture
def recorder(empty_site: Database, admin: psycopg.Connection[Any]) -> Iterator[Recorder]:
    # Installed, or Django knows neither the models of tables nor what a deletion takes along.
    with modify_settings(INSTALLED_APPS={"append": "tests.integration.django_bemi.library"}):
        with connection.schema_editor() as editor:
            editor.create_model(Author)
            editor.create_model(Book)
        with connection.cursor() as cursor:
            cursor.execute(Bemi.migration_up())
        yield Recorder(empty_site, admin)


def now() -> datetime:
    """Return the server's time, behind which nothing committed before it stands."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (found,) = cursor.fetchone()
    assert isinstance(found, datetime)
    return found


def values(row: models.Model | None) -> dict[str, Any] | None:
    if row is None:
        return None
    found = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return {
        name: bytes(value) if isinstance(value, memoryview) else value
        for name, value in found.items()
    }


def test_a_row_is_seen_as_it_was_with_its_types(recorder: Recorder) -> None:
    before_all = now()
    author = Author.objects.create(name="first", **EVERY_TYPE)
    first = values(author)
    created = now()
    Author.objects.filter(pk=author.pk).update(**dict.fromkeys(EVERY_TYPE), name="second")
    updated = now()
    author.delete()
    recorder.record()

    gone = Author(pk=first["id"]) if first else None
    assert gone is not None
    assert gone.bemi_as_of(before_all) is None
    assert values(gone.bemi_as_of(created)) == first
    assert values(gone.bemi_as_of(updated)) == {
        **dict.fromkeys(EVERY_TYPE),
        "id": gone.pk,
        "name": "second",
    }
    assert gone.bemi_as_of(now()) is None
    history = gone.bemi_field_history("fee")
    assert [(old, new) for _, old, new in history] == [
        (None, EVERY_TYPE["fee"]),
        (EVERY_TYPE["fee"], None),
    ]


def test_a_row_that_nothing_changed_is_as_it_is_at_any_time(
    recorder: Recorder, admin: psycopg.Connection[Any]
) -> None:
    author = Author.objects.create(name="untracked")
    recorder.record()
    admin.execute("DELETE FROM changes")
    assert values(author.bemi_as_of(now())) == values(author)
    assert [values(row) for row in Author.bemi.as_of(now())] == [values(author)]


def test_a_truncate_takes_every_row(recorder: Recorder) -> None:
    Author.objects.bulk_create(Author(name=str(number)) for number in range(3))
    full = now()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE author CASCADE")
    emptied = now()
    Author.objects.create(name="later")
    recorder.record()
    assert {row.name for row in Author.bemi.as_of(full)} == {"0", "1", "2"}
    assert Author.bemi.as_of(emptied) == []
    assert [row.name for row in Author.bemi.as_of(now())] == ["later"]


def test_whatever_was_done_a_table_is_seen_as_it_was_after_each_step(recorder: Recorder) -> None:
    chance = random.Random(7)
    steps: list[tuple[datetime, dict[int, str]]] = []
    for number in range(40):
        known = list(Author.objects.values_list("pk", flat=True))
        with transaction.atomic():
            for _ in range(chance.randint(1, 3)):
                kind = chance.choice(["create", "create", "update", "delete"])
                if kind == "create" or not known:
                    Author.objects.create(name=f"new {number}")
                elif kind == "update":
                    Author.objects.filter(pk=chance.choice(known)).update(name=f"upd {number}")
                else:
                    Author.objects.filter(pk=chance.choice(known)).delete()
        steps.append((now(), dict(Author.objects.values_list("pk", "name"))))
    recorder.record()
    for moment, expected in steps:
        assert {row.pk: row.name for row in Author.bemi.as_of(moment)} == expected
        for pk in (1, 2, len(steps)):
            row = Author.bemi.as_of_key(pk, moment)
            assert (row and row.name) == expected.get(pk)


def test_changes_are_grouped_by_transaction_and_by_request(recorder: Recorder) -> None:
    with bemi.context(request_id="a"), transaction.atomic():
        author = Author.objects.create(name="x")
        Book.objects.create(title="y", author=author)
    with bemi.context(request_id="b"):
        Book.objects.create(title="z")
    with bemi.context(request_id="a"):
        author.delete()
    recorder.record()
    shapes = [
        [(change.operation, change.table) for change in changes]
        for changes in BemiChange.objects.by_transaction()
    ]
    assert shapes == [
        [("CREATE", "author"), ("CREATE", "book")],
        [("CREATE", "book")],
        [("DELETE", "book"), ("DELETE", "author")],
    ]
    requests = dict(BemiChange.objects.by_context("request_id"))
    assert {key: len(changes) for key, changes in requests.items()} == {"a": 4, "b": 1}
    first = BemiChange.objects.asc()[0]
    assert [change.table for change in first.transaction_changes()] == ["author", "book"]


def test_a_request_is_undone_as_a_whole_and_the_trail_says_so(recorder: Recorder) -> None:
    author = Author.objects.create(name="kept", **EVERY_TYPE)
    Book.objects.create(title="of the author", author=author)
    before = [values(row) for row in (*Author.objects.all(), *Book.objects.all())]
    with bemi.context(request_id="bad"):
        Author.objects.create(name="made by mistake")
        Author.objects.update(**dict.fromkeys(EVERY_TYPE), name="overwritten")
        author.delete()
    recorder.record()

    bad = BemiChange.objects.context({"request_id": "bad"})
    planned = bad.revert(dry_run=True)
    assert Book.objects.count() == 0
    undone = bad.revert()
    assert [(step.operation, step.change.table) for step in undone] == [
        ("INSERT", "author"),
        ("INSERT", "book"),
        ("UPDATE", "author"),
        ("UPDATE", "author"),
        ("DELETE", "author"),
    ]
    assert [(s.operation, s.values) for s in planned] == [(s.operation, s.values) for s in undone]
    assert [values(row) for row in (*Author.objects.all(), *Book.objects.all())] == before

    recorder.record()
    own = BemiChange.objects.filter(context__has_key="reverted")
    assert own.count() == len(undone)
    assert set(own.first().context["reverted"]) == {str(step.change.pk) for step in undone}  # type: ignore[union-attr, index]


def test_what_was_changed_since_is_a_conflict_and_nothing_is_undone(recorder: Recorder) -> None:
    one, two = Author.objects.create(name="one"), Author.objects.create(name="two")
    with bemi.context(request_id="r"):
        Author.objects.update(name="both")
    Author.objects.filter(pk=two.pk).update(name="changed since")
    recorder.record()
    for dry_run in (True, False):
        with pytest.raises(RevertConflict, match="changed since: name") as caught:
            BemiChange.objects.context({"request_id": "r"}).revert(dry_run=dry_run)
        assert [conflict.change.primary_key for conflict in caught.value.conflicts] == [str(two.pk)]
        assert Author.objects.get(pk=one.pk).name == "both"


def test_what_was_erased_from_the_trail_is_never_written_back(recorder: Recorder) -> None:
    author = Author.objects.create(name="one")
    Author.objects.update(name="two")
    author.delete()
    recorder.record()
    trail = BemiChange.objects.all()
    trail.updated().update(before={"id": author.pk, "name": ERASED})
    trail.deleted().update(before={"id": ERASED, "name": ERASED})
    for changes in (trail.updated(), trail.deleted()):
        with pytest.raises(RevertConflict, match="values of it were erased"):
            changes.revert()


def test_another_column_changed_since_is_no_conflict_and_stays(recorder: Recorder) -> None:
    author = Author.objects.create(name="one", ratio=1.0)
    Author.objects.update(name="two")
    Author.objects.update(ratio=2.0)
    recorder.record()
    author.bemi_changes("name").last().revert()  # type: ignore[union-attr]
    assert Author.objects.values_list("name", "ratio").get() == ("one", 2.0)


def test_a_row_goes_back_to_how_it_was_at_a_time(recorder: Recorder) -> None:
    author = Author.objects.create(name="start", **EVERY_TYPE)
    moment = now()
    before = values(Author.objects.get())
    Author.objects.update(name="second")
    Author.objects.update(**dict.fromkeys(EVERY_TYPE))
    author.delete()
    recorder.record()
    gone = Author(pk=before["id"] if before else None)
    gone.bemi_revert_to(moment)
    assert values(Author.objects.get()) == before


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("INSERT INTO author (id, name) VALUES (1, 'again')", "a row with its key is there again"),
        ("ALTER TABLE author ADD CHECK (name <> 'one')", "the database refuses it"),
    ],
)
def test_a_deleted_row_that_cannot_come_back_is_a_conflict(
    recorder: Recorder, spoil: str, reason: str
) -> None:
    Author.objects.create(pk=1, name="one").delete()
    recorder.record()
    with connection.cursor() as cursor:
        cursor.execute(spoil)
    with pytest.raises(RevertConflict, match=reason):
        BemiChange.objects.deleted().revert()


def test_a_row_that_others_refer_to_by_now_is_a_conflict_before_the_commit(
    recorder: Recorder,
) -> None:
    with bemi.context(request_id="r"):
        one, two = Author.objects.create(name="one"), Author.objects.create(name="two")
        Book.objects.create(title="of the same request", author=one)
    Book.objects.create(title="later", author=two)
    recorder.record()
    mistake = BemiChange.objects.context({"request_id": "r"})
    for dry_run in (True, False):
        with pytest.raises(RevertConflict, match=r"database refuses it: .*foreign key") as caught:
            mistake.revert(dry_run=dry_run)
        assert [conflict.change.primary_key for conflict in caught.value.conflicts] == [str(two.pk)]
        assert (Author.objects.count(), Book.objects.count()) == (2, 2)
    Book.objects.filter(author=two).delete()
    assert len(mistake.revert()) == 3
    assert Author.objects.count() == 0


@pytest.fixture
def two_tables(recorder: Recorder) -> None:
    """Make the tables of a model that inherits from another one."""
    with connection.schema_editor() as editor:
        editor.create_model(Person)
        editor.create_model(Member)


def row_of_two_tables(member: Member | None) -> tuple[str, int, str] | None:
    return None if member is None else (member.name, member.number, member.name_on_card)


@pytest.mark.usefixtures("two_tables")
def test_a_row_of_two_tables_is_seen_as_it_was_in_both(recorder: Recorder) -> None:
    times = [now()]
    member = Member.objects.create(name="one", number=1, name_on_card="ONE")
    times.append(now())
    Person.objects.update(name="two")
    times.append(now())
    Member.objects.update(number=2, name_on_card="TWO")
    times.append(now())
    member.delete()
    times.append(now())
    recorder.record()

    gone = Member(id=1, person_ptr_id=1)
    was = [None, ("one", 1, "ONE"), ("two", 1, "ONE"), ("two", 2, "TWO"), None]
    assert [row_of_two_tables(gone.bemi_as_of(moment)) for moment in times] == was
    for moment, row in zip(times, was, strict=True):
        assert [row_of_two_tables(each) for each in Member.bemi.as_of(moment)] == [row] * bool(row)
        assert [each.name for each in Person.bemi.as_of(moment)] == ([row[0]] if row else [])
    assert [(old, new) for _, old, new in gone.bemi_field_history("name")] == [
        (None, "one"),
        ("one", "two"),
        ("two", None),
    ]
    assert [(old, new) for _, old, new in gone.bemi_field_history("name_on_card")] == [
        (None, "ONE"),
        ("ONE", "TWO"),
        ("TWO", None),
    ]
    assert gone.bemi_changes().count() == 6
    assert gone.bemi_changes("number").count() == 3


@pytest.mark.usefixtures("two_tables")
def test_a_row_that_only_its_parents_table_changed_has_that_fields_past(
    recorder: Recorder, admin: psycopg.Connection[Any]
) -> None:
    member = Member.objects.create(name="one", number=1)
    recorder.record()
    admin.execute("DELETE FROM changes")
    then = now()
    Person.objects.update(name="two")
    recorder.record()
    assert row_of_two_tables(member.bemi_as_of(then)) == ("one", 1, "")
    assert [row_of_two_tables(each) for each in Member.bemi.as_of(then)] == [("one", 1, "")]
    # What the trail does not have is not made up of the row as it is now.
    admin.execute("UPDATE changes SET before = before - 'name'")
    (found,) = Member.bemi.as_of(then)
    assert found.get_deferred_fields() == {"name"}


@pytest.mark.usefixtures("two_tables")
def test_a_row_of_two_tables_goes_back_to_a_time_in_both(recorder: Recorder) -> None:
    member = Member.objects.create(name="one", number=1)
    then = now()
    Member.objects.update(name="two", number=2)
    recorder.record()
    assert len(member.bemi_revert_to(then)) == 2
    assert row_of_two_tables(Member.objects.get()) == ("one", 1, "")


@pytest.mark.usefixtures("two_tables")
def test_a_row_of_two_tables_comes_back_and_goes_as_one(recorder: Recorder) -> None:
    with bemi.context(request_id="made"):
        member = Member.objects.create(name="one", number=1)
    with bemi.context(request_id="changed"):
        Member.objects.update(name="two", number=2)
    with bemi.context(request_id="gone"):
        member.delete()
    recorder.record()
    for request_id, left in (("gone", [("two", 2)]), ("changed", [("one", 1)]), ("made", [])):
        assert len(BemiChange.objects.context({"request_id": request_id}).revert()) == 2
        assert list(Member.objects.values_list("name", "number")) == left
    assert Person.objects.count() == 0


def test_what_is_no_row_or_has_no_model_is_a_conflict(recorder: Recorder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE other (id int PRIMARY KEY)")
        cursor.execute("INSERT INTO other VALUES (1)")
        cursor.execute("TRUNCATE book")
    recorder.record()
    with pytest.raises(RevertConflict, match=r"no model has the table public\.other"):
        BemiChange.objects.created().revert()
    with pytest.raises(RevertConflict, match="TRUNCATE cannot be reverted"):
        BemiChange.objects.filter(operation="TRUNCATE").revert()


def test_a_row_of_before_a_migration_has_the_fields_that_were_there(recorder: Recorder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE author DROP COLUMN ratio, ADD COLUMN nickname text")
        cursor.execute("INSERT INTO author (name, nickname) VALUES ('one', 'dropped later')")
        cursor.execute("UPDATE author SET name = 'two', nickname = 'n'")
        then = now()
        cursor.execute("ALTER TABLE author DROP COLUMN nickname, ADD COLUMN ratio float")
        cursor.execute("UPDATE author SET ratio = 5")
    recorder.record()
    (author,) = Author.bemi.as_of(then)
    assert author.name == "two"
    assert author.get_deferred_fields() == {"ratio"}
    change = author.bemi_changes("name").updated().get()
    assert change.field_changes() == {"name": ("one", "two")}
    assert change.diff() == {"name": ["one", "two"], "nickname": ["dropped later", "n"]}
    change.revert()
    assert Author.objects.values_list("name", "ratio").get() == ("one", 5)
