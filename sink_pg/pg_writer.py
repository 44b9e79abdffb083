"""Store a batch: rows, dead letters and progress in one transaction. Edge: psycopg.

Why a change is stored once, whatever happens:

- A watermark moves by compare-and-swap, from the offset that the batch began at, in the
  transaction that stores the rows. Of two sinks that have the same records one moves it; the
  other is told so (ProgressMoved) and has stored nothing.
- A transaction whose COMMIT was not answered may have happened or not. The connection is
  given up, and whoever reads the watermark anew sees which. Should the old transaction still
  be running then, its lock on the watermark makes the next store wait for its end, and end it
  where its sink has gone silent (fencing).
- Where positions cannot tell (another epoch), the primary key of `changes` does.

The rows go by COPY straight into `changes`. Only when PostgreSQL refuses one of them, or one is
of a change that was erased, does the batch go a slower way: through a staging table, in which
that is erased again, past what is stored already, and by halves down to the rows that cannot be
stored, which become dead letters.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from runtime.errors import StageError
from sink_pg.adoption import adopt
from sink_pg.batch import Advance, Batch, RefusedRecord
from sink_pg.change_rows import ChangeRow, storable_text
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.erasures import ErasedChanges, erase_staged, load_erasures
from sink_pg.errors import ProgressMoved
from sink_pg.fencing import end_holders
from sink_pg.pg_connection import Connection, Destination, is_about_a_row
from sink_pg.schema_migrations import migrate
from sink_pg.seals import seal
from sink_pg.settings import SinkSettings
from sink_pg.statements import copy_into, insert_staged, statement
from sink_pg.unstorable import with_text
from sink_pg.watermark import Watermark

ROWS_PER_WRITE = 200
MAX_REASON_LENGTH = 1_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch: every record is in exactly one of the three."""

    rows: int
    dead_letters: int
    redelivered: int


class PgWriter:
    """The one connection of a sink to its destination; opened when needed.

    After a Retry error the connection is closed and the next call opens another. What was
    stored then must be read again by `watermarks`, because it cannot be known otherwise.
    """

    def __init__(self, settings: SinkSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._destination = Destination(settings)
        self._erased = ErasedChanges()
        is_last_copy = settings.confirm_after == "sink"
        self._begin = statement("begin_durable_store" if is_last_copy else "begin_store")

    def migrate(self, is_adopting: bool = False) -> list[int]:
        """Make or update the tables; return the numbers of the migrations applied."""
        try:
            connection = self._destination.connection()
            return adopt(connection) if is_adopting else migrate(connection)
        except StageError:
            self.close()
            raise

    def load_erasures(self, topic: ErasureTopic) -> None:
        """Learn which changes were erased: those are stored without what was erased of them."""
        connection = self._destination.connection()
        try:
            if count := load_erasures(connection, topic):
                log.info(
                    "%d changes are on record as erased; those that are stored from before, as in "
                    "a restored database, are erased by `bemi-sink erase --recorded`",
                    count,
                )
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error
        self._erased.forget()

    def watermarks(self, partitions: Iterable[int]) -> dict[int, Watermark]:
        """Return how far the partitions are stored; one never stored has no entry."""
        connection = self._destination.connection()
        try:
            rows = connection.execute(
                statement("watermarks"), {"topic": self._topic, "partitions": list(partitions)}
            ).fetchall()
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error
        return {partition: Watermark(*rest) for partition, *rest in rows}  # type: ignore[misc, arg-type]

    def begin_anew(
        self, topic_id: str, watermarks: Mapping[int, Watermark]
    ) -> dict[int, Watermark]:
        """Let these partitions begin at 0 in the topic of that id; return where they stand now.

        Which changes are stored stays known, so none is stored twice. Raises ProgressMoved where
        another sink was faster.
        """
        connection = self._destination.connection()
        try:
            with connection.transaction():
                for partition, mark in watermarks.items():
                    parameters = {
                        "topic": self._topic,
                        "partition": partition,
                        "topic_id": topic_id,
                        "next_offset": mark.next_offset,
                        "former_id": mark.topic_id,
                    }
                    if connection.execute(statement("begin_anew"), parameters).fetchone() is None:
                        raise ProgressMoved(f"another sink has {self._topic} [{partition}]")
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error
        return {
            partition: mark._replace(next_offset=0, topic_id=topic_id)
            for partition, mark in watermarks.items()
        }

    def store(self, batch: Batch) -> Stored:
        """Store the batch whole, in one transaction, or raise and have stored none of it.

        Exception to the latter: after DatabaseUnavailable it may be stored whole as well.
        """
        connection = self._destination.connection()
        try:
            try:
                if self._erased.are_among(connection, batch.rows):
                    return self._store_by_halves(connection, batch)
                return self._store_by_copy(connection, batch)
            except psycopg.Error as error:
                if not is_about_a_row(error):
                    raise
                log.info("going the slow way with %d rows (%s)", len(batch.rows), error.sqlstate)
                connection.rollback()
                return self._store_by_halves(connection, batch)
        except psycopg.errors.LockNotAvailable as error:
            failure = self._destination.given_up(error)
            self._end_holders([advance.partition for advance in batch.advances()])
            raise failure from error
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error
        except ProgressMoved:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; whatever was not committed is not stored."""
        self._destination.close()

    def _end_holders(self, partitions: Sequence[int]) -> None:
        try:
            ended = end_holders(self._destination.connection(), self._topic, partitions)
        except psycopg.Error as error:
            raise self._destination.given_up(error) from error
        if ended:
            log.warning("ended %d sessions that held the progress and did not go on", ended)

    def _store_by_copy(self, connection: Connection, batch: Batch) -> Stored:
        connection.execute(self._begin)
        self._advance(connection, batch.advances(), batch.topic_id)
        if batch.rows:
            _copy(connection, copy_into("public", "changes"), batch.rows)
        insert_dead_letters(connection, batch.refused, batch.topic_id)
        self._seal(connection, batch)
        connection.commit()
        return Stored(len(batch.rows), len(batch.refused), batch.redelivered)

    def _store_by_halves(self, connection: Connection, batch: Batch) -> Stored:
        connection.execute(self._begin)
        self._advance(connection, batch.advances(), batch.topic_id)
        connection.execute(statement("create_staging"))
        refused = list(batch.refused)
        inserted = insert_new(connection, batch.rows, refused)
        insert_dead_letters(connection, refused, batch.topic_id)
        self._seal(connection, batch)
        connection.commit()
        known = len(batch.rows) - inserted - (len(refused) - len(batch.refused))
        return Stored(inserted, len(refused), batch.redelivered + known)

    def _seal(self, connection: Connection, batch: Batch) -> None:
        if self._settings.seals:
            seal(connection, batch.rows, self._topic, batch.advances())

    def _advance(
        self, connection: Connection, advances: Sequence[Advance], topic_id: str | None
    ) -> None:
        new = [advance for advance in advances if advance.expected_offset is None]
        known = [advance for advance in advances if advance.expected_offset is not None]
        moved: set[object] = set()
        if known:
            moved |= self._moved(connection, "advance_watermarks", known, topic_id)
        if new:
            partitions = [advance.partition for advance in new]
            connection.execute(
                statement("hold_first_progress"), {"topic": self._topic, "partitions": partitions}
            )
            moved |= self._moved(connection, "insert_watermarks", new, topic_id)
        lost = [advance.partition for advance in advances if advance.partition not in moved]
        if lost:
            raise ProgressMoved(
                f"another sink has stored records of {self._topic} {lost}; going on behind them"
            )

    def _moved(
        self, connection: Connection, name: str, advances: Sequence[Advance], topic_id: str | None
    ) -> set[object]:
        rows = connection.execute(
            statement(name),
            {
                "topic": self._topic,
                "topic_id": topic_id,
                "partitions": [advance.partition for advance in advances],
                "expected": [advance.expected_offset for advance in advances],
                "next_offsets": [advance.watermark.next_offset for advance in advances],
                "epochs": [advance.watermark.epoch for advance in advances],
                "commit_lsns": [advance.watermark.commit_lsn for advance in advances],
                "ordinals": [advance.watermark.ordinal for advance in advances],
            },
        )
        return {partition for (partition,) in rows}


def _copy(connection: Connection, statement: sql.Composed, rows: Sequence[ChangeRow]) -> None:
    with connection.cursor().copy(statement) as copy:
        for start in range(0, len(rows), ROWS_PER_WRITE):
            copy.write(b"".join([row.line for row in rows[start : start + ROWS_PER_WRITE]]))


def _insert_staged(connection: Connection) -> int:
    return connection.execute(insert_staged()).rowcount


def insert_new(
    connection: Connection,
    rows: Sequence[ChangeRow],
    refused: list[RefusedRecord],
    insert: Callable[[Connection], int] = _insert_staged,
) -> int:
    """Insert the rows that are not stored yet; return their number.

    Rows that PostgreSQL refuses are found by halving; those that no other form helps (see
    unstorable) are added to `refused`. `insert` takes what is staged; it may run several
    times, each in a savepoint of its own.
    """
    if not rows:
        return 0
    try:
        with connection.transaction():
            _copy(connection, copy_into("pg_temp", "bemi_staging"), rows)
            erase_staged(connection)
            inserted = insert(connection)
            connection.execute(statement("clear_staging"))
            return inserted
    except psycopg.Error as error:
        if not is_about_a_row(error):
            raise
        if len(rows) == 1:
            if (storable := with_text(connection, rows[0])) is not None:
                return insert_new(connection, [storable], refused, insert)
            refused.append(RefusedRecord(rows[0].record, _reason(error)))
            return 0
    middle = len(rows) // 2
    return insert_new(connection, rows[:middle], refused, insert) + insert_new(
        connection, rows[middle:], refused, insert
    )


def _reason(error: psycopg.Error) -> str:
    detail = f": {error.diag.message_detail}" if error.diag.message_detail else ""
    return f"PostgreSQL refuses it: {error.diag.message_primary}{detail} ({error.sqlstate})"


def insert_dead_letters(
    connection: Connection, refused: Iterable[RefusedRecord], topic_id: str | None
) -> None:
    """Keep the records in bemi_dead_letters, each once; `topic_id` is that of their topic."""
    for record, reason in refused:
        headers = [
            [storable_text(name), None if value is None else b64encode(value).decode()]
            for name, value in record.headers
        ]
        connection.execute(
            statement("insert_dead_letter"),
            {
                "topic": record.topic,
                "topic_id": topic_id or "",
                "partition": record.partition,
                "offset": record.offset,
                "key": record.key,
                "value": record.value,
                "headers": json.dumps(headers),
                "reason": storable_text(reason[:MAX_REASON_LENGTH]),
            },
        )
