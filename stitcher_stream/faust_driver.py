"""Everything that is changed about Faust, in one place. Edge: private names of Faust.

Stock Faust handles one message at a time and commits what the messages' acknowledgements
leave behind. Here an agent is given one event for each (partition, fetch) and says itself
where reading may begin again. Each override has its reason beside it and the test that pins
it; tests/unit/stitcher_stream/test_faust_driver.py also fails when a private name used here
is gone, so that a new version of Faust is not taken by accident.

Written against faust-streaming 0.15.3 and aiokafka 0.14.0.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

import faust
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import OffsetAndMetadata
from faust.app.base import BootStrategy
from faust.events import Event
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode import Service

from runtime.errors import StageError, Stop
from runtime.kafka_client import acl_missing
from runtime.service import EXIT_DEFECT, collect_garbage_less_often
from stitcher_stream.errors import RecordsLost, WalMadeAnew
from stitcher_stream.wal_unpacking import unpack_into_wal_records

FIRST_CHUNK_RECORDS = 16
"""How many records are unpacked before their size decides how many more are."""

POLL_SECONDS = 1.0

FEW_RECORDS = 200
GATHER_SECONDS = 0.01
"""How long more is waited for behind a fetch of few records.

Each fetch, event and commit costs as much as hundreds of records: at 500 transactions a second
the worker needed 455 us of CPU a change without it. A stream that is quiet is not asked more
often by it, and a backlog brings more than few.
"""

log = logging.getLogger(__name__)

unpack_into_wal_records()

# Mode logs the life of each service; those lines are Faust's, not this module's.
_faust_log = logging.getLogger("faust")


class Boundary(int):
    """An offset to commit, and the id of the topic that it is of."""

    topic_id: str = ""

    @classmethod
    def of(cls, offset: int, topic_id: str) -> Boundary:
        """Return the offset with its topic."""
        made = cls(offset)
        made.topic_id = topic_id
        return made


def _noted(offset: int, _note: str) -> OffsetAndMetadata:
    """Return the offset with its topic's id beside it, in place of Faust's empty note.

    A commit may reach brokers that have lost their data, and would be taken there for an offset of
    a topic that was made anew. Pinned by test_a_commit_says_which_topic_it_is_of.
    """
    return OffsetAndMetadata(int(offset), getattr(offset, "topic_id", ""))


driver.OffsetAndMetadata = _noted


class WalBatch:
    """What one fetch brought of one partition, and where reading may begin again after it.

    `committable` is for the agent to set once the batch is folded; a batch without one, or
    one that is not acknowledged, holds back the commits of all that follow it.
    """

    __slots__ = (
        "committable", "generation", "message", "partition", "records", "topic", "topic_id",
    )  # fmt: skip

    def __init__(
        self,
        topic: str,
        partition: int,
        generation: int,
        records: list[Any],
        topic_id: str = "",
    ) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.partition = partition
        self.generation = generation
        self.records = records
        self.committable: int | None = None
        self.message: Any = None

    def release(self) -> None:
        """Drop the records; only their outputs are waited for."""
        self.records = []


class NoWeb(BootStrategy):  # type: ignore[misc]
    """Start no web server, whatever the command line says.

    `faust worker` turns it on by default, on all addresses.
    Pinned by test_web_server_stays_off_when_the_command_line_turns_it_on.
    """

    enable_web = False


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread in which aiokafka's consumer lives."""

    logger = _faust_log
    topic_id = ""
    """Which topic is read in this generation of the group, by Kafka's id."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Read committed records only.

        Faust reads aborted ones too unless it is transactional itself, and the stream may be
        written by a transactional producer (Kafka Connect).
        Pinned by test_aborted_transaction_is_not_read.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[Any, list[Any]]:
        """Unpack as many records as fit into the limit of bytes.

        aiokafka only counts records, and a compressed fetch of large ones may unpack to many
        times its size. Pinned by test_large_records_are_unpacked_a_few_at_a_time.
        """
        limit_bytes = self.app.fetch_bytes
        limit_records = max_records or 1
        fetch = super()._fetch_records
        records = await fetch(
            consumer, active_partitions, timeout, min(FIRST_CHUNK_RECORDS, limit_records)
        )
        chunk: Mapping[Any, list[Any]] = records
        count = size_bytes = 0
        while chunk:
            for found in chunk.values():
                count += len(found)
                size_bytes += sum(len(r.value or b"") + len(r.key or b"") for r in found)
            if count >= limit_records or size_bytes >= limit_bytes:
                break
            fitting = (limit_bytes - size_bytes) * count // max(size_bytes, 1)
            try:
                chunk = await fetch(
                    consumer, active_partitions, 0, max(1, min(limit_records - count, fitting))
                )
            except KafkaError as error:
                # What is unpacked already would be lost; the error comes again next time.
                log.warning("fetching will be tried again: %r", error)
                break
            for tp, found in chunk.items():
                records.setdefault(tp, []).extend(found)
        return cast("dict[Any, list[Any]]", records)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition, also one of which nothing is committed yet.

        aiokafka leaves such a partition where it is, so what was fetched and dropped while
        the flow was stopped would be skipped. What is committed of a topic that was deleted says
        nothing of the one that was made anew. Stops where records were removed before they
        were read. Pinned by test_partition_without_commit_is_sought_from_its_beginning,
        test_what_is_committed_of_a_former_topic_does_not_count and
        test_records_removed_before_they_were_read_need_a_person.
        """
        # Asked before anything is read: an offset is taken for one of this topic at the latest.
        self.topic_id = await self.app.ask_topic_id()
        committed: dict[Any, int | None] = dict(await super().seek_to_committed())
        consumer = self._ensure_consumer()
        noted = await self.call_thread(
            consumer._coordinator.fetch_committed_offsets, list(committed)
        )
        for tp, note in noted.items():
            if note.metadata and self.topic_id and note.metadata != self.topic_id:
                log.warning(
                    "topic %s was made anew: reading partition %d from its beginning",
                    tp.topic,
                    tp.partition,
                )
                committed[tp] = None
        fresh = [tp for tp, offset in committed.items() if not offset]
        if fresh:
            await self.call_thread(consumer.seek_to_beginning, *fresh)
        if committed:
            earliest = await self.earliest_offsets(*committed)
            for tp, offset in committed.items():
                if offset and offset < earliest.get(tp, 0):
                    raise RecordsLost.between(
                        tp.topic, tp.partition, offset, earliest[tp], self.app.conf.id
                    )
        return cast("Mapping[TP, int]", committed)

    @property
    def refusal(self) -> KafkaError | None:
        """What the brokers refuse to the group, None where nothing.

        aiokafka gives it to whoever polls the consumer, which Faust does not: it would wait
        without a word. Pinned by test_a_group_that_is_refused_ends_the_worker.
        """
        coordinator = getattr(self._consumer, "_coordinator", None)
        error = getattr(coordinator, "_pending_exception", None)
        return error if isinstance(error, _REFUSALS) else None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing: Faust's checks count single messages and raise false alarms.

        faust-streaming/faust issues 175 and 640.
        """


_REFUSALS = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Gives agents one event a fetch and commits the longest acknowledged prefix."""

    logger = _faust_log

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._inflight: defaultdict[TP, deque[WalBatch]] = defaultdict(deque)
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @Service.task  # type: ignore[untyped-decorator]
    async def _watch_refusals(self) -> None:
        while not self.should_stop:
            refusal = self._thread.refusal
            if refusal is not None:
                await self._fail_refused(refusal)
                return
            await self.sleep(POLL_SECONDS)

    async def _fail_refused(self, refusal: KafkaError) -> None:
        is_group = isinstance(refusal, GroupAuthorizationFailedError)
        (named,) = refusal.args
        resource = named if isinstance(named, str) else ", ".join(named)
        await self.app.fail(acl_missing("Read", f"{'group' if is_group else 'topic'} {resource}"))

    def ack(self, message: Any) -> bool:
        """Take the acknowledgement of a batch; the batches in flight are the only account.

        Faust's own account of single offsets stands still at the hole a transaction's marker
        leaves and may pass an offset that is not acknowledged.
        Pinned by test_commit_passes_holes_and_stops_at_what_is_not_acknowledged.
        """
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        waiting = self._waiting_for_ack
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        return [tp for tp in self._inflight if not topics or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: TP) -> int | None:
        """Return where reading may begin again: never inside a transaction.

        Pinned by test_commit_stays_at_the_begin_of_an_open_transaction and
        test_batch_that_was_skipped_is_never_committed.
        """
        inflight, offset = self._inflight[tp], None
        while inflight and inflight[0].message.acked:
            batch = inflight[0]
            if batch.committable is None:
                # A stream skipped it at a rebalance: it is acknowledged, but was never folded.
                break
            offset = Boundary.of(batch.committable, batch.topic_id)
            inflight.popleft()
        return offset

    def _should_commit(self, tp: TP, offset: int) -> bool:
        """Commit whatever is new, also below what was committed of a topic made anew."""
        return bool(offset)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is in flight, then forget it: it belongs to the generation that ends.

        Pinned by test_two_workers_share_partitions_while_one_joins_and_leaves.
        """
        try:
            await super().on_partitions_revoked(revoked)
        finally:
            self._inflight.clear()

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand over what is fetched, one event for each partition.

        Stock Faust spends 85 us on each message here and in the conductor, most of it on
        tasks that wait for the flow to be suspended. Errors are handled as it does.
        Pinned by test_one_event_is_delivered_for_each_partition_and_fetch and
        test_records_of_an_ended_generation_are_not_delivered.
        """
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                records, _ = await self._wait_next_records(POLL_SECONDS)
                await asyncio.sleep(0)
                if not self.flow_active:
                    await self._seek_again()
                elif records:
                    await self._deliver(records)
                    if sum(map(len, records.values())) < FEW_RECORDS:
                        await asyncio.sleep(GATHER_SECONDS)
        except (*self.consumer_stopped_errors, asyncio.CancelledError):
            if self.transport.app.should_stop:
                return
            raise
        except StageError as error:
            await self.app.fail(error)
        except _REFUSALS as error:
            await self._fail_refused(error)
        except Exception:
            log.exception("reading failed")
            raise

    async def _seek_again(self) -> None:
        # The flow stops at a rebalance or the end; what was fetched meanwhile is read again.
        try:
            await self.perform_seek()
        except Stop:
            raise
        except Exception as error:
            log.info("cannot seek while partitions are revoked: %r", error)

    async def _deliver(self, records: Mapping[Any, list[Any]]) -> None:
        generation = self.app.consumer_generation_id
        for key, found in records.items():
            await self.app.flow_control.acquire()
            if not self.flow_active or generation != self.app.consumer_generation_id:
                # The rebalance that came between gives these records to their new owner.
                return
            tp = TP(key.topic, key.partition)
            read_from = self._read_offset[tp]
            if read_from is not None and found[0].offset < read_from:
                # aiokafka goes to the beginning where the topic has no such offset.
                await self.app.check_topic(tp.topic, self._thread.topic_id)
                found = [record for record in found if record.offset >= read_from]
            if not found:
                continue
            if read_from is not None and found[0].offset > read_from:
                await self._check_hole(tp, read_from)
            self._read_offset[tp] = found[-1].offset + 1
            topic_id = self._thread.topic_id
            batch = WalBatch(tp.topic, tp.partition, generation, found, topic_id)
            await self._put(tp, batch, found[-1].offset)

    async def _check_hole(self, tp: TP, read_from: int) -> None:
        """Stop where a hole is what retention removed, and no transaction's marker.

        aiokafka begins at the topic's new beginning without a word.
        Pinned by test_records_removed_while_the_worker_reads_need_a_person.
        """
        first = (await self.earliest_offsets(tp)).get(tp, 0)
        if first > read_from:
            raise RecordsLost.between(tp.topic, tp.partition, read_from, first, self.app.conf.id)

    async def _put(self, tp: TP, batch: WalBatch, last_offset: int) -> None:
        channels = list(self.app.topics._tp_index[tp])
        if not channels:
            return
        message = ConsumerMessage(
            tp.topic, tp.partition, last_offset, 0.0, 0, None, None, None, None, 0, 0, tp,
            generation_id=batch.generation,
        )  # fmt: skip
        message.incref(len(channels))
        batch.message = message
        self._inflight[tp].append(batch)
        for channel in channels:
            event = Event(self.app, None, batch, None, message)
            if channel.queue.full():
                await self.wait_first(channel.queue.put(event), self.suspend_flow.wait())
            else:
                channel.queue.put_nowait(event)


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's Kafka transport with the batching consumer."""

    Consumer = BatchConsumer


class BatchApp(faust.App):  # type: ignore[misc]
    """A Faust app on the batching transport that prepares before it starts.

    `failure` is why it ended, where it did not end by a signal.
    """

    BootStrategy = NoWeb
    logger = _faust_log

    def __init__(
        self,
        *args: Any,
        prepare: Callable[[], Awaitable[object]],
        ask_topic_id: Callable[[], Awaitable[str]],
        fetch_bytes: int,
        stop_seconds: float,
        **kwargs: Any,
    ) -> None:
        self._prepare = prepare
        self.ask_topic_id = ask_topic_id
        self.fetch_bytes = fetch_bytes
        self._stop_timer = threading.Timer(stop_seconds, _end_now, [stop_seconds])
        self._stop_timer.daemon = True
        self.failure: BaseException | None = None
        super().__init__(*args, **kwargs)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Make none: they are for tables, and there are none.

        Pinned by test_faust_command_leaves_no_files_and_listens_on_nothing.
        """

    async def on_first_start(self) -> None:
        """Prepare, before any consumer starts."""
        await super().on_first_start()
        try:
            await self._prepare()
        except Exception as error:
            self.failure = error
            raise
        collect_garbage_less_often()

    async def on_stop(self) -> None:
        """Drain and commit, but not for ever: brokers may be away.

        Faust waits for what is in flight and for its last commit without an end.
        Pinned by test_sigterm_ends_the_worker_also_while_the_brokers_are_away.
        """
        if not self._stop_timer.is_alive():
            self._stop_timer.start()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        """Everything that could take long is over."""
        await super().on_shutdown()
        self._stop_timer.cancel()

    async def check_topic(self, topic: str, topic_id: str) -> None:
        """Raise WalMadeAnew where the topic is not the one of this id any more.

        Whatever was read before is of that one if it still is: no id comes again.
        """
        if await self.ask_topic_id() != topic_id:
            raise WalMadeAnew(
                f"topic {topic} was made anew while it was read; the next start begins at its "
                "beginning"
            )

    async def fail(self, error: BaseException) -> None:
        """End the worker because of the error; nothing unacknowledged is committed.

        Of several, the one that a person must act on is the reason.
        """
        is_first = self.failure is None
        if is_first or (isinstance(error, Stop) and not isinstance(self.failure, Stop)):
            self.failure = error
        if is_first:
            await self.crash(error)


def _end_now(stop_seconds: float) -> None:
    """End the process as a kill would, which loses nothing."""
    log.error(
        "not done %g seconds after the signal; what is not committed is stitched again",
        stop_seconds,
    )
    logging.shutdown()
    os._exit(EXIT_DEFECT)
