"""Capture changes: read, decode, make events, publish, confirm. Edge: joins the parts.

One thread does it all, so the order of the WAL is the order of everything. It never waits
without reporting to the server: a full Kafka queue stops the reading, not the reports.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential_jitter,
)
from tenacity.stop import stop_base

from producer import pgoutput
from producer.assembly import assemble
from producer.catalog import Catalog
from producer.change_events import ChangeEvents, Record
from producer.connections import (
    MILLISECONDS,
    avro_serializer,
    connect_sql,
    connect_stream,
    kafka_client,
    wanted_source,
)
from producer.errors import MalformedMessage, SlotInUse, from_psycopg
from producer.gaps import GAP_PREFIX
from producer.kafka_publisher import KafkaPublisher
from producer.offset_store import OffsetStore, OffsetWriter, offset_key, publication_key
from producer.progress import InFlight, Progress
from producer.replication_slot import drop_slot, slot_xmin
from producer.replication_stream import (
    PAYLOAD_AT,
    XLOG_DATA,
    keepalive,
    position_of,
)
from producer.settings import ProducerSettings
from producer.snapshot.state import SnapshotStore, Status, Step
from producer.source import PreparedSource, prepare_source
from runtime.errors import Retry, Stop
from runtime.kafka_topics import admin_client, ensure_topics, is_empty, partition_count
from schemas.change_id import Epoch, Lsn, format_lsn
from schemas.topics import HEARTBEAT_PREFIX

if TYPE_CHECKING:
    from producer.snapshot.stream_follower import StreamFollower

READ_SECONDS = 0.1
BUSY_READ_SECONDS = 0.005  # While tables are read beside the stream.
REPORT_SECONDS = 1.0
DRAIN_SECONDS = 1.0  # Longest time until what was published is known to be acknowledged.
FLUSH_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 10.0

_ROWS = frozenset(b"IUD")
_SOURCE = {"source"}  # The channel of signals that is the table signal.data.collection.

log = logging.getLogger(__name__)


class _StopRequested(Exception):
    """The process is asked to end while it waits."""


@dataclass
class Run:
    """What outlives a session: a process captures in one session after the other."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    acknowledged: tuple[Epoch, Lsn] | None = None
    """Up to where everything is acknowledged, and of which history that is."""
    has_taken_snapshot: bool = False
    is_finished: bool = False
    """There is nothing more to do: snapshot.mode=initial_only."""


def capture(settings: ProducerSettings, stopping: threading.Event) -> None:
    """Capture until asked to stop; what can heal is tried again for ever."""
    run = Run()
    pause_seconds = settings.retriable_restart_connector_wait_ms / MILLISECONDS
    while not stopping.is_set():
        session = _open_with_backoff(settings, stopping, run)
        if session is None or run.is_finished:
            return
        try:
            session.run()
        except Retry as error:
            log.warning("capture interrupted, trying again: %s", error)
            stopping.wait(pause_seconds)
        finally:
            run.acknowledged = session.close()


def _open_with_backoff(
    settings: ProducerSettings, stopping: threading.Event, run: Run
) -> CaptureSession | None:
    def note(state: RetryCallState) -> None:
        if state.outcome is not None:
            log.warning("cannot capture yet, trying again: %s", state.outcome.exception())

    def give_up(state: RetryCallState) -> None:
        if not stopping.is_set() and state.outcome is not None:
            raise Stop(
                f"gave up after {state.attempt_number} attempts (errors.max.retries, "
                "slot.max.retries): "
                f"{state.outcome.exception()}"
            )

    stop: Any = stop_when_event_set(stopping)
    if settings.errors_max_retries >= 0:
        stop = stop_any(stop, stop_after_attempt(settings.errors_max_retries + 1))
    if settings.slot_max_retries >= 0:
        stop = stop_any(stop, _SlotWaits(settings.slot_max_retries))
    attempts = Retrying(
        retry=retry_if_exception_type(Retry),
        wait=_wait(settings),
        stop=stop,
        sleep=sleep_using_event(stopping),
        before_sleep=note,
        retry_error_callback=give_up,
    )
    try:
        session: CaptureSession | None = attempts(CaptureSession, settings, stopping, run)
    except _StopRequested:
        return None
    return session


class _SlotWaits(stop_base):
    """Gives up when another reader has held the slot at so many attempts in a row."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen = 0

    def __call__(self, state: RetryCallState) -> bool:
        """Tell whether to stop trying."""
        error = None if state.outcome is None else state.outcome.exception()
        self._seen = self._seen + 1 if isinstance(error, SlotInUse) else 0
        return self._seen > self._most


def _wait(settings: ProducerSettings) -> Callable[[RetryCallState], float]:
    usual = wait_exponential_jitter(
        initial=settings.retriable_restart_connector_wait_ms / MILLISECONDS,
        max=LONGEST_PAUSE_SECONDS,
    )

    def wait(state: RetryCallState) -> float:
        error = None if state.outcome is None else state.outcome.exception()
        if isinstance(error, SlotInUse) and settings.slot_max_retries >= 0:
            return settings.slot_retry_delay_ms / MILLISECONDS
        return usual(state)

    return wait


class CaptureSession:
    """One stretch of capturing over one replication connection and one Kafka client."""

    def __init__(self, settings: ProducerSettings, stopping: threading.Event, run: Run) -> None:
        """Prepare server and topics, and begin to read where everything before is safe."""
        self._settings = settings
        self._stopping = stopping
        self._run = run
        self._assembly = assemble(
            settings, settings.db_name, run.id, lambda: avro_serializer(settings)
        )
        self._topics = self._assembly.topics
        self._known_topics: set[str] = set()
        self._admin = admin_client(kafka_client(settings))
        self._store: OffsetStore | None = None
        self._follower: StreamFollower | None = None
        existing_partitions = partition_count(self._admin, self._topics.wal)
        self._sql = connect_sql(settings)
        try:
            self._stream = connect_stream(settings)
        except BaseException:
            self._sql.close()
            raise
        try:
            may_lose = settings.snapshot_mode == "when_needed" and not self._is_readable()
            prepared = prepare_source(
                self._sql,
                self._stream,
                functools.partial(self._open_store, is_readable=not may_lose),
                # What is missing then comes by the snapshot.
                wanted_source(settings, self._assembly, accept_gap=settings.accept_gap or may_lose),
                captured_before=not self._wal_is_empty(existing_partitions),
                while_waiting=self._raise_if_stopping,
            )
            wal_partitions = self._ensure_own_topics(existing_partitions)
            self._take_snapshot(prepared)
            self._begin(prepared, wal_partitions)
        except BaseException:
            self._close_connections()
            raise
        log.info("ready")

    # What reads tables is imported where it is wanted: it is a fifth of the start otherwise.

    def _is_readable(self) -> bool:
        from producer.initial_snapshot import is_readable

        with closing(OffsetStore.open(kafka_client(self._settings), self._offsets_topic)) as store:
            return is_readable(self._sql, store, self._settings.slot_name)

    def _take_snapshot(self, prepared: PreparedSource) -> None:
        settings, run = self._settings, self._run
        assert self._store is not None  # noqa: S101 - preparing the source has opened it.
        if self._step is Step.TAKE:
            from producer.initial_snapshot import take_initial_snapshot

            is_complete = take_initial_snapshot(
                settings,
                self._assembly,
                prepared,
                self._store,
                self._ensure_table_topic,
                self._stopping,
            )
            if not is_complete:
                raise _StopRequested
            run.has_taken_snapshot = True
        if settings.snapshot_mode == "initial_only":
            run.is_finished = True
            log.info("the snapshot is complete; snapshot.mode=initial_only wants no more")
            raise _StopRequested

    def _begin(self, prepared: PreparedSource, wal_partitions: int) -> None:
        settings = self._settings
        server = prepared.server
        self._epoch = Epoch(
            server.system_identifier,
            server.timeline,
            wal_partitions,
            settings.slot_name,
            server.database,
        )
        at = prepared.offset.lsn
        acknowledged = self._run.acknowledged
        if acknowledged is not None and acknowledged[0] == self._epoch:
            at = max(at, acknowledged[1])
        assembly = self._assembly
        self._events = ChangeEvents(
            self._topics, self._epoch, assembly.output, assembly.tables, assembly.wal
        )
        self._catalog = Catalog(self._sql, takes_partial_keys=settings.debezium_values)
        self._is_standby = server.is_standby
        self._progress = Progress(at)
        assert self._store is not None  # noqa: S101 - preparing the source has opened it.
        self._offsets = OffsetWriter(
            self._store,
            prepared.offset,
            prepared.watch.check,
            settings.offset_flush_interval_ms / MILLISECONDS,
        )
        self._publisher = KafkaPublisher(
            kafka_client(settings) | settings.kafka_properties,
            max_message_bytes=settings.kafka_max_message_bytes,
            queue_bytes=settings.max_queue_size_in_bytes,
            linger_ms=settings.linger_ms,
            compression_type=settings.compression_type,
            while_waiting=self._keep_alive,
        )
        self._transaction: InFlight | None = None
        self._records: list[Record] = []
        self._follower = self._follow()
        self._stream.start(settings.slot_name, settings.publication_name, at)
        self._reported_lsn = self._offsets.confirmable_lsn
        self._reported_at = self._heartbeat_at = time.monotonic()
        self._drained_at = self._reported_at
        self._xmin_at = float("-inf")
        log.info("reading slot %s from %s", settings.slot_name, format_lsn(at))
        for content in prepared.unrecorded_gaps:
            gap = pgoutput.LogicalMessage(False, at, GAP_PREFIX, content)
            self._publish_alone(self._events.message(gap, at, time.time_ns() // 1000))

    def _follow(self) -> StreamFollower | None:
        settings = self._settings
        if not (settings.signal_data_collection or set(settings.signal_enabled_channels) - _SOURCE):
            return None
        from producer.incremental_snapshot import stream_follower

        assert self._store is not None  # noqa: S101 - preparing the source has opened it.
        return stream_follower(settings, self._assembly, self._store, self._ensure_table_topic)

    def run(self) -> None:
        """Capture until asked to stop; raises Retry or Stop when it cannot go on."""
        try:
            while not self._stopping.is_set():
                follower = self._follower
                is_busy = follower is not None and follower.is_busy
                messages = self._stream.read(
                    BUSY_READ_SECONDS if is_busy else READ_SECONDS,
                    before_waiting=self._publisher.hurry,
                )
                # What Debezium calls the processing time: these have come together.
                reply_requested = self._take(messages, time.time_ns() // 1000)
                self._publisher.poll(0)
                self._acknowledge()
                if follower is not None:
                    follower.on_idle(time.monotonic())
                    # An idle stream may stand where the rows just read may be published.
                    self._publish_read_rows(Lsn(0))
                self._report(now=reply_requested)
                self._emit_heartbeat()
                self._fetch_xmin()
            if self._publisher.flush(FLUSH_SECONDS):
                self._progress.acknowledge()
        except _StopRequested:
            log.warning("stopping while Kafka does not take records; they will be sent again")

    def close(self) -> tuple[Epoch, Lsn]:
        """Store and report the last progress, let go of server and slot; return what is safe."""
        settings = self._settings
        try:
            if not self._stopping.is_set() and self._publisher.flush(FLUSH_SECONDS):
                self._progress.acknowledge()
            self._offsets.finish(self._progress.confirmable_lsn(), FLUSH_SECONDS)
            self._report(now=True)
        except Retry as error:
            log.info("could not report the last progress: %s", error)
        finally:
            self._publisher.close()
            self._stream.close()
        if settings.slot_drop_on_stop and self._stopping.is_set():
            self._drop_slot()
        self._close_connections()
        return self._epoch, self._progress.confirmable_lsn()

    def _take(self, messages: list[bytes], now_us: int) -> bool:
        """Publish what the messages say; return whether the server wants an answer."""
        reply_requested = False
        row = self._events.row
        records = self._records
        follower = self._follower
        is_followed = follower is not None and follower.is_listening
        for data in messages:
            if data[0] != XLOG_DATA or len(data) <= PAYLOAD_AT:
                alive = keepalive(data)
                if self._settings.lsn_flush_mode == "connector_and_driver":
                    self._progress.idle(alive.wal_end)
                reply_requested |= alive.reply_requested
                self._publish_read_rows(alive.wal_end)
                continue
            kind = data[PAYLOAD_AT]
            if kind in _ROWS:
                made = row(data, PAYLOAD_AT, position_of(data), now_us)
                if is_followed:
                    follower.row(data, PAYLOAD_AT, made)  # type: ignore[union-attr]
                records += made
            else:
                self._take_other(data, now_us)
        if records:
            self._publish()
        return reply_requested

    def _take_other(self, data: bytes, now_us: int) -> None:
        """Take what is no row: what surrounds and describes the rows."""
        message = pgoutput.decode(data[PAYLOAD_AT:])
        lsn = position_of(data)
        events = self._events
        if isinstance(message, pgoutput.Begin):
            self._transaction = self._progress.begin()
            events.begin(message, lsn)
            if self._follower is not None:
                self._follower.begin(message.xid)
        elif isinstance(message, pgoutput.Commit):
            self._records += events.commit(message, lsn)
            self._publish()
            self._progress.commit(self._in_flight(), message.end_lsn)
            self._transaction = None
            self._publish_read_rows(message.end_lsn)
        elif isinstance(message, pgoutput.LogicalMessage):
            records = events.message(message, lsn, now_us)
            if message.transactional:
                self._records += records
            else:
                self._publish_alone(records)
        elif isinstance(message, pgoutput.Truncate):
            self._records += events.truncate(message, lsn, now_us)
            if self._follower is not None:
                self._follower.truncate(message.relation_oids)
        elif isinstance(message, pgoutput.Relation):
            self._describe(message)
        elif isinstance(message, pgoutput.Origin):
            events.origin(message)

    def _in_flight(self) -> InFlight:
        if self._transaction is None:
            raise MalformedMessage("the server sent a change outside of any transaction")
        return self._transaction

    def _publish(self) -> None:
        """Hand over what has been made of the transaction that is being read."""
        if self._records:
            self._publisher.publish(self._records, self._in_flight())
            self._records.clear()

    def _publish_read_rows(self, reached: Lsn) -> None:
        """Publish the rows, read beside the stream, whose turn it is where the stream stands."""
        if self._follower is None or self._transaction is not None:
            return
        records = self._follower.reached(reached)
        if records:
            alone = self._progress.begin()
            self._publisher.publish(records, alone)
            self._progress.commit(alone, Lsn(0))
            self._follower.published(alone)

    def _publish_alone(self, records: list[Record]) -> None:
        """Publish what belongs to no transaction; later ones wait for it to be confirmed."""
        if records:
            alone = self._progress.begin()
            self._publisher.publish(records, alone)
            self._progress.commit(alone, Lsn(0))

    def _describe(self, message: pgoutput.Relation) -> None:
        assembly = self._assembly
        if self._follower is not None:
            self._follower.relation(message)
        # Debezium has no events of rows without columns.
        is_empty = self._settings.debezium_values and not message.columns
        if is_empty or not assembly.filters.captures_table(message.pg_schema, message.table):
            self._events.ignore(message.oid)
            return
        shape, wal_shape = assembly.shapes(message, self._catalog.facts(message))
        topic = self._topics.table(shape.pg_schema, shape.table)
        if shape.is_own:
            log.info("not capturing %s.%s: it is the sink's", shape.pg_schema, shape.table)
        elif self._settings.publish_tables:
            self._ensure_table_topic(topic)
        self._events.describe(shape, wal_shape)

    def _ensure_table_topic(self, topic: str) -> None:
        if topic not in self._known_topics:
            ensure_topics(self._admin, [self._assembly.topic_specs.of(topic)])
            self._known_topics.add(topic)

    def _acknowledge(self) -> None:
        """Take note of what Kafka has acknowledged: everything, whenever nothing is left.

        While more comes than goes that is never so by itself: then reading pauses for it.
        """
        clock = time.monotonic()
        if not self._publisher.is_empty:
            if clock - self._drained_at < DRAIN_SECONDS:
                return
            self._publisher.drain()
        self._progress.acknowledge()
        self._drained_at = time.monotonic()

    def _report(self, *, now: bool = False) -> None:
        """Write the position down as it moves, and tell the server what is written."""
        clock = time.monotonic()
        self._offsets.advance(self._progress.confirmable_lsn(), clock)
        if self._settings.lsn_flush_mode == "manual":
            confirmable = self._reported_lsn
        else:
            confirmable = self._offsets.confirmable_lsn
        since = clock - self._reported_at
        if (
            now
            or (confirmable > self._reported_lsn and since >= REPORT_SECONDS)
            or since >= self._settings.status_update_interval_ms / MILLISECONDS
        ):
            self._stream.report(confirmable)
            self._reported_lsn = confirmable
            self._reported_at = clock

    def _keep_alive(self) -> None:
        self._raise_if_stopping()
        self._report()

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise _StopRequested

    def _emit_heartbeat(self) -> None:
        """Write to the WAL, so that the slot moves on where the database is idle."""
        interval = self._settings.heartbeat_interval_ms / MILLISECONDS
        if not interval or time.monotonic() - self._heartbeat_at < interval:
            return
        self._heartbeat_at = time.monotonic()
        if self._is_standby:
            self._publish_alone(self._events.heartbeat(time.time_ns() // 1000))
            return
        try:
            self._sql.execute("SELECT pg_logical_emit_message(true, %s, '')", [HEARTBEAT_PREFIX])
            if self._settings.heartbeat_action_query:
                self._sql.execute(self._settings.heartbeat_action_query.encode())
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def _fetch_xmin(self) -> None:
        """Look which transactions the slot still needs, for the source blocks."""
        interval = self._settings.xmin_fetch_interval_ms / MILLISECONDS
        if not interval or time.monotonic() - self._xmin_at < interval:
            return
        self._xmin_at = time.monotonic()
        try:
            self._events.xmin = slot_xmin(self._sql, self._settings.slot_name)
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def _open_store(self, *, is_readable: bool) -> OffsetStore:
        settings = self._settings
        self._store = OffsetStore.open(kafka_client(settings), self._offsets_topic)
        snapshots = SnapshotStore(self._store, settings.slot_name)
        self._step = Step.STREAM
        is_taken = self._run.has_taken_snapshot and snapshots.status is Status.DONE
        if settings.publish_tables and not is_taken:
            self._step = snapshots.decide(settings.snapshot_mode, is_readable=is_readable)
        return self._store

    @property
    def _offsets_topic(self) -> str:
        return self._topics.producer_offsets

    def _drop_slot(self) -> None:
        """Forget everything, as slot.drop.on.stop wants it."""
        name = self._settings.slot_name
        drop_slot(self._sql, name)
        if self._store is not None:
            self._store.delete(offset_key(name))
            self._store.delete(publication_key(name))
            self._store.flush(FLUSH_SECONDS)
        log.info("dropped replication slot %s", name)

    def _close_connections(self) -> None:
        if self._follower is not None:
            self._follower.close()
        if self._store is not None:
            self._store.close()
        self._stream.close()
        self._sql.close()

    def _wal_is_empty(self, partitions: int | None) -> bool:
        if not partitions:
            return True
        return is_empty(self._admin, self._topics.wal, partitions)

    def _ensure_own_topics(self, existing_partitions: int | None) -> int:
        """Make the topics that every pipeline has; return how many partitions `.wal` has."""
        settings, topics = self._settings, self._topics
        specs = self._assembly.topic_specs
        wanted = []
        if settings.publish_tables:
            names = [topics.message]
            if settings.provide_transaction_metadata:
                names.append(topics.transaction)
            if settings.heartbeat_interval_ms:
                names.append(topics.heartbeat)
            wanted += [specs.of(name) for name in names]
        if settings.publish_wal:
            if existing_partitions not in (None, settings.wal_partitions):
                log.warning(
                    "topic %s has %s partitions, made so; BEMI_PRODUCER_WAL_PARTITIONS=%s is not "
                    "used",
                    topics.wal,
                    existing_partitions,
                    settings.wal_partitions,
                )
            # Kept until somebody decides otherwise: what is deleted unread is lost.
            wanted.append(specs.of(topics.wal, settings.wal_partitions, retention_ms="-1"))
        ensure_topics(self._admin, wanted)
        return existing_partitions or settings.wal_partitions
