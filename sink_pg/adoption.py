"""Make a table `changes` of Bemi's worker the first partition of the sink's. Edge: SQL.

No row is rewritten, copied or lost: the table gets the columns it lacks as constants, the types
of its columns lose their lengths, and it is attached as the partition of all times up to its
last change. What takes long, two indexes, is built before, while the table is in use; the rest is
one transaction, which reads the table once and is undone whole if anything is in the way.

Its constraints that would refuse changes go: one on id alone (the key is id and commit time),
and the unique one on position, by which rows of one COPY were lost. Its other indexes stay.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from schemas.topics import OWN_PARTITION_PREFIX
from sink_pg.errors import NotAdoptable
from sink_pg.pg_connection import Connection, stage_error
from sink_pg.schema_migrations import has_foreign_table, migrate
from sink_pg.statements import statement

ADOPTED = f"{OWN_PARTITION_PREFIX}adopted"
KEY_INDEX = f"{ADOPTED}_pkey"
PRIMARY_KEY_INDEX = f"{ADOPTED}_primary_key_idx"

# The columns it must have, and the types PostgreSQL turns into ours without rewriting a row.
_TYPES = {
    "id": ("uuid",),
    "database": ("character varying", "text"),
    "schema": ("character varying", "text"),
    "table": ("character varying", "text"),
    "primary_key": ("character varying", "text"),
    "operation": ("text", "character varying"),
    "before": ("jsonb",),
    "after": ("jsonb",),
    "context": ("jsonb",),
    "committed_at": ("timestamp with time zone",),
    "queued_at": ("timestamp with time zone",),
    "created_at": ("timestamp with time zone",),
    "transaction_id": ("bigint",),
    "position": ("bigint",),
}

log = logging.getLogger(__name__)


class _Column(NamedTuple):
    name: str
    type: str
    is_not_null: bool
    default: str | None

    @property
    def base_type(self) -> str:
        """The type without its length or precision, which stands in parentheses."""
        before, _, rest = self.type.partition("(")
        return before.rstrip() + rest.partition(")")[2]


def adopt(connection: Connection) -> list[int]:
    """Adopt a foreign table `changes` and apply the migrations; return their numbers.

    Where there is no such table it only applies the migrations. Raises NotAdoptable, with what
    to do, and has changed nothing then but indexes of its own.
    """
    try:
        if not has_foreign_table(connection):
            return migrate(connection)
        _check(connection)
        _build_index(connection, KEY_INDEX, "index_adopted_key")
        _build_index(connection, PRIMARY_KEY_INDEX, "index_adopted_primary_key")
        with connection.transaction():
            connection.execute(statement("begin_adoption"))
            if not has_foreign_table(connection):
                return []  # Another was first.
            _check(connection)
            applied, upper = _attach(connection)
    except (psycopg.errors.NotNullViolation, psycopg.errors.CheckViolation) as error:
        raise NotAdoptable(
            f"a row of public.changes cannot stay as it is: {error.diag.message_primary}."
            " Nothing was changed; correct or remove such rows, then try again"
        ) from error
    except psycopg.Error as error:
        raise stage_error(error) from error
    log.info("adopted the table changes as %s, up to %s", ADOPTED, upper)
    return applied


def _check(connection: Connection) -> None:
    rows: list[Any] = connection.execute(statement("foreign_table")).fetchall()
    kind, hides_rows, views = rows[0]
    if kind != "r":
        raise NotAdoptable("public.changes is no ordinary table; rename it to keep it")
    if hides_rows:
        raise NotAdoptable(
            "public.changes has row security, which would not hold for the whole trail; disable"
            " it, adopt the table, then give the new public.changes its policies"
        )
    if views:
        raise NotAdoptable(
            f"views read public.changes and would not see what is new: {', '.join(views)}; drop"
            " them, adopt the table, then make them again"
        )
    found = {column.name: column for column in _columns(connection, "public.changes")}
    if missing := _TYPES.keys() - found.keys():
        raise NotAdoptable(
            f"public.changes is not Bemi's: it lacks {', '.join(sorted(missing))}; rename it to"
            " keep it"
        )
    if extra := found.keys() - _TYPES.keys():
        raise NotAdoptable(
            f"public.changes has columns that Bemi's has not: {', '.join(sorted(extra))}; move"
            " them to another table, because the trail has no place for them"
        )
    for name, types in _TYPES.items():
        if found[name].base_type not in types:
            raise NotAdoptable(
                f"column {name} of public.changes is {found[name].type}, which cannot become"
                f" {types[0]} without rewriting each row; if that may take its time, run"
                f' ALTER TABLE public.changes ALTER COLUMN "{name}" TYPE {types[0]}'
            )


def _build_index(connection: Connection, name: str, build: str) -> None:
    rows: list[Any] = connection.execute(statement("index_is_valid"), {"name": name}).fetchall()
    if rows == [(True,)]:
        return
    if rows:  # Of an earlier attempt that was cut short.
        connection.execute(statement("drop_index_concurrently").format(name=sql.Identifier(name)))
    log.info("building the index %s", name)
    connection.execute(statement(build).format(name=sql.Identifier(name)))


def _attach(connection: Connection) -> tuple[list[int], str]:
    rows: list[Any] = connection.execute(statement("adopted_until")).fetchall()
    upper: str = rows[0][0]
    grants: list[Any] = connection.execute(statement("table_grants")).fetchall()
    narrow: list[Any] = connection.execute(statement("narrow_indexes")).fetchall()
    for name, is_constraint in narrow:
        drop = "drop_constraint" if is_constraint else "drop_index"
        connection.execute(statement(drop).format(name=sql.Identifier(name)))
    connection.execute(statement("rename_adopted").format(name=sql.Identifier(ADOPTED)))
    applied = migrate(connection)
    adopted = sql.Identifier("public", ADOPTED)
    connection.execute(_fit(connection, adopted))
    connection.execute(
        statement("attach_adopted").format(partition=adopted, upper=sql.Literal(upper))
    )
    for role, privilege, is_grantable in grants:
        connection.execute(_grant(role, privilege, is_grantable))
    return applied, upper


def _fit(connection: Connection, adopted: sql.Identifier) -> sql.Composed:
    """Return the one ALTER TABLE that gives the table the columns of `changes`."""
    found = {column.name: column for column in _columns(connection, f"public.{ADOPTED}")}
    actions: list[sql.Composable] = []
    for column in _columns(connection, "public.changes"):
        name = sql.Identifier(column.name)
        # Types and defaults are PostgreSQL's own text of them.
        type_ = sql.SQL(column.type)
        if column.name not in found:
            action = sql.SQL("ADD COLUMN {} {}").format(name, type_)
            if column.default is not None:
                action += sql.SQL(" DEFAULT {}").format(sql.SQL(column.default))
            actions.append(action + sql.SQL(" NOT NULL" if column.is_not_null else ""))
            continue
        if found[column.name].type != column.type:
            actions.append(sql.SQL("ALTER COLUMN {} TYPE {}").format(name, type_))
        if column.is_not_null and not found[column.name].is_not_null:
            actions.append(sql.SQL("ALTER COLUMN {} SET NOT NULL").format(name))
    key = sql.Identifier(KEY_INDEX)
    actions.append(sql.SQL("ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}").format(key, key))
    return sql.SQL("ALTER TABLE {} {}").format(adopted, sql.SQL(", ").join(actions))


def _grant(role: str, privilege: str, is_grantable: bool) -> sql.Composed:
    return sql.SQL("GRANT {} ON public.changes TO {}{}").format(
        sql.SQL(privilege),
        sql.SQL(role),
        sql.SQL(" WITH GRANT OPTION" if is_grantable else ""),
    )


def _columns(connection: Connection, table: str) -> list[_Column]:
    rows: list[Any] = connection.execute(statement("table_columns"), {"table": table}).fetchall()
    return [_Column(*row) for row in rows]
