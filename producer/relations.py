"""Relations as the stream describes them, and their rows as JSON. Pure.

The stream's Relation message gives columns and replica identity at the point of the rows
that follow. What it lacks comes from the catalogue as `CatalogFacts`: the key, because with
REPLICA IDENTITY FULL every column counts as identity, and the base types of domains.

A row becomes JSON by one template per relation: its constant parts are made once, so a row
costs one encoder call a column and one format.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from producer.column_values import UNAVAILABLE_JSON, EncodeValue, value_encoder
from producer.errors import MalformedMessage
from producer.pgoutput import UNCHANGED, Relation, TupleData


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
    """Turns the rows of one relation into JSON objects."""

    def __init__(self, relation: Relation, facts: CatalogFacts) -> None:
        self.relation = relation
        self.is_own = facts.is_own
        names = [column.name for column in relation.columns]
        self._encoders: list[EncodeValue] = [
            value_encoder(*facts.base_types.get(c.type_oid, (c.type_oid, c.type_modifier)))
            for c in relation.columns
        ]
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

    def encode(self, row: TupleData, old: TupleData | None = None) -> list[bytes]:
        """Return each value as JSON; what was not sent is taken from the old row if given."""
        if len(row) != len(self._encoders):
            raise MalformedMessage(
                f"a row of {self.relation.pg_schema}.{self.relation.table} has {len(row)} values "
                f"for {len(self._encoders)} columns"
            )
        if UNCHANGED in row:
            row = [
                (old[i] if old is not None else UNCHANGED) if value is UNCHANGED else value
                for i, value in enumerate(row)
            ]
        return [
            encode(value)
            if value.__class__ is bytes
            else b"null"
            if value is None
            else UNAVAILABLE_JSON
            for encode, value in zip(self._encoders, row, strict=True)
        ]

    def before(self, values: list[bytes], is_full: bool) -> bytes:
        """Return the old row as a JSON object: whole, or what was sent of it."""
        return self.row(values) if is_full else self._identity_only(values)

    def row(self, values: list[bytes]) -> bytes:
        """Return the whole row as a JSON object."""
        return self._template % tuple(values)

    def _identity_only(self, values: list[bytes]) -> bytes:
        # The other columns were not sent. They are left out: a null would say they were null.
        return self._identity_template % tuple([values[i] for i in self._identity])

    def key(self, values: list[bytes]) -> bytes | None:
        """Return the row's key as a JSON object in the key's order, or None without a key."""
        if not self._key:
            return None
        return self._key_template % tuple([values[i] for i in self._key])


def _object_template(names: list[str]) -> bytes:
    """Return a bytes format for a JSON object with these fields."""
    fields = (orjson.dumps(name).replace(b"%", b"%%") + b":%b" for name in names)
    return b"{%b}" % b",".join(fields)
