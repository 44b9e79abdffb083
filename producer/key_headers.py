"""Write a row's key as the value of a header: the other half of a changed key. Pure.

Connect's SimpleHeaderConverter writes a struct as JSON has it, but for a Decimal, which stands
there as the number it is and not as the base64 of its bytes. What it writes that is no JSON (bare
dates, NaN, control characters) is JSON here.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

from producer.connect_schema import ARRAY, ConnectSchema, json_value

_DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"

Rewrite = Callable[[Any], Any]


class KeyHeader:
    """Writes the keys of one schema."""

    def __init__(self, schema: ConnectSchema) -> None:
        self._schema = schema
        rewrites = ((name, _rewrite(field)) for name, field in schema.fields)
        self._rewrites = [(name, rewrite) for name, rewrite in rewrites if rewrite is not None]

    @property
    def is_as_json(self) -> bool:
        """Tell whether a key without its schema is written the same in a header."""
        return not self._rewrites

    def of_value(self, key: dict[str, Any]) -> bytes:
        """Return the header of a key that is given as Connect's value."""
        return self._written(json_value(self._schema, key))

    def of_json(self, key: bytes) -> bytes:
        """Return the header of a key that is given as JSON without its schema."""
        return self._written(orjson.loads(key))

    def _written(self, fields: dict[str, Any]) -> bytes:
        for name, rewrite in self._rewrites:
            fields[name] = rewrite(fields.get(name))
        return orjson.dumps(fields)


def _rewrite(schema: ConnectSchema) -> Rewrite | None:
    """Return what makes a header's value of a JSON value, None where they are the same."""
    if schema.name == _DECIMAL:
        scale = int(dict(schema.parameters)["scale"])
        return lambda value: None if value is None else _number(value, scale)
    if schema.type == ARRAY and schema.items is not None and (item := _rewrite(schema.items)):
        return lambda values: None if values is None else [item(value) for value in values]
    return None


def _number(unscaled: str, scale: int) -> orjson.Fragment:
    number = int.from_bytes(b64decode(unscaled), "big", signed=True)
    # With an exponent where Java's BigDecimal has one.
    return orjson.Fragment(str(Decimal(f"{number}E{-scale}")).encode())
