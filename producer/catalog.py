"""Ask the catalogue what the stream does not say of a relation. Edge: one SQL connection.

The catalogue shows the present, the stream the past: a key may have changed in between.
What the stream says wins wherever it says anything.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg

from producer.errors import from_psycopg
from producer.pgoutput import Relation
from producer.relations import CatalogFacts
from schemas.topics import OWN_SCHEMA, is_own_table

FIRST_USER_OID = 16384
"""Objects below are PostgreSQL's own (FirstNormalObjectId); no domain is among them."""

_SQL = files("producer").joinpath("sql")
_RELATION = _SQL.joinpath("relation.sql").read_bytes()
_BASE_TYPES = _SQL.joinpath("base_types.sql").read_bytes()


class Catalog:
    """Looks relations up, each when the stream describes it."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    def facts(self, relation: Relation) -> CatalogFacts:
        """Return what the catalogue says of the relation at this moment."""
        user_types = [c.type_oid for c in relation.columns if c.type_oid >= FIRST_USER_OID]
        try:
            row = self._connection.execute(_RELATION, {"oid": relation.oid}).fetchone()
            base_types = {}
            if user_types:
                cursor = self._connection.execute(_BASE_TYPES, {"oids": user_types})
                base_types = {domain: (base, modifier) for domain, base, modifier in cursor}
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        is_own = _is_own(relation.pg_schema, relation.table)
        if row is None:
            return CatalogFacts(is_own=is_own)
        key, root_schema, root_table = row
        return CatalogFacts(
            key=tuple(key or ()),  # type: ignore[arg-type]
            base_types=base_types,  # type: ignore[arg-type]
            is_own=is_own or _is_own(root_schema, root_table),
        )


def _is_own(pg_schema: object, table: object) -> bool:
    return pg_schema == OWN_SCHEMA and is_own_table(str(table))
