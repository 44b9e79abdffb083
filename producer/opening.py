"""Open what a session of capturing works with, after the snapshot that is wanted. Edge."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from producer.assembly import Assembly
from producer.connections import connect_sql, connect_stream, kafka_client, wanted_source
from producer.errors import SlotInUse
from producer.metrics import ProducerMetrics
from producer.offset_store import OffsetStore, offset_key
from producer.pipeline_topics import PipelineTopics
from producer.replication_stream import ReplicationStream
from producer.retrying import StopRequested
from producer.settings import ProducerSettings
from producer.snapshot.state import SnapshotStore, Status, Step, is_readable
from producer.source import PreparedSource, look_at_server, prepare_source
from producer.source_state import StoredOffset
from producer.sql_connection import Connection
from schemas.change_id import TOPIC_ID_LENGTH, Epoch, Lsn

log = logging.getLogger(__name__)


@dataclass
class Run:
    """What outlives a session: a process captures in one session after the other."""

    metrics: ProducerMetrics
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    acknowledged: tuple[Epoch, Lsn] | None = None
    """Up to where everything is acknowledged, and of which history that is."""
    has_taken_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class OpenSource:
    """Connections and stores, with everything in place to begin at `prepared.offset.lsn`."""

    sql: Connection
    stream: ReplicationStream
    store: OffsetStore
    prepared: PreparedSource
    epoch: Epoch
    topic_ids: Mapping[str, str]
    """The ids that Kafka gave `.wal` and `.changes`, as far as they are there."""
    closing: ExitStack
    """Lets go of all that is open; what is opened later joins it."""


def open_source(
    settings: ProducerSettings,
    assembly: Assembly,
    topics: PipelineTopics,
    run: Run,
    stopping: threading.Event,
) -> OpenSource:
    """Prepare server and topics and take the snapshot that is wanted, or what is left of it.

    Raises Retry or Stop when that fails, StopRequested when the process is to end; nothing
    stays open then.
    """

    def raise_if_stopping() -> None:
        if stopping.is_set():
            raise StopRequested

    with ExitStack() as stack:
        sql = stack.enter_context(closing(connect_sql(settings)))
        stream = stack.enter_context(closing(connect_stream(settings)))
        # The slot before the store: see check_start.
        slot = look_at_server(sql, settings.slot_name)
        if slot is not None and slot.reader_pid is not None:
            # Before anything dear is opened: a standby looks each second, for as long as it lives.
            raise SlotInUse(
                f"replication slot {slot.name} is active for PID {slot.reader_pid}; this producer "
                "stands by until that one ends"
            )
        store = stack.enter_context(
            closing(OffsetStore.open(kafka_client(settings), assembly.topics.producer_offsets))
        )
        stored = store.get(offset_key(settings.slot_name))
        position = None if stored is None else StoredOffset.from_json(stored)
        may_lose = settings.snapshot_mode == "when_needed" and not is_readable(slot, position)
        step = _first_step(settings, store, run, is_readable=not may_lose)
        prepared = prepare_source(
            sql,
            stream,
            slot,
            store,
            # What is missing then comes by the snapshot.
            wanted_source(settings, assembly, accept_gap=settings.accept_gap or may_lose),
            captured_before=not topics.wal_is_empty(),
            while_waiting=raise_if_stopping,
        )
        run.metrics.gaps.inc(prepared.gaps)
        wal_partitions, topic_ids = topics.ensure_own()
        if step is Step.TAKE:
            _take_snapshot(settings, assembly, prepared, store, topics.ensure_table, stopping)
            run.has_taken_snapshot = True
        if settings.snapshot_mode == "initial_only":
            log.info("the snapshot is complete; snapshot.mode=initial_only wants no more")
            raise StopRequested
        server = prepared.server
        epoch = Epoch(
            server.system_identifier,
            server.timeline,
            wal_partitions,
            settings.slot_name,
            server.database,
            _topics_of_epoch(settings, assembly, topic_ids),
        )
        return OpenSource(sql, stream, store, prepared, epoch, topic_ids, stack.pop_all())


def _first_step(
    settings: ProducerSettings, store: OffsetStore, run: Run, *, is_readable: bool
) -> Step:
    snapshots = SnapshotStore(store, settings.slot_name)
    is_taken = run.has_taken_snapshot and snapshots.status is Status.DONE
    if is_taken or not settings.publish_tables:
        return Step.STREAM
    return snapshots.decide(settings.snapshot_mode, is_readable=is_readable)


def _topics_of_epoch(settings: ProducerSettings, assembly: Assembly, ids: Mapping[str, str]) -> str:
    """Return what an epoch says of the topics, so that one made anew begins another.

    What the slot has not confirmed is sent again then, and stands behind changes that are stored.
    """
    wal = ids.get(assembly.topics.wal, "")[:TOPIC_ID_LENGTH]
    if settings.confirm_after == "kafka":
        return wal
    # While there is none, whichever is made will be new to all that was sent before.
    changes = ids.get(assembly.topics.changes) or uuid.uuid4().hex
    return wal + changes[:TOPIC_ID_LENGTH]


def _take_snapshot(
    settings: ProducerSettings,
    assembly: Assembly,
    prepared: PreparedSource,
    store: OffsetStore,
    ensure_table: Callable[[str], None],
    stopping: threading.Event,
) -> None:
    # Here, because what reads tables is a fifth of the start without it.
    from producer.initial_snapshot import take_initial_snapshot

    if not take_initial_snapshot(settings, assembly, prepared, store, ensure_table, stopping):
        raise StopRequested
