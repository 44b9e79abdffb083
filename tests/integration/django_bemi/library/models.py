"""What the tests' library keeps. Its tables are made by the tests, not by migrations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from bemi import BemiRecordMixin


class Author(BemiRecordMixin, models.Model):
    """The table `author` of these tests."""

    name = models.TextField()
    born = models.DateField(null=True)
    fee = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    tags = ArrayField(models.TextField(), null=True)
    extra = models.JSONField(null=True)
    photo = models.BinaryField(null=True)
    code = models.UUIDField(null=True)
    seen = models.DateTimeField(null=True)
    opens = models.TimeField(null=True)
    rest = models.DurationField(null=True)
    ratio = models.FloatField(null=True)
    is_active = models.BooleanField(null=True)

    objects: ClassVar[models.Manager[Author]] = models.Manager()

    class Meta:
        app_label = "library"
        db_table = "author"

    def __str__(self) -> str:
        return self.name


class Book(BemiRecordMixin, models.Model):
    """The table `book`, which refers to `author`."""

    title = models.TextField()
    author = models.ForeignKey(Author, models.CASCADE, null=True)

    objects: ClassVar[models.Manager[Book]] = models.Manager()

    class Meta:
        app_label = "library"
        db_table = "book"

    def __str__(self) -> str:
        return self.title


class Person(BemiRecordMixin, models.Model):
    """The table `person`, made by the tests that need it."""

    name = models.TextField()

    objects: ClassVar[models.Manager[Person]] = models.Manager()

    class Meta:
        app_label = "library"
        db_table = "person"

    def __str__(self) -> str:
        return self.name


class Member(Person):
    """The table `member`: what of a person only a member has."""

    number = models.IntegerField()
    # A column of the same name as one of the parent's table.
    name_on_card = models.TextField(db_column="name", default="")

    objects: ClassVar[models.Manager[Member]] = models.Manager()

    class Meta:
        app_label = "library"
        db_table = "member"
