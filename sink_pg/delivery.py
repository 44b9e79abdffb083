"""Carry records from Kafka to PostgreSQL until told to stop. Edge: the sink's loop.

    read -> batch -> store -> note progress
      ^                          |
      '---- position at the watermarks, after every assignment and every failure

While one batch is stored, by another thread, the next is read and made into rows: PostgreSQL and
Python work at the same time. One batch is under way at most, and whatever looks at watermarks
waits for it first. Until it is stored the next one grows, whatever its age: where PostgreSQL is
what limits, batches are large.

There is one way out of every failure that heals: forget the batch, wait (and keep polling,
so that the partitions are kept), read the watermarks, go on from them. It is right after a
lost connection, an unanswered COMMIT and another sink's write alike, because the watermark
alone says what is stored.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from tenacity import RetryCallState

from runtime.errors import Retry
from runtime.health import Health
from runtime.retrying import log_retry, retrying
from sink_pg.batch import Batch, BatchLimits
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.errors import TopicMadeAnew
from sink_pg.kafka_reader import KafkaReader
from sink_pg.metrics import SinkMetrics
from sink_pg.pg_writer import PgWriter, Stored
from sink_pg.upkeep import Upkeep
from sink_pg.watermark import Watermark

POLL_SECONDS = 0.5
STORING_POLL_SECONDS = 0.005
"""How long reading waits for more before it looks whether the batch under way is stored."""

log = logging.getLogger(__name__)


def apply_migrations(writer: PgWriter, is_adopting: bool, stopping: Event) -> None:
    """Make or update the tables, waiting for the database where it does not answer."""
    try:
        retrying(stopping)(writer.migrate, is_adopting)
    finally:
        writer.close()


class Delivery:
    """The loop over one reader and one writer; it closes them and the upkeep in the end."""

    def __init__(
        self,
        reader: KafkaReader,
        writer: PgWriter,
        upkeep: Upkeep,
        erasures: ErasureTopic,
        limits: BatchLimits,
        stopping: Event,
        metrics: SinkMetrics,
        health: Health,
        *,
        may_begin_anew: bool = False,
    ) -> None:
        """`may_begin_anew` says that the source keeps everything until it is stored."""
        self._may_begin_anew = may_begin_anew
        self._metrics = metrics
        self._health = health
        self._reader = reader
        self._upkeep = upkeep
        self._erasures = erasures
        self._writer = writer
        self._limits = limits
        self._stopping = stopping
        self._batch = Batch(limits, {})
        self._storer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._under_way: tuple[Batch, Future[Stored]] | None = None
        self._has_joined = False
        self._is_ready = False

    def run(self) -> None:
        """Deliver until the event is set; what was read and not stored then is read again."""
        patiently = retrying(self._stopping, self._keep_polling, self._start_over)
        try:
            patiently(self._writer.migrate)
            if not self._stopping.is_set():
                self._upkeep.start()
            while not self._stopping.is_set() and not self._has_joined:
                patiently(self._join)
            while not self._stopping.is_set():
                patiently(self._deliver)
            patiently(self._finish_storing)
        finally:
            self._storer.shutdown()
            self._upkeep.close()
            self._reader.close()
            self._writer.close()

    def _join(self) -> None:
        is_first_try = True
        while not self._reader.join():
            if is_first_try:
                log.info("waiting for the topic of changes; the stitcher makes it")
                is_first_try = False
            if self._stopping.wait(POLL_SECONDS):
                return
        self._has_joined = True

    def _deliver(self) -> None:
        """Do one round: position if needed, read what is there, store if there is enough."""
        if self._under_way is not None and self._under_way[1].done():
            self._finish_storing()
        if self._reader.assigned is not None and not self._reader.is_positioned:
            self._position(self._reader.assigned)
        now = time.monotonic()
        seconds = self._batch.seconds_left(now, when_empty=POLL_SECONDS)
        if self._under_way is not None:
            seconds = max(seconds, STORING_POLL_SECONDS)
        records = self._reader.read(
            self._batch.room, seconds, is_gathering=not self._batch.is_empty
        )
        if not self._reader.is_positioned:
            return
        now = time.monotonic()
        self._batch.add(records, now)
        if self._batch.is_full(now) and (self._under_way is None or self._batch.is_at_limit):
            self._store()

    def _position(self, assigned: frozenset[int]) -> None:
        self._finish_storing()
        self._writer.load_erasures(self._erasures)
        topic_id = self._reader.ask_topic_id()
        watermarks = self._of_topic(topic_id, self._writer.watermarks(assigned))
        self._reader.position(
            {partition: mark.next_offset for partition, mark in watermarks.items()}, topic_id
        )
        self._batch = Batch(self._limits, watermarks, topic_id)
        self._metrics.partitions.set(len(assigned))
        self._health.ready()
        if not self._is_ready:
            self._is_ready = True
            log.info("ready")

    def _of_topic(self, topic_id: str, watermarks: dict[int, Watermark]) -> dict[int, Watermark]:
        """Return the watermarks in the topic that is there now, at 0 where they were of another.

        Raises TopicMadeAnew where what the former one had, and was not stored, may be missing.
        """
        former = {
            partition: mark
            for partition, mark in watermarks.items()
            if mark.is_of_another(topic_id)
        }
        if not former:
            return watermarks
        if not self._may_begin_anew:
            raise TopicMadeAnew.of(self._reader.topic, former, topic_id)
        begun = self._writer.begin_anew(topic_id, former)
        log.warning(
            "topic %s was made anew: reading partitions %s from their beginning; the producer "
            "sends again what was not stored, and what was is not stored twice",
            self._reader.topic,
            sorted(begun),
        )
        return {**watermarks, **begun}

    def _store(self) -> None:
        self._finish_storing()
        batch = self._batch
        if batch.begins_epoch:
            # Asked after the records were read, so it is the topic that they are of.
            self._reader.check_topic()
        self._upkeep.cover(batch.commit_days())
        self._under_way = batch, self._storer.submit(self._metrics.timed, self._writer.store, batch)
        # Should it fail, this one is forgotten with it.
        self._batch = batch.next_batch()

    def _finish_storing(self) -> None:
        """Wait for the batch under way, if any, and raise what it raised."""
        if self._under_way is None:
            return
        (batch, storing), self._under_way = self._under_way, None
        stored = storing.result()
        self._reader.stored(
            {advance.partition: advance.watermark.next_offset for advance in batch.advances()}
        )
        self._metrics.stored(stored)
        log.debug("stored %d rows, dropped %d redelivered", stored.rows, stored.redelivered)
        if stored.dead_letters:
            log.warning("put %d records aside in bemi_dead_letters", stored.dead_letters)

    def _start_over(self, state: RetryCallState) -> None:
        log_retry(state)
        self._metrics.retries.inc()
        self._health.not_ready(str(state.outcome and state.outcome.exception()))
        try:
            self._finish_storing()
        except Retry as error:
            log.info("the batch under way failed as well: %s", error)
        self._batch = Batch(self._limits, {})
        self._reader.hold()

    def _keep_polling(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := deadline - time.monotonic()) > 0:
            if not self._has_joined:
                self._stopping.wait(min(left, POLL_SECONDS))
                continue
            try:
                self._reader.read(1, min(left, POLL_SECONDS))
            except Retry as error:
                # Nothing is read here; the next attempt meets it again if it lasts.
                log.info("while waiting: %s", error)
