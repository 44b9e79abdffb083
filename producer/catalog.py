"""Ask the catalogue what the stream does not say of a relation. Edge: one SQL connection.

The catalogue shows the present, the stream the past: a key may have changed in between.
What the stream says wins wherever it says anything.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg

from producer.errors import from_psycopg
from producer.pgoutput import Relation
from producer.table_shape import CatalogColumn, CatalogFacts
from producer.type_catalog import TypeCatalog
from schemas.topics import OWN_SCHEMA, is_own_table

_SQL = files("producer").joinpath("sql")
_RELATION = _SQL.joinpath("relation.sql").read_bytes()
_COLUMNS = _SQL.joinpath("columns.sql").read_bytes()


class Catalog:
    """Looks relations up, each when the stream describes it."""

    def __init__(
        self,
        connection: psycopg.Connection[tuple[object, ...]],
        *,
        takes_partial_keys: bool = False,
    ) -> None:
        """Use the connection; `takes_partial_keys` takes conditional unique indexes for keys."""
        self._connection = connection
        self._takes_partial_keys = takes_partial_keys
        self._types = TypeCatalog(connection)

    def facts(self, relation: Relation) -> CatalogFacts:
        """Return what the catalogue says of the relation at this moment."""
        types = self._types.facts(column.type_oid for column in relation.columns)
        try:
            parameters = {"oid": relation.oid, "takes_partial": self._takes_partial_keys}
            row = self._connection.execute(_RELATION, parameters).fetchone()
            columns = self._connection.execute(_COLUMNS, {"oid": relation.oid}).fetchall()
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        is_own = _is_own(relation.pg_schema, relation.table)
        if row is None:
            return CatalogFacts(types=types, is_own=is_own)
        key, root_schema, root_table = row
        return CatalogFacts(
            key=tuple(key or ()),  # type: ignore[arg-type]
            columns={
                str(name): CatalogColumn(bool(not_null), default)  # type: ignore[arg-type]
                for name, not_null, default in columns
            },
            types=types,
            is_own=is_own or _is_own(root_schema, root_table),
        )


def _is_own(pg_schema: object, table: object) -> bool:
    return pg_schema == OWN_SCHEMA and is_own_table(str(table))
