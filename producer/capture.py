"""Capture changes: read, decode, make events, publish, confirm. Edge: joins the parts.

One thread does it all, so the order of the WAL is the order of everything. It never waits
without reporting to the server: a full Kafka queue stops the reading, not the reports.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import psycopg
from confluent_kafka.admin import AdminClient
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential_jitter,
)

from producer import pgoutput
from producer.catalog import Catalog
from producer.change_events import ChangeEvents, Output, Record
from producer.errors import MalformedMessage, from_psycopg
from producer.kafka_publisher import KafkaPublisher
from producer.progress import InFlight, Progress
from producer.relations import RowEncoder
from producer.replication_slot import prepare_source
from producer.replication_stream import Keepalive, ReplicationStream, XLogData
from producer.settings import ProducerSettings
from runtime.errors import Retry
from runtime.kafka_topics import (
    TopicSpec,
    ensure_topics,
    is_empty,
    partition_count,
)
from schemas.change_id import Epoch, Lsn, format_lsn
from schemas.topics import HEARTBEAT_PREFIX, Topics

READ_SECONDS = 0.1
REPORT_SECONDS = 1.0
FLUSH_SECONDS = 10.0
PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0

log = logging.getLogger(__name__)


class _StopRequested(Exception):
    """The process is asked to end while it waits for Kafka."""


def capture(settings: ProducerSettings, stopping: threading.Event) -> None:
    """Capture until asked to stop; what can heal is tried again for ever."""
    confirmed: tuple[Epoch, Lsn] | None = None
    while not stopping.is_set():
        session = _open_with_backoff(settings, stopping, confirmed)
        if session is None:
            return
        try:
            session.run()
        except Retry as error:
            log.warning("capture interrupted, trying again: %s", error)
            stopping.wait(PAUSE_SECONDS)
        finally:
            confirmed = session.close()


def _open_with_backoff(
    settings: ProducerSettings, stopping: threading.Event, confirmed: tuple[Epoch, Lsn] | None
) -> CaptureSession | None:
    def note(state: RetryCallState) -> None:
        if state.outcome is not None:
            log.warning("cannot capture yet, trying again: %s", state.outcome.exception())

    attempts = Retrying(
        retry=retry_if_exception_type(Retry),
        wait=wait_exponential_jitter(initial=PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
        stop=stop_when_event_set(stopping),
        sleep=sleep_using_event(stopping),
        before_sleep=note,
        retry_error_callback=lambda _state: None,
    )
    session: CaptureSession | None = attempts(CaptureSession, settings, stopping, confirmed)
    return session


class CaptureSession:
    """One stretch of capturing over one replication connection and one Kafka client."""

    def __init__(
        self,
        settings: ProducerSettings,
        stopping: threading.Event,
        confirmed: tuple[Epoch, Lsn] | None = None,
    ) -> None:
        """Prepare server and topics, and begin to read where the last session was safe."""
        self._settings = settings
        self._stopping = stopping
        self._topics = Topics(settings.topic_prefix)
        self._known_topics: set[str] = set()
        self._admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
        existing_partitions = partition_count(self._admin, self._topics.wal)
        self._sql = self._connect()
        self._catalog = Catalog(self._sql)
        self._stream = ReplicationStream.connect(self._connection_parameters("stream"))
        try:
            slot_lsn = prepare_source(
                self._sql,
                settings.slot_name,
                settings.publication_name,
                may_create_slot=settings.accept_gap or self._wal_is_empty(existing_partitions),
            )
            system = self._stream.identify()
            wal_partitions = self._ensure_own_topics(existing_partitions)
            self._epoch = Epoch(
                system.system_identifier,
                system.timeline,
                wal_partitions,
                settings.slot_name,
                system.database,
            )
            at = slot_lsn
            if confirmed is not None and confirmed[0] == self._epoch:
                at = max(at, confirmed[1])
            self._events = ChangeEvents(
                self._topics,
                self._epoch,
                Output(
                    tables=settings.publish_tables,
                    wal=settings.publish_wal,
                    tombstones=settings.tombstones_on_delete,
                    transaction_metadata=settings.transaction_metadata,
                ),
            )
            self._progress = Progress(at)
            self._publisher = KafkaPublisher(
                settings.kafka_bootstrap_servers,
                max_message_bytes=settings.kafka_max_message_bytes,
                linger_ms=settings.linger_ms,
                compression_type=settings.compression_type,
                while_waiting=self._keep_alive,
            )
            self._stream.start(settings.slot_name, settings.publication_name, at)
        except BaseException:
            self._stream.close()
            self._sql.close()
            raise
        self._transaction: InFlight | None = None
        self._reported_lsn = at
        self._reported_at = self._heartbeat_at = time.monotonic()
        log.info("reading slot %s from %s", settings.slot_name, format_lsn(at))
        log.info("ready")

    def run(self) -> None:
        """Capture until asked to stop; raises Retry or Stop when it cannot go on."""
        read = self._stream.read
        try:
            while not self._stopping.is_set():
                reply_requested = False
                messages = read(READ_SECONDS)
                # What Debezium calls the processing time: these have come together.
                now_us = time.time_ns() // 1000
                for message in messages:
                    if message.__class__ is XLogData:
                        self._take(message, now_us)
                    elif isinstance(message, Keepalive):
                        self._progress.idle(message.wal_end)
                        reply_requested |= message.reply_requested
                self._publisher.poll(0)
                self._report(now=reply_requested)
                self._emit_heartbeat()
            self._publisher.flush(FLUSH_SECONDS)
        except _StopRequested:
            log.warning("stopping while Kafka does not take records; they will be sent again")

    def close(self) -> tuple[Epoch, Lsn]:
        """Report the last progress, let go of server and slot; return what is safe."""
        try:
            if not self._stopping.is_set():
                self._publisher.flush(FLUSH_SECONDS)
            self._report(now=True)
        except Retry as error:
            log.info("could not report the last progress: %s", error)
        finally:
            self._publisher.close()
            self._stream.close()
            self._sql.close()
        return self._epoch, self._progress.confirmable_lsn()

    def _take(self, data: XLogData, now_us: int) -> None:
        """Publish what one message of the stream says."""
        message = pgoutput.decode(data.payload)
        lsn = data.wal_start
        kind = message.__class__
        if kind is pgoutput.Insert:
            records = self._events.insert(message, lsn, now_us)  # type: ignore[arg-type]
        elif kind is pgoutput.Update:
            records = self._events.update(message, lsn, now_us)  # type: ignore[arg-type]
        elif kind is pgoutput.Delete:
            records = self._events.delete(message, lsn, now_us)  # type: ignore[arg-type]
        elif isinstance(message, pgoutput.Begin):
            self._transaction = self._progress.begin()
            self._events.begin(message, lsn)
            return
        elif isinstance(message, pgoutput.Commit):
            records = self._events.commit(message, lsn)
            transaction = self._in_flight()
            self._publish(records, transaction)
            self._progress.commit(transaction, message.end_lsn)
            self._transaction = None
            return
        elif isinstance(message, pgoutput.LogicalMessage):
            records = self._events.message(message, lsn, now_us)
            if not message.transactional:
                self._publish_alone(records)
                return
        elif isinstance(message, pgoutput.Truncate):
            records = self._events.truncate(message, lsn, now_us)
        elif isinstance(message, pgoutput.Relation):
            self._describe(message)
            return
        else:
            return  # Origin and Type: nothing is published of them.
        self._publish(records, self._in_flight())

    def _in_flight(self) -> InFlight:
        if self._transaction is None:
            raise MalformedMessage("the server sent a change outside of any transaction")
        return self._transaction

    def _publish(self, records: list[Record], transaction: InFlight) -> None:
        if records:
            self._publisher.publish(records, transaction)

    def _publish_alone(self, records: list[Record]) -> None:
        """Publish what belongs to no transaction; later ones wait for it to be confirmed."""
        alone = self._progress.begin()
        self._publish(records, alone)
        self._progress.commit(alone, Lsn(0))

    def _describe(self, message: pgoutput.Relation) -> None:
        relation = RowEncoder(message, self._catalog.facts(message))
        topic = self._events.topic_of(relation)
        if (
            self._settings.publish_tables
            and not relation.is_own
            and topic not in self._known_topics
        ):
            ensure_topics(self._admin, [self._topic(topic)])
            self._known_topics.add(topic)
        if relation.is_own:
            log.info("not capturing %s.%s: it is the sink's", message.pg_schema, message.table)
        self._events.describe(relation)

    def _report(self, *, now: bool = False) -> None:
        since = time.monotonic() - self._reported_at
        confirmable = self._progress.confirmable_lsn()
        advanced = confirmable > self._reported_lsn
        if (
            now
            or (advanced and since >= REPORT_SECONDS)
            or since >= self._settings.status_interval_seconds
        ):
            self._stream.report(confirmable)
            self._reported_lsn = confirmable
            self._reported_at = time.monotonic()

    def _keep_alive(self) -> None:
        if self._stopping.is_set():
            raise _StopRequested
        self._report()

    def _emit_heartbeat(self) -> None:
        """Write to the WAL, so that the slot moves on where the database is idle."""
        interval = self._settings.heartbeat_interval_seconds
        if not interval or time.monotonic() - self._heartbeat_at < interval:
            return
        self._heartbeat_at = time.monotonic()
        try:
            self._sql.execute(
                "SELECT pg_logical_emit_message(true, %s, '') WHERE NOT pg_is_in_recovery()",
                [HEARTBEAT_PREFIX],
            )
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def _connection_parameters(self, purpose: str) -> dict[str, Any]:
        settings = self._settings
        return {
            "host": settings.db_host,
            "port": settings.db_port,
            "dbname": settings.db_name,
            "user": settings.db_user,
            "password": settings.db_password.get_secret_value() or None,
            "sslmode": settings.db_sslmode,
            "application_name": f"bemi-producer {purpose}",
            "client_encoding": "UTF8",
            "connect_timeout": 10,
            "keepalives_idle": 30,
        }

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            return psycopg.connect(
                **self._connection_parameters("catalog"),
                # A heartbeat must not wait for a synchronous standby.
                options="-c synchronous_commit=off",
                autocommit=True,
            )
        except psycopg.Error as error:
            raise from_psycopg(error) from error

    def _wal_is_empty(self, partitions: int | None) -> bool:
        if not partitions:
            return True
        return is_empty(self._admin, self._topics.wal, partitions)

    def _ensure_own_topics(self, existing_partitions: int | None) -> int:
        """Make the topics that every pipeline has; return how many partitions `.wal` has."""
        settings = self._settings
        if existing_partitions not in (None, settings.wal_partitions):
            log.warning(
                "topic %s has %s partitions, made so; BEMI_PRODUCER_WAL_PARTITIONS=%s is not used",
                self._topics.wal,
                existing_partitions,
                settings.wal_partitions,
            )
        wanted = []
        if settings.publish_tables:
            wanted += [
                self._topic(name)
                for name in (self._topics.message, self._topics.transaction, self._topics.heartbeat)
            ]
        if settings.publish_wal:
            # Kept until somebody decides otherwise: what is deleted unread is lost.
            config = {"retention.ms": "-1"}
            wanted.append(self._topic(self._topics.wal, settings.wal_partitions, config))
        ensure_topics(self._admin, wanted)
        return existing_partitions or settings.wal_partitions

    def _topic(
        self, name: str, partitions: int = -1, config: dict[str, str] | None = None
    ) -> TopicSpec:
        limit = {"max.message.bytes": str(self._settings.kafka_max_message_bytes)}
        return TopicSpec(name, partitions, {**limit, **(config or {})})
