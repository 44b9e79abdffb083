"""Store changes that are read again, in `changes` or a table like it. Edge: psycopg.

Each batch is one transaction and is decided by the changes' ids alone, so it may be stored
any number of times, beside the running sink, and stopped anywhere. The sink's watermark is
neither read nor moved.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import sql

from runtime.errors import StageError
from sink_pg.batch import RefusedRecord
from sink_pg.change_rows import COPY_COLUMNS, ChangeRow
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.erasures import load_erasures
from sink_pg.errors import DatabaseUnusable, SealedRows
from sink_pg.pg_connection import Connection, Destination
from sink_pg.pg_writer import insert_dead_letters, insert_new
from sink_pg.schema_migrations import migrate
from sink_pg.seals import has_seals, seal
from sink_pg.settings import SinkSettings
from sink_pg.statements import statement

CHANGES = ("public", "changes")

REPLAYED = "replay"
"""What stands in a seal in place of the topic; a replay's offsets follow no order."""

log = logging.getLogger(__name__)


class BatchStored(NamedTuple):
    """What became of the rows of a batch; the rest was stored before, or is too old."""

    inserted: int
    replaced: int
    refused: int


class ReplayWriter:
    """One connection for a replay; opened anew after a Retry error.

    `keep_from` is the oldest commit time to store; None for all.
    """

    def __init__(
        self,
        settings: SinkSettings,
        table: tuple[str, ...] = CHANGES,
        is_replacing: bool = False,
        keep_from: datetime | None = None,
    ) -> None:
        self._settings = settings
        self._table = table
        self._is_replacing = is_replacing
        self._keep_from = keep_from
        self._destination = Destination(settings)
        names = {
            "table": sql.Identifier(*table),
            "columns": sql.SQL(", ").join(map(sql.Identifier, COPY_COLUMNS)),
        }
        self._insert = statement("insert_replayed").format(**names)
        self._replace = statement("replace_replayed").format(**names)
        self._create = statement("create_replay_target").format(**names)

    @property
    def is_into_changes(self) -> bool:
        """Whether the rows go where the running sink stores its own."""
        return self._table == CHANGES

    def prepare(self) -> None:
        """Make the tables that are missing; raises DatabaseUnusable where one cannot serve."""
        connection = self._destination.connection()
        try:
            migrate(connection)
            if not self.is_into_changes:
                self._prepare_target(connection)
            elif self._is_replacing and has_seals(connection):
                raise SealedRows
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error
        except StageError:
            self.close()
            raise

    def load_erasures(self, topic: ErasureTopic) -> None:
        """Learn which changes were erased: those are stored without what was erased of them."""
        connection = self._destination.connection()
        try:
            load_erasures(connection, topic)
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error

    def store(
        self, rows: Sequence[ChangeRow], refused: Sequence[RefusedRecord], topic_id: str = ""
    ) -> BatchStored:
        """Store the rows in one transaction; of several with one id the last one counts.

        What cannot be stored is put aside, as the sink does, unless the rows go elsewhere.
        """
        newest = {row.line[:36]: row for row in rows}
        all_refused = list(refused)
        replaced = 0
        connection = self._destination.connection()

        def insert(connection: Connection) -> int:
            nonlocal replaced
            inserted = connection.execute(self._insert, {"keep_from": self._keep_from}).rowcount
            if self._is_replacing:
                replaced += connection.execute(self._replace).rowcount
            return inserted

        try:
            connection.execute(statement("begin_store"))
            connection.execute(statement("create_staging"))
            inserted = insert_new(connection, list(newest.values()), all_refused, insert)
            if self.is_into_changes:
                insert_dead_letters(connection, all_refused, topic_id)
                if inserted and (self._settings.seals or has_seals(connection)):
                    seal(connection, rows, REPLAYED)
            connection.commit()
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error
        return BatchStored(inserted, replaced, len(all_refused))

    def close(self) -> None:
        """Close the connection; whatever was not committed is not stored."""
        self._destination.close()

    def _prepare_target(self, connection: Connection) -> None:
        name = sql.Identifier(*self._table).as_string(connection)
        row = connection.execute(statement("replay_target"), {"table": name}).fetchone()
        is_there, columns, has_key = row if row is not None else (False, [], False)
        if not is_there:
            connection.execute(self._create)
            log.info("made table %s like public.changes", name)
            return
        missing = set(COPY_COLUMNS).difference(columns if isinstance(columns, list) else [])
        if missing or not has_key:
            lacks = f"the columns {', '.join(sorted(missing))}" if missing else ""
            lacks = lacks or "a unique index on (id, committed_at)"
            raise DatabaseUnusable(
                f"table {name} lacks {lacks}, so changes cannot be replayed into it; name a table"
                " that does not exist yet, and it is made like public.changes"
            )
