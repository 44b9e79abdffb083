"""Give the values of a change back as a model's fields hold them. Asks no database.

The trail knows columns and JSON; a site knows fields and Python types. A model may have changed
since: a column without a field is left out, a field without a column is deferred, and a value
that its field cannot take is given as it stands in the trail.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import (
    BinaryField,
    DateField,
    DateTimeField,
    DurationField,
    Field,
    ForeignKey,
    JSONField,
    Model,
    TimeField,
)

from bemi.row_identity import split_table_name

UNAVAILABLE = "__debezium_unavailable_value"
"""Stands for a large value that the statement did not touch, so that PostgreSQL did not send it.

Only where the table has no REPLICA IDENTITY FULL.
"""

ERASED = "[erased]"
"""Stands for a value that `bemi-sink erase` has erased."""

UNKNOWN = (UNAVAILABLE, ERASED)

_INTERVAL = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?"
    r"(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d+)?)S)?)?"
)


class FieldChange(NamedTuple):
    """One field that a change changed; None where a side has no such value."""

    before: Any
    after: Any


def model_of(schema: str, table: str) -> type[Model] | None:
    """Return the model of a table, None where the site has none (any more).

    Through models of many-to-many relations count; proxies do not, nor do unmanaged twins.
    """
    found = None
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy:
            continue
        own_schema, own_table = split_table_name(model._meta.db_table)
        if own_table == table and own_schema in (schema, None):
            if own_schema is not None or model._meta.managed:
                return model
            found = found or model
    return found


def field_values(model: type[Model], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{attribute: value}` of what the columns hold, as the fields' Python types."""
    return {
        field.attname: python_value(field, columns[field.column])
        for field in own_fields(model)
        if field.column in columns and columns[field.column] not in UNKNOWN
    }


def own_fields(model: type[Model]) -> list[Field[Any, Any]]:
    """Return the fields whose columns are in the model's own table, not in a parent model's."""
    concrete: Any = model._meta.concrete_model
    return list(concrete._meta.local_concrete_fields)


def python_value(field: Field[Any, Any], value: Any) -> Any:
    """Return a value of the trail as the field's type; as it is where the field refuses it."""
    if value is None:
        return None
    try:
        return _converted(field, value)
    except (ValidationError, ValueError, TypeError, ArithmeticError):
        return value


def _converted(field: Field[Any, Any], value: Any) -> Any:
    if isinstance(field, ForeignKey):
        return _converted(field.target_field, value)
    if isinstance(field, JSONField):
        # The text of the document: so numbers keep their digits on the way.
        return json.loads(value, cls=field.decoder) if isinstance(value, str) else value
    if isinstance(field, BinaryField):
        return b64decode(value, validate=True)
    if isinstance(field, DurationField):
        return _duration(value)
    if isinstance(field, (DateField, TimeField)) and not isinstance(field, DateTimeField):
        # As ISO 8601 in Debezium's form, which marks what has no zone as UTC all the same.
        return field.to_python(value.removesuffix("Z"))
    base_field = getattr(field, "base_field", None)
    if base_field is not None and isinstance(value, list):  # An ArrayField.
        return [_element(base_field, item) for item in value]
    return field.to_python(value)


def _duration(value: str) -> timedelta:
    match = _INTERVAL.fullmatch(value)
    if match is None:
        raise ValueError("not an interval")
    years, months, days, hours, minutes, seconds = match.groups("0")
    # A month is 30 days and a year 365, as for psycopg.
    return timedelta(
        days=int(years) * 365 + int(months) * 30 + int(days),
        hours=int(hours),
        minutes=int(minutes),
        # Not by float: it has too few digits for microseconds of a long interval.
        microseconds=int(Decimal(seconds) * 1_000_000),
    )


def _element(field: Field[Any, Any], value: Any) -> Any:
    if isinstance(value, list):
        return [_element(field, item) for item in value]
    return None if value is None else _converted(field, value)


def instance_of(model: type[Model], columns: Mapping[str, Any], *, using: str) -> Model:
    """Return the row as an object of the model, as it was; what is not known is deferred.

    That is what the trail does not have, and what stands in the table of a parent model. Reading
    a deferred field asks the database for the row as it is now.
    """
    values = field_values(model, columns)
    names = [field.attname for field in model._meta.concrete_fields if field.attname in values]
    return model.from_db(using, names, [values[name] for name in names])


def parents_of(model: type[Model]) -> list[tuple[type[Model], str]]:
    """Return each parent model that has a table, with the attribute that holds its row's key.

    Those that the model's own table refers to: a grandparent is a parent's parent.
    """
    concrete: Any = model._meta.concrete_model
    return [
        (parent, link.attname)
        for parent, link in concrete._meta.parents.items()
        if link in concrete._meta.local_fields
    ]


def take_over(instance: Model, parent: type[Model], row: Model | None) -> None:
    """Give the object the fields of its row in the parent's table; deferred where there is none."""
    for field in parent._meta.concrete_fields:
        instance.__dict__.pop(field.attname, None)
        if row is not None and field.attname in row.__dict__:
            instance.__dict__[field.attname] = row.__dict__[field.attname]


def primary_key_filter(model: type[Model], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter that finds a row by the key it has in these columns.

    Raises KeyError where a column of the key is not among them.
    """
    pk = model._meta.pk
    fields: Any = getattr(pk, "fields", None) or [pk]  # Those of a CompositePrimaryKey.
    return {field.attname: python_value(field, columns[field.column]) for field in fields}
