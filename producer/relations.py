"""Relations as the stream describes them, and their rows as JSON. Pure.

The stream's Relation message gives columns and replica identity at the point of the rows
that follow. What it lacks comes from the catalogue as `CatalogFacts`: the key, because with
REPLICA IDENTITY FULL every column counts as identity, and the base types of domains.

A row becomes JSON by one template a relation, filled with the values that `row_codec` makes;
values are never parsed, so nothing changes on the way.

Format: PostgreSQL manual, "Logical Replication Message Formats", Insert, Update, Delete.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import orjson

from producer.column_values import UNAVAILABLE_JSON, value_encoder
from producer.errors import MalformedMessage
from producer.pgoutput import Relation
from producer.row_codec import RowValues, compile_row_decoder

Row = tuple[bytes, ...]
"""Each column's value as JSON."""

_TAG_AT = 5  # Behind the message's kind and the relation's oid.
_NEW, _OLD, _KEY = b"NOK"
_TAGS = frozenset((_NEW, _OLD, _KEY))


class OldRow(NamedTuple):
    """What was sent of a row as it was: all of it, or only its identity columns."""

    values: Row
    is_full: bool


@dataclass(frozen=True, slots=True)
class CatalogFacts:
    """What the catalogue says of a relation, read when the stream described it.

    `key` is None when the relation is not in the catalogue any more: it was dropped after
    the change that is being read.
    """

    key: tuple[str, ...] | None = None
    base_types: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The base type and its modifier of each domain among the columns' types."""
    is_own: bool = False
    """A table of the sink, or a partition of one."""


class RowEncoder:
    """Turns the row messages of one relation into JSON.

    Bytes that are no row of the relation raise MalformedMessage, and nothing else.
    """

    def __init__(self, relation: Relation, facts: CatalogFacts) -> None:
        self.relation = relation
        self.is_own = facts.is_own
        names = [column.name for column in relation.columns]
        self._decode_row = compile_row_decoder(
            [
                value_encoder(*facts.base_types.get(c.type_oid, (c.type_oid, c.type_modifier)))
                for c in relation.columns
            ]
        )
        self._template = _object_template(names)
        identity = [i for i, column in enumerate(relation.columns) if column.is_identity]
        self._identity = identity
        self._identity_template = _object_template([names[i] for i in identity])
        key = facts.key
        if key is None:
            # Only FULL marks columns that are no key; nothing is known of its key then.
            is_full = len(identity) == len(names)
            key = () if is_full else tuple(names[i] for i in identity)
        # A key column renamed since the row was written is not in this description.
        self._key = [names.index(name) for name in key] if set(key) <= set(names) else []
        self._key_template = _object_template([names[i] for i in self._key])

    def inserted(self, payload: bytes) -> Row:
        """Return the row of an Insert message."""
        tag, values, end = self._tagged_row(payload, _TAG_AT)
        if tag != _NEW or end != len(payload):
            raise self._malformed(payload)
        return _without_gaps(values, None)

    def updated(self, payload: bytes) -> tuple[OldRow | None, Row]:
        """Return the rows of an Update message: what was sent of the old one, and the new one.

        What was not sent of the new row is taken from the old one if that is full.
        """
        tag, values, end = self._tagged_row(payload, _TAG_AT)
        old = None
        if tag != _NEW:
            old = OldRow(_without_gaps(values, None), tag == _OLD)
            tag, values, end = self._tagged_row(payload, end)
        if tag != _NEW or end != len(payload):
            raise self._malformed(payload)
        return old, _without_gaps(values, old.values if old is not None and old.is_full else None)

    def deleted(self, payload: bytes) -> OldRow:
        """Return the row of a Delete message."""
        tag, values, end = self._tagged_row(payload, _TAG_AT)
        if tag == _NEW or end != len(payload):
            raise self._malformed(payload)
        return OldRow(_without_gaps(values, None), tag == _OLD)

    def row(self, values: Row) -> bytes:
        """Return the whole row as a JSON object."""
        return self._template % values

    def before(self, old: OldRow) -> bytes:
        """Return the old row as a JSON object: whole, or what was sent of it."""
        if old.is_full:
            return self._template % old.values
        # The other columns were not sent. They are left out: a null would say they were null.
        return self._identity_template % tuple([old.values[i] for i in self._identity])

    def key(self, values: Row) -> bytes | None:
        """Return the row's key as a JSON object in the key's order, or None without a key."""
        if not self._key:
            return None
        return self._key_template % tuple([values[i] for i in self._key])

    def _tagged_row(self, payload: bytes, at: int) -> tuple[int, RowValues, int]:
        try:
            tag = payload[at]
            if tag not in _TAGS:
                raise self._malformed(payload)
            values, end = self._decode_row(payload, at + 1)
        except (IndexError, ValueError, struct.error) as error:
            raise self._malformed(payload) from error
        return tag, values, end

    def _malformed(self, payload: bytes) -> MalformedMessage:
        return MalformedMessage(
            f"a message {payload[:1]!r} of {len(payload)} bytes is no row of "
            f"{self.relation.pg_schema}.{self.relation.table} as it was described"
        )


def _without_gaps(values: RowValues, old: Row | None) -> Row:
    """Fill in what was not sent because it is stored out of line and did not change."""
    if None not in values:
        return cast("Row", values)
    return tuple(
        [
            value if value is not None else UNAVAILABLE_JSON if old is None else old[i]
            for i, value in enumerate(values)
        ]
    )


def _object_template(names: list[str]) -> bytes:
    """Return a bytes format for a JSON object with these fields."""
    fields = (orjson.dumps(name).replace(b"%", b"%%") + b":%b" for name in names)
    return b"{%b}" % b",".join(fields)
