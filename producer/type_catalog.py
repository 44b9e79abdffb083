"""Ask the catalogue what types are made of. Edge: one SQL connection.

PostgreSQL's own types have fixed oids and are known beforehand; the server is asked for
those of extensions and users only, once for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg.postgres import types as postgres_types
from psycopg.types import TypeInfo

from producer.column_types.column_type import TypeFacts
from producer.column_types.registry import PG_CATALOG
from producer.errors import from_psycopg

_TYPES = files("producer").joinpath("sql").joinpath("types.sql").read_bytes()


_VECTORS: Final = ("int2vector", "oidvector")


def _built_in_types() -> dict[int, TypeFacts]:
    facts = {}
    for info in postgres_types:
        # The server is asked for the few that are more than a name: ranges, which are of other
        # classes here, and the vectors, which are arrays.
        if type(info) is TypeInfo and info.name not in _VECTORS:
            name = info.name.strip('"')
            element = TypeFacts(info.oid, PG_CATALOG, name, delimiter=info.delimiter)
            facts[info.oid] = element
            if info.array_oid:
                facts[info.array_oid] = TypeFacts(
                    *(info.array_oid, PG_CATALOG, f"_{name}"),
                    element=element,
                    delimiter=info.delimiter,
                )
    return facts


_BUILT_IN: Final = _built_in_types()


class TypeCatalog:
    """Remembers what the server says of types.

    An answer is the catalogue's present: a label added to an enum later is not in it until
    `forget` is called.
    """

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection
        self._known = dict(_BUILT_IN)

    def facts(self, oids: Iterable[int]) -> dict[int, TypeFacts]:
        """Return the facts of each of these types.

        A type that was dropped since its values were written has an empty name, and so no
        form but its text.
        """
        wanted = set(oids)
        missing = wanted - self._known.keys()
        if missing:
            self._ask(missing)
        return {oid: self._known[oid] for oid in wanted}

    def forget(self) -> None:
        """Ask the server again for all types but PostgreSQL's own."""
        self._known = dict(_BUILT_IN)

    def _ask(self, oids: set[int]) -> None:
        try:
            rows = self._connection.execute(_TYPES, {"oids": list(oids)}).fetchall()
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        by_oid: dict[int, tuple[Any, ...]] = {row[0]: row for row in rows}  # type: ignore[misc]
        for oid in oids:
            self._known[oid] = self._made(oid, by_oid)

    def _made(self, oid: int, rows: dict[int, tuple[Any, ...]]) -> TypeFacts:
        if oid in self._known:
            return self._known[oid]
        if oid not in rows:
            return TypeFacts(oid, "", "")
        _, pg_schema, name, kind, element, base, base_modifier, labels, delimiter = rows[oid]
        return TypeFacts(
            oid=oid,
            pg_schema=pg_schema,
            name=name,
            kind=kind,
            element=self._made(element, rows) if element else None,
            base=self._made(base, rows) if base else None,
            base_modifier=base_modifier,
            labels=tuple(labels),
            delimiter=delimiter,
        )
