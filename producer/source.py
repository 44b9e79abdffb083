"""Prepare the source: look at everything, decide, and only then make or change anything. Edge.

A slot is never dropped or made again behind anybody's back: a new slot begins at the present,
so whatever happened since the old one's position would be missing without a word. The
decision itself is `start_checks`'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

import psycopg

from producer.errors import DeliveryFailed, SourceRefused, from_psycopg
from producer.gaps import GapRecord
from producer.offset_store import KeyValues, offset_key, publication_key
from producer.publication import (
    AutocreateMode,
    PublicationWatch,
    WantedPublication,
    compare,
    ensure_publication,
    read_publication,
    set_replica_identities,
    uncovered_tables,
)
from producer.replication_slot import (
    SlotWait,
    advance_slot,
    check_server,
    drop_slot,
    is_standby,
    read_slot,
)
from producer.replication_stream import FAILOVER_VERSION, ReplicationStream
from producer.source_state import PublicationState, ServerState, SlotState, StoredOffset
from producer.sql_connection import Connection
from producer.start_checks import Finding, GapPolicy, StartPlan, check_start
from schemas.change_id import format_lsn
from schemas.topics import GAP_PREFIX

STORE_SECONDS = 30.0
MOST_NAMES = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WantedSource:
    """What the settings ask of the server."""

    slot_name: str
    publication: WantedPublication
    slot_failover: bool = False
    policy: GapPolicy = field(default_factory=GapPolicy)


@dataclass(frozen=True, slots=True)
class PreparedSource:
    """Everything is in place: begin to read at `offset.lsn`."""

    server: ServerState
    offset: StoredOffset  # Stored already.
    watch: PublicationWatch
    gaps: int = 0  # How many were found and accepted.
    unrecorded_gaps: tuple[bytes, ...] = ()
    """Gaps that a standby's log cannot take; to be published as messages of GAP_PREFIX."""
    snapshot_name: str | None = None  # Of a new slot; valid until the stream starts.


def look_at_server(connection: Connection, slot_name: str) -> SlotState | None:
    """Return the slot if there is one; raises a Stop error where the server cannot be used."""
    try:
        check_server(connection)
        return read_slot(connection, slot_name)
    except psycopg.Error as error:
        raise from_psycopg(error) from error


def prepare_source(
    connection: Connection,
    stream: ReplicationStream,
    slot: SlotState | None,
    store: KeyValues,
    wanted: WantedSource,
    *,
    captured_before: bool,
    while_waiting: Callable[[], None],
) -> PreparedSource:
    """Make what is missing, and return where to begin.

    `slot` must have been read before the store was opened: another producer may just be at
    work, see check_start. `captured_before` counts only while no offset is stored. Raises a Stop
    error for whatever needs a person; nothing has been changed on the server then.
    """
    try:
        server = stream.identify(is_standby=is_standby(connection))
        offset = store.get(offset_key(wanted.slot_name))
        stored = None if offset is None else StoredOffset.from_json(offset)
        before = _publication_before(store, stored, server, wanted)
        plan = check_start(
            server,
            slot,
            wanted.slot_name,
            stored,
            captured_before=captured_before,
            publication=_publication_finding(connection, before, wanted, slot),
            policy=wanted.policy,
        )
        source = _Source(connection, stream, store, server, slot, wanted)
        publication = source.make_publication()
        prepared = source.carry_out(plan, publication, while_waiting)
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    # A gap is recorded before the position behind it is stored: after a crash in between it
    # is found, and recorded, once more.
    source.store_publication(publication)
    store.put(offset_key(wanted.slot_name), prepared.offset.to_json())
    if not store.flush(STORE_SECONDS):
        raise DeliveryFailed("Kafka has not stored the position the producer begins at")
    return prepared


@dataclass(frozen=True, slots=True)
class _Source:
    """Makes what is missing; every method changes the server."""

    connection: Connection
    stream: ReplicationStream
    store: KeyValues
    server: ServerState
    slot: SlotState | None
    wanted: WantedSource

    def make_publication(self) -> PublicationState:
        wanted = self.wanted.publication
        if not self.server.is_standby:
            ensure_publication(self.connection, wanted)
            set_replica_identities(self.connection, wanted.replica_identities)
        publication = read_publication(self.connection, wanted.name)
        if publication is None:
            raise SourceRefused(
                f"there is no publication {wanted.name}, and this server is a standby: make it on "
                "the primary"
            )
        if wanted.mode is AutocreateMode.ALL_TABLES and not publication.all_tables:
            names = uncovered_tables(self.connection, wanted)
            if names:
                log.warning(
                    "publication %s does not cover %s tables that the settings include: %s%s",
                    wanted.name, len(names), ", ".join(names[:MOST_NAMES]),
                    ", ..." if len(names) > MOST_NAMES else "",
                )  # fmt: skip
        return publication

    def carry_out(
        self, plan: StartPlan, publication: PublicationState, while_waiting: Callable[[], None]
    ) -> PreparedSource:
        name = self.wanted.slot_name
        if plan.remark:
            log.info("%s (slot %s)", plan.remark, name)
        at, snapshot_name = plan.at, None
        self._check_failover(plan)
        if plan.drop_slot:
            drop_slot(self.connection, name)
        if plan.make_slot:
            waiting = SlotWait(self.connection, self.stream.server_process, while_waiting)
            made = self.stream.make_slot(
                name, failover=self.wanted.slot_failover, while_waiting=waiting.look
            )
            at, snapshot_name = made.consistent_point, made.snapshot_name
            log.info("made replication slot %s at %s", name, format_lsn(at))
        elif plan.advance_slot:
            at = advance_slot(self.connection, name)
        assert at is not None  # noqa: S101 - a plan that gives no position makes or advances.
        gaps = [gap.ending_at(at) for gap in plan.gaps]
        return PreparedSource(
            server=self.server,
            offset=StoredOffset(
                self.server.system_identifier, self.server.timeline, self.server.database,
                name, self.wanted.publication.name, at,
            ),
            watch=PublicationWatch(
                self.connection, self.wanted.publication, publication, self.store_publication
            ),
            gaps=len(gaps),
            unrecorded_gaps=self._record(gaps),
            snapshot_name=snapshot_name,
        )  # fmt: skip

    def _check_failover(self, plan: StartPlan) -> None:
        if not self.wanted.slot_failover or self.server.is_standby:
            return
        if self.server.version < FAILOVER_VERSION:
            log.warning("slot.failover needs PostgreSQL 17; the slot does not survive a failover")
        elif not plan.make_slot and self.slot is not None and not self.slot.failover:
            self.stream.make_failover(self.wanted.slot_name)
            log.info("standbys now take over replication slot %s", self.wanted.slot_name)

    def store_publication(self, publication: PublicationState) -> None:
        self.store.put(publication_key(self.wanted.slot_name), publication.to_json())

    def _record(self, gaps: list[GapRecord]) -> tuple[bytes, ...]:
        """Write the gaps into the source's log; return those that it does not take."""
        now = datetime.now(timezone.utc)
        contents = tuple(gap.to_bytes(now) for gap in gaps)
        for content in contents:
            log.warning("going on with a gap: %s", content.decode())
        if self.server.is_standby or not contents:
            return contents
        with self.connection.transaction():
            self.connection.execute("SET LOCAL synchronous_commit TO local")
            for content in contents:
                self.connection.execute(
                    "SELECT pg_logical_emit_message(true, %s, %s)", [GAP_PREFIX, content]
                )
        return ()


def _publication_before(
    store: KeyValues, stored: StoredOffset | None, server: ServerState, wanted: WantedSource
) -> PublicationState | None:
    """Return what was covered when this database was last captured from."""
    covered = store.get(publication_key(wanted.slot_name))
    if covered is None or stored is None or not stored.is_of(server):
        return None
    before = PublicationState.from_json(covered)
    return before if before.name == wanted.publication.name else None


def _publication_finding(
    connection: Connection,
    before: PublicationState | None,
    wanted: WantedSource,
    slot: SlotState | None,
) -> Finding | None:
    now = read_publication(connection, wanted.publication.name)
    return compare(connection, before, now, wanted.publication, slot)
