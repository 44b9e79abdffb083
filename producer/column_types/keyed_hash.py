"""Columns of which only a keyed hash leaves the source: pseudonyms. Pure.

A value is HMAC-SHA256, in hexadecimal, of PostgreSQL's text of it, whatever its type and the value
modes. So equal values are equal in every table, topic, format and snapshot and may be joined, while
nobody without the key can find the value by trying all there are. NULL stays NULL, and what stands
for a value that was not sent stays readable: neither says anything of a value.

HMAC: RFC 2104. What a session's text of a value is: `column_type`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from producer.column_types.column_type import ColumnType
from producer.configuration.expressions import Expression, compile_expressions, matches_any
from producer.connect_schema import STRING, ConnectSchema

MIN_KEY_BYTES: Final = 16
MAKE_A_KEY: Final = "`openssl rand -hex 32` makes one"
_MASKED: Final = (("masked", "true"),)
"""What Debezium says in the schema of a column that it masks or hashes."""


@dataclass(frozen=True, slots=True)
class KeyedHash:
    """The columns that are hashed, and the key."""

    columns: tuple[Expression, ...] = ()
    key: bytes = b""

    @classmethod
    def of(cls, columns: Iterable[str], key: str) -> KeyedHash:
        """Return the hash of the columns that the expressions match.

        Raises ValueError where columns are named and there is no key, or one that could be guessed.
        """
        expressions, key_bytes = compile_expressions(columns), key.strip().encode()
        if expressions and len(key_bytes) < MIN_KEY_BYTES:
            found = f"has fewer than {MIN_KEY_BYTES} characters" if key_bytes else "is missing"
            raise ValueError(
                f"bemi.column.hmac names columns and its key, bemi.column.hmac.key, {found}; "
                f"{MAKE_A_KEY}"
            )
        return cls(expressions, key_bytes)

    def hashes(self, pg_schema: str, table: str, column: str) -> bool:
        """Tell whether a column is hashed."""
        return matches_any(self.columns, f"{pg_schema}.{table}.{column}")

    def pseudonym(self, text: bytes) -> str:
        """Return what stands for a value with this text."""
        return hmac.digest(self.key, text, "sha256").hex()

    def hashed(self, kind: ColumnType, placeholder: str) -> ColumnType:
        """Return the type of a hashed column of a type; `placeholder` is for values not sent."""

        def encode_json(text: bytes) -> bytes:
            return b'"%b"' % self.pseudonym(text).encode()

        schema = ConnectSchema(STRING, parameters=_MASKED)
        return ColumnType(schema, self.pseudonym, encode_json, placeholder, kind.name)


NOTHING_HASHED: Final = KeyedHash()
