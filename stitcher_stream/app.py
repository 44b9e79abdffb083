"""The stitcher as a Faust app. Edge: builds it from the parts.

    `.wal` -> faust_driver (a batch a fetch) -> stitch -> change_rules -> change_records
           -> publisher -> `.changes`

`faust -A stitcher_stream.app worker` finds `app` here; it is built when it is first asked
for, with settings from the environment, so that importing this module has no effect.

An input is acknowledged when everything it gave is stored, so a crash at any moment repeats
and never loses; what is repeated has the same ids and the sink drops it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import ExitStack
from functools import cache, partial
from typing import Any, NamedTuple

from mode import CrashingSupervisor

from runtime.errors import DeadLetter
from runtime.health import Health
from schemas.topics import Topics
from stitcher_stream.boundaries import wal_topic
from stitcher_stream.broker_credentials import broker_credentials
from stitcher_stream.change_records import (
    Encode,
    change_key,
    dead_letter_headers,
    encode_change,
    encode_within,
)
from stitcher_stream.change_rules import LeftOut, context_rules, fold_of, reshaping
from stitcher_stream.contexts import NO_CONTEXT
from stitcher_stream.errors import UnreadableRecord
from stitcher_stream.faust_driver import BatchApp, WalBatch
from stitcher_stream.left_out import LeftOutCounts
from stitcher_stream.metrics import BatchCounts, StitcherMetrics, watching
from stitcher_stream.publisher import Delivery, Publisher
from stitcher_stream.settings import StitcherSettings
from stitcher_stream.stitch import (
    START,
    State,
    after_unreadable,
    committable_offset,
)
from stitcher_stream.topic_setup import prepare, wal_topic_id

QUEUED_BATCHES = 4
"""Batches that wait for the agent; they bound memory together with the fetch's size."""

HEARTBEAT_SECONDS = 3.0
REQUEST_TIMEOUT_SECONDS = 90.0
DEAD_LETTERS_PARTITION = 0
TICK_SECONDS = 1.0

LEFT_OUT_LOG_SECONDS = 60.0
"""How often the changes that the rules left out are told in the log."""

log = logging.getLogger(__name__)


class Position(NamedTuple):
    """Where the fold of a partition stands; valid in one generation of the group only."""

    generation: int
    next_offset: int
    state: State
    left_out: LeftOutCounts


class Stitching:
    """Folds batches and sends what they give, several batches on their way at a time."""

    def __init__(self, settings: StitcherSettings) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._context_rules = context_rules(settings)
        self._wal_partitions = 0
        self._wal_topic = ""
        self._left_out = LeftOut()
        self._left_out_told = 0.0
        self._reshape = reshaping(settings, self._left_out)
        self._encode: Encode = encode_change
        self._positions: dict[int, Position] = {}
        self._deliveries: set[asyncio.Task[None]] = set()
        self._publisher: Publisher | None = None
        self._health = Health(settings.health_stalled_seconds)
        self._metrics = StitcherMetrics()
        self._watch = ExitStack()
        self._ticking: asyncio.Task[None] | None = None
        self._is_ready = False

    async def prepare(self) -> None:
        """Wait until there is something to read and it is known how to write."""
        self._ticking = asyncio.create_task(self._tick())
        self._watch.enter_context(watching(self._settings, self._metrics, self._health))
        self._wal_partitions, self._encode = await prepare(self._settings)

    async def _tick(self) -> None:
        """Show that the event loop turns; whatever hangs in it hangs this, too."""
        while True:
            self._health.turned()
            await asyncio.sleep(TICK_SECONDS)

    async def run(self, app: BatchApp, stream: Any) -> None:
        """Stitch until the stream ends. Any error ends the worker."""
        loop = asyncio.get_running_loop()

        def fail(error: BaseException) -> None:
            task = loop.create_task(app.fail(error))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

        publisher = self._publisher = Publisher(self._settings, fail)
        self._metrics.in_flight_bytes.set_function(lambda: publisher.in_flight_bytes)
        async for event in stream.noack().events():
            await publisher.room()
            await self._check_topic(app, event.value)
            delivery = await self._stitch(event.value, publisher)
            task = loop.create_task(self._acknowledge(publisher, delivery, stream, event, fail))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    async def _stitch(self, batch: WalBatch, publisher: Publisher) -> Delivery:
        """Send what the batch gives, in order, and note where reading may begin again."""
        partition = batch.partition
        fold = fold_of(self._settings, partition, self._wal_partitions)
        rules, reshape = self._context_rules, self._reshape
        encode = self._encode
        max_value_bytes = self._settings.kafka_max_message_bytes - 1024  # For key and framing.
        delivery = Delivery(asyncio.get_running_loop())
        state, left_out_so_far = self._state_before(batch)
        dead_letters: list[DeadLetter] = []
        counts, left_out = BatchCounts(), self._left_out
        ignored, dropped = left_out.ignored, left_out.dropped
        send = publisher.sender(self._topics.changes, partition, delivery)
        put_aside = publisher.sender(self._topics.dead_letters, DEAD_LETTERS_PARTITION, delivery)
        tell = publisher.sender(self._topics.left_out, partition, delivery)
        for record in batch.records:
            try:
                state, change = fold(state, record, rules)
                if reshape is not None:
                    if over := left_out_so_far.take(state.transaction):
                        while not tell(over.key(), over.value()):
                            await publisher.wait_for_queue()
                    if change is not None:
                        stitched, change = change, reshape(change)
                        if change is None:
                            left_out_so_far.add(state.transaction, stitched)
                if change is None:
                    continue
                key, value = change_key(change), encode_within(change, max_value_bytes, encode)
            except DeadLetter as error:
                if isinstance(error, UnreadableRecord):
                    state = after_unreadable(state)
                dead_letters.append(error)
                headers = dead_letter_headers(record, batch.topic, partition, str(error))
                while not put_aside(record.key, record.value, headers):
                    await publisher.wait_for_queue()
                continue
            while not send(key, value):
                await publisher.wait_for_queue()
            if change["context_error"] is not None:
                counts.invalid += 1
            elif change["context"] is NO_CONTEXT:
                counts.without += 1
            else:
                counts.stitched += 1
        next_offset = batch.records[-1].offset + 1
        counts.dead_letters = len(dead_letters)
        ignored, dropped = left_out.ignored - ignored, left_out.dropped - dropped
        self._metrics.batch(len(batch.records), counts, ignored, dropped)
        if dead_letters:
            log.warning(
                "put %d records of %s partition %d before offset %d aside in %s; the first: %s",
                len(dead_letters),
                batch.topic,
                partition,
                next_offset,
                self._topics.dead_letters,
                dead_letters[0],
            )
        self._positions[partition] = Position(batch.generation, next_offset, state, left_out_so_far)
        batch.committable = committable_offset(state, next_offset)
        batch.release()
        if reshape is not None:
            self._tell_left_out(asyncio.get_running_loop().time())
        return delivery

    def _tell_left_out(self, now: float) -> None:
        """Say how many changes the rules left out, now and then: there may be many."""
        if now - self._left_out_told >= LEFT_OUT_LOG_SECONDS:
            self._left_out_told = now
            ignored, dropped = self._left_out.take()
            if ignored or dropped:
                log.info("left out %d ignored changes and %d the hook dropped", ignored, dropped)

    async def _check_topic(self, app: BatchApp, batch: WalBatch) -> None:
        """Raise WalMadeAnew where the records are of a topic that was made while they were read.

        The client reads on in it at the offset where it was. What was written to it before the
        producer knew says nothing, and is sent again.
        """
        for record in (batch.records[0], batch.records[-1]):
            topic = wal_topic(record)
            if topic and topic != self._wal_topic:
                await app.check_topic(batch.topic, batch.topic_id)
                self._wal_topic = topic

    def _state_before(self, batch: WalBatch) -> tuple[State, LeftOutCounts]:
        """Return the fold's state and what was left out, or a beginning where reading began again.

        Every generation reads on from the committed offsets, which are boundaries.
        """
        position = self._positions.get(batch.partition)
        if (
            position is None
            or position.generation != batch.generation
            or batch.records[0].offset < position.next_offset
        ):
            return START, LeftOutCounts()
        return position.state, position.left_out

    async def _acknowledge(
        self, publisher: Publisher, delivery: Delivery, stream: Any, event: Any, fail: Any
    ) -> None:
        try:
            await publisher.delivered(delivery)
            await stream.ack(event)
        except Exception as error:
            fail(error)

    async def on_assigned(self, _app: BatchApp, assigned: Any, **_: Any) -> None:
        """Say once that the group has taken this process in, with partitions or without."""
        log.debug("assigned %d partitions", len(assigned))
        self._metrics.rebalances.inc()
        self._metrics.assigned.set(len(assigned))
        self._health.ready()
        if not self._is_ready:
            self._is_ready = True
            log.info("ready")

    async def on_revoked(self, _app: BatchApp, _revoked: Any, **_: Any) -> None:
        """Forget the folds: whoever owns the partitions next begins at a boundary."""
        self._positions.clear()
        self._health.not_ready("the group shares its partitions anew")

    async def on_shutdown(self, _app: BatchApp, **_: Any) -> None:
        """Let go of the Kafka producer, after the last commit."""
        self._tell_left_out(float("inf"))
        if self._publisher is not None:
            self._publisher.close()
        if self._ticking is not None:
            self._ticking.cancel()
        self._watch.close()


def build_app(settings: StitcherSettings) -> BatchApp:
    """Return the Faust app for the settings; nothing is connected before it starts.

    Raises InvalidSettings where the change hook cannot be imported.
    """
    stitching = Stitching(settings)
    app = BatchApp(
        settings.group_id,
        prepare=stitching.prepare,
        ask_topic_id=partial(wal_topic_id, settings),
        fetch_bytes=settings.fetch_bytes,
        stop_seconds=settings.stop_seconds,
        broker=[f"kafka://{b.strip()}" for b in settings.kafka_bootstrap_servers.split(",")],
        broker_credentials=broker_credentials(settings),
        broker_client_id=settings.group_id,
        broker_commit_interval=settings.commit_interval_seconds,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=min(HEARTBEAT_SECONDS, settings.session_timeout_seconds / 3),
        broker_request_timeout=REQUEST_TIMEOUT_SECONDS,
        broker_max_poll_records=settings.fetch_records,
        consumer_max_fetch_size=settings.fetch_bytes,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=QUEUED_BATCHES,
        stream_wait_empty=True,
        agent_supervisor=CrashingSupervisor,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        store="memory://",
    )
    wal = app.topic(Topics(settings.topic_prefix).wal, key_type=bytes, value_type=bytes)

    async def stitch_wal(stream: Any) -> None:
        await stitching.run(app, stream)

    app.agent(wal, name="stitch_wal")(stitch_wal)
    app.on_partitions_assigned.connect(stitching.on_assigned, weak=False)
    app.on_partitions_revoked.connect(stitching.on_revoked, weak=False)
    app.on_before_shutdown.connect(stitching.on_shutdown, weak=False)
    return app


@cache
def _app_from_environ() -> BatchApp:
    return build_app(StitcherSettings.from_environ(os.environ))


def __getattr__(name: str) -> BatchApp:
    if name == "app":
        return _app_from_environ()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
