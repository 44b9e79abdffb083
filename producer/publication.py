"""Make the publication where there is none, and look at what it covers. Edge.

What is there already is taken as it is, but for `filtered`, which sets the list of tables anew
at each start: Debezium's publication.autocreate.mode.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files

import psycopg
from psycopg import sql

from producer.configuration.table_filters import ReplicaIdentity, replica_identity_of
from producer.errors import NotPermitted, PublicationMissing, SourceRefused, from_psycopg
from producer.source_state import OPERATIONS, PublicationState, SlotState
from producer.sql_connection import Connection
from producer.start_checks import Finding, check_publication

SCHEMAS_VERSION = 150_000  # CREATE PUBLICATION ... FOR TABLES IN SCHEMA.

_SQL = files("producer").joinpath("sql")
_PUBLICATION = _SQL.joinpath("publication.sql").read_bytes()
_TABLES = _SQL.joinpath("publication_tables.sql").read_bytes()
_SCHEMAS = _SQL.joinpath("publication_schemas.sql").read_bytes()
_PUBLISHED = _SQL.joinpath("published_tables.sql").read_bytes()
_WITHOUT_IDENTITY = _SQL.joinpath("tables_without_identity.sql").read_bytes()
_STILL_THERE = _SQL.joinpath("members_still_there.sql").read_bytes()

log = logging.getLogger(__name__)


class AutocreateMode(Enum):
    """What a missing publication is made for; see Debezium's publication.autocreate.mode."""

    ALL_TABLES = "all_tables"
    DISABLED = "disabled"
    FILTERED = "filtered"
    NO_TABLES = "no_tables"


@dataclass(frozen=True, slots=True)
class WantedPublication:
    """What the settings ask of the publication."""

    name: str
    mode: AutocreateMode = AutocreateMode.ALL_TABLES
    includes: Callable[[str, str], bool] = lambda _schema, _table: True
    operations: frozenset[str] = frozenset(OPERATIONS)
    via_partition_root: bool = False
    replica_identities: tuple[ReplicaIdentity, ...] = ()


def read_publication(connection: Connection, name: str) -> PublicationState | None:
    """Return what the publication covers now, or None where there is none."""
    row = connection.execute(_PUBLICATION, {"name": name}).fetchone()
    if row is None:
        return None
    oid, version, all_tables, via_root, *published = row
    members = connection.execute(_TABLES, {"oid": oid}).fetchall()
    if connection.info.server_version >= SCHEMAS_VERSION:
        members += connection.execute(_SCHEMAS, {"oid": oid}).fetchall()
    return PublicationState(
        name=name,
        oid=oid,
        version=version,
        all_tables=all_tables,
        operations=frozenset(
            operation
            for operation, is_published in zip(OPERATIONS, published, strict=True)
            if is_published
        ),
        via_partition_root=via_root,
        members=tuple(members),
    )


class PublicationWatch:
    """Looks whether the publication still covers what it covered when the stream began.

    From PostgreSQL 18 on a dropped publication is no error to the stream, and on no version
    is one that was narrowed: what it leaves out is passed over silently. The position must
    not be stored past it, so this is asked before each time it is: the catalogue read now
    is at least as new as the changes read before.
    """

    def __init__(
        self,
        connection: Connection,
        wanted: WantedPublication,
        began: PublicationState,
        on_change: Callable[[PublicationState], None],
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._state = began
        self._on_change = on_change

    def check(self) -> None:
        """Raise the Gap error if changes may be missing; hand on a state that is new."""
        try:
            now = read_publication(self._connection, self._wanted.name)
            if now == self._state:
                return
            found = compare(self._connection, self._state, now, self._wanted)
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        if found is not None:
            found.raise_it()
        log.info("publication %s was changed; nothing is missing by it", self._wanted.name)
        if now is not None:
            self._state = now
            self._on_change(now)


def compare(
    connection: Connection,
    before: PublicationState | None,
    now: PublicationState | None,
    wanted: WantedPublication,
    slot: SlotState | None = None,
) -> Finding | None:
    """Return what the publication leaves out that it covered before, or should."""
    listed = [oid for _, oid, _ in before.members] if before is not None else []
    existing = {
        oid
        for oid, pg_schema, table in connection.execute(_STILL_THERE, {"oids": listed})
        if table is None or wanted.includes(pg_schema, table)
    }
    return check_publication(before, now, existing, wanted.operations, slot)


def ensure_publication(connection: Connection, wanted: WantedPublication) -> None:
    """Make the publication where there is none; set the list of tables in mode `filtered`."""
    exists = connection.execute(
        "SELECT 1 FROM pg_publication WHERE pubname = %s", [wanted.name]
    ).fetchone()
    if exists:
        if wanted.mode is AutocreateMode.FILTERED:
            _set_tables(connection, wanted)
        return
    if wanted.mode is AutocreateMode.DISABLED:
        raise PublicationMissing(
            f"there is no publication {wanted.name}, and publication.autocreate.mode is disabled: "
            f'run `CREATE PUBLICATION "{wanted.name}" FOR TABLE ...`'
        )
    _make(connection, wanted)


def set_replica_identities(connection: Connection, identities: Sequence[ReplicaIdentity]) -> None:
    """Give each table the identity that replica.identity.autoset.values asks for."""
    if not identities:
        return
    for pg_schema, table, _, present in _tables(connection, "", ["r"]):
        wanted = replica_identity_of(identities, pg_schema, table)
        # Which index it is now is not asked: to set the same again does no harm.
        if wanted is None or (wanted.index is None and wanted.identity[0].lower() == present):
            continue
        identity: sql.Composable = sql.SQL(wanted.identity)  # One of four words.
        if wanted.index is not None:
            identity = sql.SQL("USING INDEX {}").format(sql.Identifier(wanted.index))
        statement = sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(
            sql.Identifier(pg_schema, table), identity
        )
        log.info("setting REPLICA IDENTITY %s on %s.%s", wanted.identity, pg_schema, table)
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            raise _not_permitted(connection, error, statement) from error


def uncovered_tables(connection: Connection, wanted: WantedPublication) -> list[str]:
    """Return the tables that the settings include and the publication does not cover."""
    kinds = ["r", "p"] if wanted.via_partition_root else ["r"]
    return [
        f"{pg_schema}.{table}"
        for pg_schema, table, is_published, _ in _tables(connection, wanted.name, kinds)
        if not is_published and wanted.includes(pg_schema, table)
    ]


def _tables(
    connection: Connection, publication: str, kinds: list[str]
) -> list[tuple[str, str, bool, str]]:
    return connection.execute(_PUBLISHED, {"name": publication, "kinds": kinds}).fetchall()


def _included(connection: Connection, wanted: WantedPublication) -> list[tuple[str, str]]:
    # A partition is published by its root where that is asked for, and else as itself.
    kinds = ["r", "p"] if wanted.via_partition_root else ["r"]
    return [
        (pg_schema, table)
        for pg_schema, table, _, _ in _tables(connection, wanted.name, kinds)
        if wanted.includes(pg_schema, table)
    ]


def _make(connection: Connection, wanted: WantedPublication) -> None:
    create = sql.SQL("CREATE PUBLICATION {}{} WITH (publish = {}, {} = {})")
    tables: list[tuple[str, str]] | None = None
    target: sql.Composable = sql.SQL(" FOR ALL TABLES")
    if wanted.mode is AutocreateMode.NO_TABLES:
        tables, target = [], sql.SQL("")
    elif wanted.mode is AutocreateMode.FILTERED:
        tables = _included(connection, wanted)
        if not tables:
            raise SourceRefused(
                "no table is included by the settings, so there is nothing to publish: check "
                "table.include.list and schema.include.list"
            )
        target = sql.SQL(" FOR TABLE {}").format(_list(tables))
    statement = create.format(
        sql.Identifier(wanted.name),
        target,
        sql.Literal(", ".join(each for each in OPERATIONS if each in wanted.operations)),
        sql.SQL("publish_via_partition_root"),
        sql.Literal(wanted.via_partition_root),
    )
    try:
        with connection.transaction():
            _give_identities(connection, tables)
            connection.execute(statement)
    except psycopg.errors.DuplicateObject:
        return  # Another producer was faster.
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_permitted(connection, error, statement) from error
    log.info("made publication %s (%s)", wanted.name, wanted.mode.value)


def _set_tables(connection: Connection, wanted: WantedPublication) -> None:
    tables = _included(connection, wanted)
    covered = {
        (pg_schema, table)
        for pg_schema, table, is_published, _ in _tables(connection, wanted.name, ["r", "p"])
        if is_published
    }
    if not tables or covered == set(tables):
        return
    statement = sql.SQL("ALTER PUBLICATION {} SET TABLE {}").format(
        sql.Identifier(wanted.name), _list(tables)
    )
    try:
        with connection.transaction():
            _give_identities(connection, tables)
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_permitted(connection, error, statement) from error
    except psycopg.errors.ObjectNotInPrerequisiteState:
        log.warning("publication %s covers all tables; its list is not set", wanted.name)
        return
    log.info("set the tables of publication %s: %s", wanted.name, len(tables))


def _give_identities(connection: Connection, tables: list[tuple[str, str]] | None) -> None:
    # A table without identity refuses every UPDATE once it is published: the application
    # must not break because it is watched.
    for pg_schema, table in connection.execute(_WITHOUT_IDENTITY).fetchall():
        if tables is not None and (pg_schema, table) not in tables:
            continue
        log.info("setting REPLICA IDENTITY FULL on %s.%s, which has no key", pg_schema, table)
        connection.execute(
            sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(sql.Identifier(pg_schema, table))
        )


def _list(tables: list[tuple[str, str]]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(pg_schema, table) for pg_schema, table in tables)


def _not_permitted(
    connection: Connection, error: psycopg.Error, statement: sql.Composed
) -> NotPermitted:
    return NotPermitted(
        f"{error.diag.message_primary}; have a superuser run `{statement.as_string(connection)};` "
        "after giving every table without a primary key REPLICA IDENTITY FULL"
    )
