"""Mask, hash and truncate columns before anything of them reaches Kafka. Pure.

column.mask.with.N.chars               N asterisks, for NULL too
column.mask.hash.v2.ALG.with.salt.SALT hexadecimal digest of salt and text, cut to the column
column.truncate.to.N.chars             the first N characters of a text or bytes of a bytea

The first rule that names a column is the only one that holds; truncations go first, then
masks, then hashes. A rule is about the value as it stands in the event, the placeholder for a
value that the server did not send included. Characters are counted as Java counts them: in
units of UTF-16.

A column of the key is changed in the key, too. What has to be hidden whatever its type is for
`column_types.keyed_hash`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from producer.configuration.expressions import (
    Expression,
    compile_expressions,
    matches_any,
    split_list,
)

UNBOUNDED: Final = 2**31 - 1
"""Length of a column of a type without a length, such as text."""

_TRUNCATIONS, _MASKS, _HASHES = range(3)  # The order they go in.
_TRUNCATE = re.compile(r"column\.truncate\.to\.(\d+)\.chars")
_MASK = re.compile(r"column\.mask\.with\.(\d+)\.chars")
_HASH = re.compile(r"column\.mask\.hash\.v2\.([^.]+)\.with\.salt\.(.+)")

# Types whose JDBC type is one of characters; besides them only enums. json, uuid, citext and the
# like are of another, so Debezium neither masks nor hashes them.
_CHARACTER_TYPES: Final = frozenset({18, 19, 25, 1042, 1043})
_ENUM: Final = "e"

_DIGESTS: Final = {
    "md5": "md5",
    "sha": "sha1",
    "sha1": "sha1",
    "sha-1": "sha1",
    "sha-224": "sha224",
    "sha-256": "sha256",
    "sha-384": "sha384",
    "sha-512": "sha512",
    "sha-512/224": "sha512_224",
    "sha-512/256": "sha512_256",
    "sha3-224": "sha3_224",
    "sha3-256": "sha3_256",
    "sha3-384": "sha3_384",
    "sha3-512": "sha3_512",
}
"""Java's names of message digests, and Python's."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What decides whether a rule is about a column; of a domain, its base type's."""

    pg_schema: str
    table: str
    column: str
    type_oid: int
    type_kind: str = "b"
    """pg_type.typtype."""
    length: int = UNBOUNDED
    """Most characters that a value may have."""


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What becomes of one column's values."""

    parameters: Mapping[str, str]
    """Added to the column's schema."""
    of_text: Callable[[str], str]
    of_bytes: Callable[[bytes], bytes]
    of_null: str | None = None
    """Stands for NULL, None where that stays NULL."""
    keeps_values: bool = False
    """Whether it only says in the schema that it masks, as Debezium's does of what is no text."""

    def of_value(self, value: Any) -> Any:
        """Return what stands for a Connect value; only strings and bytes are changed."""
        if value is None:
            return self.of_null
        if isinstance(value, str):
            return self.of_text(value)
        return self.of_bytes(value) if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class _Named:
    order: int
    columns: tuple[Expression, ...]
    rule_for: Callable[[ColumnFacts], ColumnRule | None]


class ColumnRules:
    """The rules of a configuration."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        """Read the rules; raises ValueError for one that cannot be applied as it says."""
        named = []
        for name, columns in properties.items():
            order, rule_for = _parse(name)
            named.append(_Named(order, compile_expressions(split_list(columns)), rule_for))
        self._named = sorted(named, key=lambda entry: entry.order)

    def __bool__(self) -> bool:
        return bool(self._named)

    @property
    def expressions(self) -> list[Expression]:
        """What names columns, of all the rules."""
        return [expression for named in self._named for expression in named.columns]

    def rule_for(self, column: ColumnFacts) -> ColumnRule | None:
        """Return the rule that changes the column's values, None where they stay as they are."""
        name = f"{column.pg_schema}.{column.table}.{column.column}"
        for named in self._named:
            if matches_any(named.columns, name):
                return named.rule_for(column)
        return None

    def cuts_or_masks(self, name: str) -> bool:
        """Tell whether a truncation or a mask names the column, even one that changes nothing.

        To Debezium column.propagate.source.type is one more such rule, behind these.
        """
        return any(
            matches_any(named.columns, name) for named in self._named if named.order < _HASHES
        )


def _parse(name: str) -> tuple[int, Callable[[ColumnFacts], ColumnRule | None]]:
    if match := _TRUNCATE.fullmatch(name):
        limit = int(match[1])
        return _TRUNCATIONS, lambda column: _truncation(column, limit)
    if match := _MASK.fullmatch(name):
        mask = "*" * int(match[1])
        return _MASKS, lambda column: _mask(column, mask)
    if match := _HASH.fullmatch(name):
        algorithm, salt = match[1], match[2].encode()
        digest = _DIGESTS.get(algorithm.lower())
        if digest is None or digest not in hashlib.algorithms_available:
            raise ValueError(f"{algorithm} is none of {', '.join(_DIGESTS).upper()}")
        return _HASHES, lambda column: _hash(column, digest, salt)
    raise ValueError("a name is none of column.truncate.*, column.mask.with.* and .hash.v2.*")


def _truncation(column: ColumnFacts, limit: int) -> ColumnRule | None:
    if 0 <= column.length <= limit:
        return None
    return ColumnRule(
        {"truncateLength": str(limit)},
        of_text=lambda text: _first(text, limit),
        of_bytes=lambda value: value[:limit],
    )


def _mask(column: ColumnFacts, mask: str) -> ColumnRule:
    parameters = {"masked": "true"}
    if not _is_of_characters(column):
        return _unchanged(parameters)
    return ColumnRule(
        parameters, of_text=lambda _: mask, of_bytes=lambda value: value, of_null=mask
    )


def _hash(column: ColumnFacts, digest: str, salt: bytes) -> ColumnRule:
    parameters = {"masked": "true"}
    if not _is_of_characters(column):
        return _unchanged(parameters)
    length = column.length if column.length > 0 else None
    salted = hashlib.new(digest, salt, usedforsecurity=False)

    def of_text(text: str) -> str:
        state = salted.copy()
        state.update(text.encode())
        return state.hexdigest()[:length]

    return ColumnRule(parameters, of_text=of_text, of_bytes=lambda value: value)


def _unchanged(parameters: Mapping[str, str]) -> ColumnRule:
    return ColumnRule(
        parameters, of_text=lambda text: text, of_bytes=lambda value: value, keeps_values=True
    )


def _is_of_characters(column: ColumnFacts) -> bool:
    return column.type_kind == _ENUM or column.type_oid in _CHARACTER_TYPES


def _first(text: str, limit: int) -> str:
    if len(text) * 2 <= limit or text.isascii():
        return text[:limit]
    units = text.encode("utf-16-le")[: 2 * limit]
    # A character that the cut divides leaves half of itself, which UTF-8 cannot hold.
    ends_within = units[-1:] != b"" and 0xD8 <= units[-1] <= 0xDB
    return units[:-2].decode("utf-16-le") + "?" if ends_within else units.decode("utf-16-le")
