"""Erase stored changes, by parts and by what they are about. Edge: the work of the command.

    selection -> changes chosen -> for each few of them, in one transaction:
                 rows written, entries noted -> record in Kafka -> seal -> COMMIT

The record is in Kafka before the transaction is committed. So whatever fails, at the worst
more is on record than erased, and `--recorded` erases it. A change is never removed: its id, table,
operation and times stay, so verify still finds all that the source has committed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from threading import Event
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from runtime.kafka_client import client_settings
from runtime.progress_bar import ProgressBar
from runtime.range_reader import RangeReader, TopicMissing
from schemas.erasure import ErasedChange, Erasure, ErasureRecord, Part
from schemas.topics import Topics
from sink_pg.erased_forms import erased_forms, is_not_erased_yet
from sink_pg.erasure_selection import Selection
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.erasures import insert_erasure
from sink_pg.pg_connection import Connection, stage_error
from sink_pg.seals import has_seals, row_hash, seal_erased
from sink_pg.settings import SinkSettings
from sink_pg.statements import statement

CHANGES_PER_TRANSACTION = 2_000


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """What to erase, of which changes, and why."""

    selection: Selection
    parts: tuple[Part, ...]
    members: tuple[str, ...] | None
    reason: str


class ChosenTable(NamedTuple):
    """The changes of one table that have something to erase, and when they were committed."""

    pg_schema: str
    table: str
    changes: int
    oldest: str
    newest: str


class Erased(NamedTuple):
    """What was done; `erasure` is the id of its record."""

    erasure: str
    changes: int
    is_whole: bool


class RecordedErasure(NamedTuple):
    """An erasure as it stands in bemi_erasures, and how many changes it names."""

    id: str
    erased_at: str
    erased_by: str
    reason: str
    parts: list[str]
    members: list[str] | None
    changes: int


class Eraser:
    """Erases over one connection, and tells what it would erase."""

    def __init__(self, connection: Connection, topic: ErasureTopic) -> None:
        self._connection = connection
        self._topic = topic

    def choose(self, request: ErasureRequest) -> list[ChosenTable]:
        """Find the changes that have something to erase; only a temporary table is written."""
        conditions, parameters = request.selection.conditions()
        differs = is_not_erased_yet(erased_forms(request.parts))
        choose = statement("choose").format(conditions=conditions, differs=differs)
        return self._choose(choose, {**parameters, "members": _listed(request.members)})

    def erase(self, request: ErasureRequest, stopping: Event) -> Erased:
        """Erase what was chosen, to its end or until the event is set."""
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        role = self._one(sql.SQL("SELECT session_user::text"))
        erasure = Erasure(
            str(uuid.uuid4()), now, role, request.reason, request.parts, request.members
        )
        self._topic.make()
        return self._erase_chosen(erasure, stopping, is_new=True)

    def erase_recorded(self, stopping: Event) -> Iterator[Erased]:
        """Erase what is on record and is stored nevertheless: of a database that was restored."""
        for row in self._rows(statement("recorded_erasures")):
            id_, at, role, reason, parts, members = row
            erasure = Erasure(
                id_, at, role, reason, tuple(Part(part) for part in parts),
                None if members is None else tuple(members),
            )  # fmt: skip
            differs = is_not_erased_yet(erased_forms(erasure.parts))
            choose = statement("choose_recorded").format(differs=differs)
            if self._choose(choose, {"erasure": id_, "members": members}):
                yield self._erase_chosen(erasure, stopping, is_new=False)

    def recorded(self) -> list[RecordedErasure]:
        """Return the erasures that the destination knows of, the oldest first."""
        return [RecordedErasure(*row) for row in self._rows(statement("list_erasures"))]

    def _choose(self, choose: sql.Composed, parameters: dict[str, Any]) -> list[ChosenTable]:
        connection = self._connection
        try:
            connection.execute(statement("create_chosen"))
            connection.execute(statement("clear_chosen"))
            connection.execute(choose, parameters)
            connection.execute(statement("analyze_chosen"))
        except psycopg.Error as error:
            raise stage_error(error) from error
        return [ChosenTable(*row) for row in self._rows(statement("chosen_tables"))]

    def _erase_chosen(self, erasure: Erasure, stopping: Event, *, is_new: bool) -> Erased:
        forms = erased_forms(erasure.parts)
        statement_ = statement("erase_chosen").format(
            row_hash=row_hash(), differs=is_not_erased_yet(forms), **forms
        )
        total = int(self._one(sql.SQL("SELECT count(*) FROM pg_temp.bemi_chosen")))
        changes = first = 0
        with ProgressBar("erase", total, "changes") as progress:
            while first < total and not stopping.is_set():
                last = first + CHANGES_PER_TRANSACTION
                try:
                    changes += self._erase_some(erasure, statement_, first, last, is_new)
                except psycopg.Error as error:
                    raise stage_error(error) from error
                first = last
                progress.move_to(min(first, total))
        return Erased(erasure.id, changes, first >= total)

    def _erase_some(
        self, erasure: Erasure, erase: sql.Composed, first: int, last: int, is_new: bool
    ) -> int:
        connection = self._connection
        connection.execute(statement("begin_erasing"))
        try:
            place = {
                "erasure": erasure.id, "first": first, "last": last,
                "is_sealing": has_seals(connection), "members": _listed(erasure.members),
            }  # fmt: skip
            rows: list[Any] = connection.execute(erase, place).fetchall()
            if rows:
                insert_erasure(connection, erasure)
                changes = tuple(ErasedChange(id_, at) for id_, at in rows)
                offset = 0
                if is_new:
                    offset = self._topic.publish(ErasureRecord(erasure, changes))
                seal_erased(connection, self._topic.name, offset)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return len(rows)

    def _one(self, query: sql.SQL) -> Any:
        return self._rows(query)[0][0]

    def _rows(self, query: sql.SQL) -> list[Any]:
        try:
            return list(self._connection.execute(query).fetchall())
        except psycopg.Error as error:
            raise stage_error(error) from error


def changes_on_the_way(settings: SinkSettings, connection: Connection) -> int:
    """Return how many records of `.changes` no sink has stored yet: an erasure misses those."""
    topic = Topics(settings.topic_prefix).changes
    rows: Iterable[Any] = connection.execute(statement("progress_of_topic"), {"topic": topic})
    stored = {partition: next_offset for partition, next_offset, *_ in rows}
    with RangeReader(
        client_settings(settings), topic, settings.kafka_max_message_bytes, "bemi-erase"
    ) as reader:
        try:
            edges = reader.edges()
        except TopicMissing:
            return 0
    return sum(
        max(0, each.end - max(stored.get(partition, 0), each.first))
        for partition, each in edges.items()
    )


def _listed(members: tuple[str, ...] | None) -> list[str] | None:
    return None if members is None else list(members)
