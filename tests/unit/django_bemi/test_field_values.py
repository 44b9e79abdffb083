"""Values of the trail as fields hold them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.postgres.fields import ArrayField
from django.db import models
from hypothesis import given
from hypothesis import strategies as st

from bemi.field_values import ERASED, UNAVAILABLE, field_values, model_of, python_value
from example.todo.models import Task


@pytest.mark.parametrize(
    ("field", "in_trail", "in_python"),
    [
        (models.IntegerField(), 5, 5),
        (models.DecimalField(), "12345678901234567890.123", Decimal("12345678901234567890.123")),
        (models.DecimalField(), "NaN", "NaN"),
        (models.FloatField(), 0.1, 0.1),
        (models.BooleanField(), False, False),
        (models.TextField(), "ü", "ü"),
        (
            models.UUIDField(),
            "12345678-1234-5678-1234-567812345678",
            UUID(int=0x12345678123456781234567812345678),
        ),
        (models.DateField(), "1999-12-31Z", date(1999, 12, 31)),
        (models.DateField(), "infinity", "infinity"),
        (models.DateField(), "-0043-03-15Z", "-0043-03-15Z"),
        (models.TimeField(), "03:04:05.678901Z", time(3, 4, 5, 678901)),
        (
            models.DateTimeField(),
            "2026-01-02T03:04:05.678901Z",
            datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc),
        ),
        (models.DurationField(), "P0Y0M3DT4H0M0.000005S", timedelta(3, 4 * 3600, 5)),
        (models.DurationField(), "P1Y1M-1DT0H-1M0S", timedelta(365 + 30 - 1, -60)),
        (models.DurationField(), "not at all", "not at all"),
        (models.BinaryField(), "AP8B", b"\x00\xff\x01"),
        (models.BinaryField(), "no base64!", "no base64!"),
        (models.JSONField(), '{"a": [1, null]}', {"a": [1, None]}),
        (models.JSONField(), "null", None),
        (ArrayField(models.DateField()), ["1999-12-31Z", None], [date(1999, 12, 31), None]),
        (ArrayField(ArrayField(models.IntegerField())), [[1, 2], [3, None]], [[1, 2], [3, None]]),
        (models.TextField(), None, None),
    ],
)
def test_a_value_has_its_fields_type_or_stays_as_it_is(
    field: models.Field[Any, Any], in_trail: Any, in_python: Any
) -> None:
    found = python_value(field, in_trail)
    assert found == in_python
    assert type(found) is type(in_python)


@given(st.timedeltas())
def test_any_duration_comes_back(duration: timedelta) -> None:
    seconds = Decimal(duration.seconds) + Decimal(duration.microseconds) / 1_000_000
    text = f"P0Y0M{duration.days}DT0H0M{seconds:f}S"
    assert python_value(models.DurationField(), text) == duration


@pytest.mark.parametrize("unknown", [UNAVAILABLE, ERASED])
def test_columns_without_a_field_and_values_that_are_not_known_are_left_out(unknown: str) -> None:
    columns = {"id": 1, "title": unknown, "is_completed": True, "dropped": "x"}
    assert field_values(Task, columns) == {"id": 1, "is_completed": True}


def test_a_foreign_key_has_the_type_of_what_it_refers_to() -> None:
    assert field_values(Permission, {"content_type_id": "7"}) == {"content_type_id": 7}


def test_a_model_is_found_by_its_table_relations_of_many_to_many_too() -> None:
    assert model_of("public", "todo_task") is Task
    assert model_of("public", "auth_user_groups") is User.groups.through
    assert model_of("public", "nobody") is None
