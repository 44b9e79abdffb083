"""Capture changes: read, decode, make events, publish, confirm. Edge: joins the parts.

One thread does it all, so the order of the WAL is the order of everything. It never waits
without reporting to the server: a full Kafka queue stops the reading, not the reports.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import psycopg

from producer import pgoutput
from producer.assembly import Assembly, assemble
from producer.catalog import Catalog
from producer.change_events import ChangeEvents
from producer.connections import MILLISECONDS, avro_serializer, kafka_client
from producer.errors import SlotInUse, from_psycopg
from producer.kafka_publisher import KafkaPublisher
from producer.metrics import ProducerMetrics
from producer.offset_store import OffsetWriter, offset_key, publication_key
from producer.opening import OpenSource, Run, open_source
from producer.pipeline_topics import PipelineTopics
from producer.progress import Progress
from producer.replication_slot import drop_slot, slot_xmin
from producer.retrying import StopRequested, until_it_opens
from producer.settings import ProducerSettings
from producer.sink_watch import SinkWatch
from producer.stream_publisher import StreamPublisher
from runtime.errors import Retry
from runtime.health import Health
from schemas.change_id import Epoch, Lsn, format_lsn, parse_lsn
from schemas.topics import GAP_PREFIX, HEARTBEAT_PREFIX

if TYPE_CHECKING:
    from producer.snapshot.stream_follower import StreamFollower

READ_SECONDS = 0.1
BUSY_READ_SECONDS = 0.005  # While tables are read beside the stream.
REPORT_SECONDS = 1.0
DRAIN_SECONDS = 1.0  # Longest time until what was published is known to be acknowledged.
FLUSH_SECONDS = 10.0

_SOURCE = {"source"}  # The channel of signals that is the table signal.data.collection.

log = logging.getLogger(__name__)


def capture(
    settings: ProducerSettings, stopping: threading.Event, metrics: ProducerMetrics, health: Health
) -> None:
    """Capture until asked to stop; what can heal is tried again for ever."""
    run = Run(metrics)

    def attempt() -> CaptureSession:
        try:
            return _open_session(settings, run, stopping)
        except SlotInUse:
            # A warm standby: ready for what it is there for.
            health.ready()
            raise
        except Retry as error:
            health.not_ready(str(error))
            metrics.failed_starts.inc()
            raise

    pause_seconds = settings.retriable_restart_connector_wait_ms / MILLISECONDS
    while not stopping.is_set():
        try:
            session = until_it_opens(attempt, settings, stopping)
        except StopRequested:
            return
        health.ready()
        try:
            session.run()
        except Retry as error:
            health.not_ready(f"interrupted: {error}")
            metrics.reconnects.inc()
            log.warning("capture interrupted, trying again: %s", error)
            stopping.wait(pause_seconds)
        finally:
            run.acknowledged = session.close()
            metrics.session_ended()


def _open_session(
    settings: ProducerSettings, run: Run, stopping: threading.Event
) -> CaptureSession:
    assembly = assemble(settings, settings.db_name, run.id, lambda: avro_serializer(settings))
    topics = PipelineTopics(settings, assembly)
    source = open_source(settings, assembly, topics, run, stopping)
    at = source.prepared.offset.lsn
    known = run.acknowledged
    if known is not None and known[0] == source.epoch and settings.confirm_after == "kafka":
        at = max(at, known[1])
    try:
        session = CaptureSession(settings, stopping, assembly, topics, source, at, run.metrics)
    except BaseException:
        source.closing.close()
        raise
    log.info("ready")
    return session


class CaptureSession:
    """One stretch of capturing over one replication connection and one Kafka client."""

    def __init__(
        self,
        settings: ProducerSettings,
        stopping: threading.Event,
        assembly: Assembly,
        topics: PipelineTopics,
        source: OpenSource,
        at: Lsn,
        metrics: ProducerMetrics,
    ) -> None:
        """Begin to read at `at`: everything before is safe."""
        self._settings = settings
        self._stopping = stopping
        self._metrics = metrics
        self._assembly = assembly
        self._topics = topics
        self._source = source
        self._stream = source.stream
        prepared = source.prepared
        self._events = ChangeEvents(
            assembly.topics, source.epoch, assembly.output, assembly.tables, assembly.wal
        )
        self._catalog = Catalog(source.sql, takes_partial_keys=settings.debezium_values)
        self._progress = Progress(at)
        self._offsets = OffsetWriter(
            source.store,
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
        self._follower = self._follow()
        self._outgoing = StreamPublisher(
            self._events,
            self._publisher.publish,
            self._progress,
            self._follower,
            self._describe,
            confirms_keepalives=settings.lsn_flush_mode == "connector_and_driver",
        )
        self._sink_watch = self._watch_sink(at)
        self._stream.start(settings.slot_name, settings.publication_name, at)
        self._reported_lsn = self._offsets.confirmable_lsn
        self._reported_at = self._heartbeat_at = time.monotonic()
        self._drained_at = self._reported_at
        self._xmin_at = float("-inf")
        log.info("reading slot %s from %s", settings.slot_name, format_lsn(at))
        for content in prepared.unrecorded_gaps:
            gap = pgoutput.LogicalMessage(False, at, GAP_PREFIX, content)
            self._outgoing.publish_alone(self._events.message(gap, at, time.time_ns() // 1000))

    def _watch_sink(self, at: Lsn) -> SinkWatch | None:
        settings, source = self._settings, self._source
        is_waited_for = settings.confirm_after == "sink"
        if not (settings.publish_wal and (is_waited_for or settings.metrics_address)):
            return None
        watch = SinkWatch(
            kafka_client(settings),
            self._assembly.topics,
            source.topic_ids,
            at,
            self._metrics,
            is_waited_for=is_waited_for,
        )
        source.closing.callback(watch.close)
        watch.start()
        return watch

    def _follow(self) -> StreamFollower | None:
        settings = self._settings
        if not (settings.signal_data_collection or set(settings.signal_enabled_channels) - _SOURCE):
            return None
        # Here, because what reads tables is a fifth of the start without it.
        from producer.incremental_snapshot import stream_follower

        source = self._source
        follower = stream_follower(
            settings, self._assembly, source.store, self._topics.ensure_table
        )
        if follower is not None:
            source.closing.callback(follower.close)
        return follower

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
                taken = self._outgoing.take(messages, time.time_ns() // 1000)
                self._metrics.read(taken, self._outgoing.committed_us)
                self._publisher.poll(0)
                self._acknowledge()
                if follower is not None:
                    follower.on_idle(time.monotonic())
                    # An idle stream may stand where the rows just read may be published.
                    self._outgoing.publish_read_rows(Lsn(0))
                self._report(now=taken.reply_requested)
                self._emit_heartbeat()
                self._fetch_xmin()
            if self._publisher.flush(FLUSH_SECONDS):
                self._progress.acknowledge()
        except StopRequested:
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
        self._source.closing.close()
        return self._source.epoch, self._progress.confirmable_lsn()

    def _describe(self, message: pgoutput.Relation) -> None:
        assembly = self._assembly
        # Debezium has no events of rows without columns.
        is_empty = self._settings.debezium_values and not message.columns
        if is_empty or not assembly.filters.captures_table(message.pg_schema, message.table):
            self._events.ignore(message.oid)
            return
        shape, wal_shape = assembly.shapes(message, self._catalog.facts(message))
        if shape.is_own:
            log.info("not capturing %s.%s: it is the sink's", shape.pg_schema, shape.table)
        elif self._settings.publish_tables:
            self._topics.ensure_table(assembly.topics.table(shape.pg_schema, shape.table))
        self._events.describe(shape, wal_shape)

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
        self._metrics.acknowledged_at.set_to_current_time()

    def _report(self, *, now: bool = False) -> None:
        """Write the position down as it moves, and tell the server what is written."""
        clock = time.monotonic()
        acknowledged = self._progress.confirmable_lsn()
        self._offsets.advance(acknowledged, clock)
        confirmable = self._offsets.confirmable_lsn
        watch = self._sink_watch
        if watch is not None:
            watch.acknowledged = acknowledged
            if self._settings.confirm_after == "sink":
                confirmable = min(confirmable, watch.stored_lsn)
        if self._settings.lsn_flush_mode == "manual":
            confirmable = self._reported_lsn
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
        if self._stopping.is_set():
            raise StopRequested
        self._report()

    def _emit_heartbeat(self) -> None:
        """Write to the WAL, so that the slot moves on where the database is idle."""
        interval = self._settings.heartbeat_interval_ms / MILLISECONDS
        if not interval or time.monotonic() - self._heartbeat_at < interval:
            return
        self._heartbeat_at = time.monotonic()
        if self._source.prepared.server.is_standby:
            self._outgoing.publish_alone(self._events.heartbeat(time.time_ns() // 1000))
            return
        try:
            sql = self._source.sql
            emitted = sql.execute(
                "SELECT pg_logical_emit_message(true, %s, '')::text", [HEARTBEAT_PREFIX]
            ).fetchone()
            self._metrics.heartbeat_sent()
            if self._sink_watch is not None and emitted is not None:
                self._sink_watch.heartbeat_sent(parse_lsn(emitted[0]))
            if self._settings.heartbeat_action_query:
                sql.execute(self._settings.heartbeat_action_query.encode())
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def _fetch_xmin(self) -> None:
        """Look which transactions the slot still needs, for the source blocks."""
        interval = self._settings.xmin_fetch_interval_ms / MILLISECONDS
        if not interval or time.monotonic() - self._xmin_at < interval:
            return
        self._xmin_at = time.monotonic()
        try:
            self._events.xmin = slot_xmin(self._source.sql, self._settings.slot_name)
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def _drop_slot(self) -> None:
        """Forget everything, as slot.drop.on.stop wants it."""
        name, store = self._settings.slot_name, self._source.store
        drop_slot(self._source.sql, name)
        store.delete(offset_key(name))
        store.delete(publication_key(name))
        store.flush(FLUSH_SECONDS)
        log.info("dropped replication slot %s", name)
