"""Look at the tracked database for the doctor; changes nothing. Edge."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from importlib.resources import files
from typing import Any

import psycopg

from producer.configuration.table_filters import TableFilters
from producer.connections import connect_observer, connect_stream
from producer.doctor.facts import (
    ColumnFound,
    RoleFacts,
    ServerFacts,
    SlotFacts,
    SourceFacts,
    TableFacts,
)
from producer.errors import from_psycopg
from producer.publication import read_publication
from producer.settings import ProducerSettings
from producer.sql_connection import Connection
from runtime.errors import StageError
from schemas.topics import OWN_SCHEMA, is_own_table

SETTINGS = (
    "wal_level",
    "max_replication_slots",
    "max_wal_senders",
    "max_slot_wal_keep_size",
    "idle_replication_slot_timeout",
    "hot_standby_feedback",
)

_SQL = files("producer").joinpath("sql")


def read_source(settings: ProducerSettings) -> SourceFacts:
    """Return what there is; raises the producer's errors where the database does not answer."""
    problem = _replication_problem(settings)
    with closing(connect_observer(settings)) as connection:
        try:
            return SourceFacts(
                server=_server(connection, problem),
                role=_role(connection),
                slot_name=settings.slot_name,
                slots=tuple(SlotFacts(*row) for row in _rows(connection, "doctor_slots")),
                publication_name=settings.publication_name,
                publication=read_publication(connection, settings.publication_name),
                tables=_tables(connection, settings),
                columns=tuple(ColumnFound(*row) for row in _rows(connection, "doctor_columns")),
            )
        except psycopg.Error as error:
            raise from_psycopg(error) from error


def _replication_problem(settings: ProducerSettings) -> str | None:
    try:
        with closing(connect_stream(settings)) as stream:
            stream.identify()
    except StageError as error:
        return " ".join(str(error).split())
    return None


def _server(connection: Connection, replication_problem: str | None) -> ServerFacts:
    asked_at = time.time()
    row = _row(connection, "doctor_server", {"names": list(SETTINGS)})
    # What the server says is as of some moment between asking and hearing.
    heard_at = time.time()
    found, encoding, is_standby, slots, senders, clock, process = row
    return ServerFacts(
        version=connection.info.server_version,
        settings=found,
        encoding=encoding,
        is_standby=is_standby,
        slots=slots,
        senders=senders,
        clock_ahead_seconds=clock - (asked_at + heard_at) / 2,
        # A pooler answers the login itself, with a process id that is none of the server's.
        is_pooled=connection.info.backend_pid != process,
        replication_problem=replication_problem,
    )


def _role(connection: Connection) -> RoleFacts:
    return RoleFacts(*_row(connection, "doctor_role"))


def _tables(connection: Connection, settings: ProducerSettings) -> tuple[TableFacts, ...]:
    filters = TableFilters.of(settings)
    tables = (
        TableFacts(*row)
        for row in _rows(connection, "doctor_tables", {"name": settings.publication_name})
    )
    return tuple(
        replace(each, is_included=filters.captures_table(each.pg_schema, each.table))
        for each in tables
        if not (each.pg_schema == OWN_SCHEMA and is_own_table(each.table))
    )


def _row(connection: Connection, name: str, parameters: dict[str, Any] | None = None) -> Any:
    return _rows(connection, name, parameters)[0]


def _rows(connection: Connection, name: str, parameters: dict[str, Any] | None = None) -> list[Any]:
    query = _SQL.joinpath(f"{name}.sql").read_bytes()
    return connection.execute(query, parameters).fetchall()
