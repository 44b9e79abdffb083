"""What is changed about Faust, without a broker."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import OffsetAndMetadata
from faust.app.base import App, BootStrategy
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from runtime.kafka_client import AclMissing
from stitcher_stream import faust_driver
from stitcher_stream.app import build_app
from stitcher_stream.errors import RecordsLost, WalMadeAnew
from stitcher_stream.faust_driver import (
    FIRST_CHUNK_RECORDS,
    BatchApp,
    BatchConsumer,
    Boundary,
    ConsumerThread,
    WalBatch,
)
from stitcher_stream.settings import StitcherSettings
from stitcher_stream.stitch import WalRecord

WAL = TP("bemi.wal", 0)

PRIVATE_NAMES: list[tuple[Any, str]] = [
    (App, "_new_transport"),
    (App, "_create_directories"),
    (App, "on_first_start"),
    (BootStrategy, "enable_web"),
    (BootStrategy, "_should_enable_web"),
    (Conductor, "_update_tp_index"),
    (Consumer, "ack"),
    (Consumer, "_new_offset"),
    (Consumer, "_filter_tps_with_pending_acks"),
    (Consumer, "_drain_messages"),
    (Consumer, "_wait_next_records"),
    (Consumer, "perform_seek"),
    (Consumer, "_waiting_for_ack"),
    (Consumer, "on_partitions_revoked"),
    (driver.Consumer, "_new_consumer_thread"),
    (GroupCoordinator, "_push_error_to_user"),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
    (driver.AIOKafkaConsumerThread, "_fetch_records"),
    (driver.AIOKafkaConsumerThread, "seek_to_committed"),
    (driver.AIOKafkaConsumerThread, "earliest_offsets"),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
    (driver.AIOKafkaConsumerThread, "verify_event_path"),
    (AIOKafkaConsumer, "seek_to_beginning"),
    (Fetcher, "fetched_records"),
    (fetcher.PartitionRecords, "_unpack_records"),
    (fetcher.PartitionRecords, "_consumer_record"),
]


def in_loop(work: Callable[[BatchApp], Awaitable[None]]) -> None:
    """Run the work with an app that was built in a running loop, as a worker's is."""

    async def run() -> None:
        await work(build_app(StitcherSettings.from_environ({})))

    asyncio.run(run())


def make_consumer(app: BatchApp) -> BatchConsumer:
    async def nothing(*_: Any) -> None: ...

    app.flow_control.resume()
    app.consumer_generation_id = 1
    consumer: BatchConsumer = app.transport.create_consumer(
        callback=nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing
    )
    # The thread is not started, and would close its loop when it ends.
    consumer._thread.thread_loop.close()
    return consumer


class Message:
    """What of Faust's message an acknowledgement touches."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.acked = False


class Channel:
    """A channel that takes what it is given."""

    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        self.queue = queue


def batch_at(consumer: BatchConsumer, offset: int, committable: int | None) -> WalBatch:
    batch = WalBatch(WAL.topic, WAL.partition, 1, [])
    batch.committable = committable
    batch.message = Message(offset)
    consumer._inflight[WAL].append(batch)
    return batch


@pytest.mark.parametrize(("owner", "name"), PRIVATE_NAMES, ids=lambda value: str(value)[-40:])
def test_name_that_the_driver_rests_on_is_still_there(owner: Any, name: str) -> None:
    assert hasattr(owner, name)


def test_every_test_that_pins_an_override_is_there() -> None:
    named = set(re.findall(r"\btest_\w+(?=[\s.])", inspect.getsource(faust_driver)))
    named -= {"test_faust_driver"}
    tests = Path(__file__).parents[2]
    written = "".join(path.read_text() for path in tests.glob("*/stitcher_stream/test_*.py"))
    assert len(named) > 5
    assert not {name for name in named if f"def {name}(" not in written}


def test_names_made_by_constructors_are_still_there() -> None:
    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        for name in ("_unacked_messages", "_read_offset", "suspend_flow", "flow_active"):
            assert hasattr(consumer, name)
        assert hasattr(app.topics, "_tp_index")
        source = inspect.getsource(AIOKafkaConsumer)
        assert "isolation_level=self._isolation_level" in source

    in_loop(check)


def test_a_group_that_is_refused_ends_the_worker() -> None:
    assert "self._pending_exception = exc" in inspect.getsource(GroupCoordinator)

    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        coordinator = SimpleNamespace(_pending_exception=None)
        consumer._thread._consumer = SimpleNamespace(_coordinator=coordinator)
        assert consumer._thread.refusal is None
        coordinator._pending_exception = GroupAuthorizationFailedError("bemi.stitcher")
        refusal = consumer._thread.refusal
        assert refusal is not None
        await consumer._fail_refused(refusal)
        assert isinstance(app.failure, AclMissing)
        assert "Read on group bemi.stitcher" in str(app.failure)

    in_loop(check)


def test_commit_passes_holes_and_stops_at_what_is_not_acknowledged() -> None:
    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        # Offsets 10 and 21 are markers of Kafka transactions: no record stands there.
        batches = [batch_at(consumer, at, at + 1) for at in (9, 20, 30, 40)]
        assert consumer._new_offset(WAL) is None
        for acknowledged in (batches[0], batches[1], batches[3]):
            assert consumer.ack(acknowledged.message)
        assert consumer._new_offset(WAL) == 21
        assert consumer._new_offset(WAL) is None
        consumer.ack(batches[2].message)
        assert consumer._new_offset(WAL) == 41

    in_loop(check)


def test_commit_stays_at_the_begin_of_an_open_transaction() -> None:
    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        for offset in (100, 200, 300):
            consumer.ack(batch_at(consumer, offset, 50).message)
        assert consumer._new_offset(WAL) == 50

    in_loop(check)


def test_batch_that_was_skipped_is_never_committed() -> None:
    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        consumer.ack(batch_at(consumer, 9, None).message)
        consumer.ack(batch_at(consumer, 19, 20).message)
        assert consumer._new_offset(WAL) is None

    in_loop(check)


def test_a_fetch_is_unpacked_into_records_of_wal() -> None:
    assert "PartitionRecords(" in inspect.getsource(Fetcher._proc_fetch_request)
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=0, batch_size=10_000,
    )  # fmt: skip
    for offset in range(5):
        builder.append(offset, 1, b"k", b"v%d" % offset, [("epoch", b"e")])
    fetched = fetcher.PartitionRecords(
        WAL, MemoryRecords(bytes(builder.build())), [], 2, None, None, True, 1
    )
    # In two goes, as the limit of bytes has it.
    first = next(iter(fetched))
    assert [first, *fetched] == [
        WalRecord(b"k", b"v%d" % offset, [("epoch", b"e")], offset) for offset in (2, 3, 4)
    ]
    assert fetched.next_fetch_offset == 5


def records(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset, value=b"v", key=None) for offset in offsets]


def answering(topic_id: str) -> Callable[[], Awaitable[str]]:
    async def ask_topic_id() -> str:
        return topic_id

    return ask_topic_id


def test_one_event_is_delivered_for_each_partition_and_fetch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        queue: asyncio.Queue[Any] = asyncio.Queue(8)
        other = TP(WAL.topic, 1)
        app.topics._tp_index[WAL] = app.topics._tp_index[other] = {Channel(queue)}
        consumer._read_offset[WAL] = 12
        monkeypatch.setattr(app, "ask_topic_id", answering(""))
        await consumer._deliver({WAL: records(10, 11, 12, 15), other: records(3)})
        first, second = queue.get_nowait(), queue.get_nowait()
        assert [record.offset for record in first.value.records] == [12, 15]
        assert [record.offset for record in second.value.records] == [3]
        assert consumer._read_offset[WAL] == 16
        assert first.message.refcount == 1

    in_loop(check)


def test_a_topic_that_was_made_anew_is_not_read_on_at_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        consumer._read_offset[WAL] = 12
        consumer._thread.topic_id = "former"
        monkeypatch.setattr(app, "ask_topic_id", answering("this"))
        with pytest.raises(WalMadeAnew):
            await consumer._deliver({WAL: records(0, 1)})

    in_loop(check)


def test_records_of_an_ended_generation_are_not_delivered() -> None:
    async def check(app: BatchApp) -> None:
        consumer = make_consumer(app)
        queue: asyncio.Queue[Any] = asyncio.Queue(8)
        app.topics._tp_index[WAL] = {Channel(queue)}
        app.flow_control.suspend()
        delivering = asyncio.create_task(consumer._deliver({WAL: records(10)}))
        await asyncio.sleep(0)
        app.consumer_generation_id = 2
        app.flow_control.resume()
        await delivering
        assert queue.empty()
        assert consumer._read_offset[WAL] is None
        assert not consumer._inflight[WAL]

    in_loop(check)


def fetch_from(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], fail_after: int | None = None
) -> tuple[ConsumerThread, list[int]]:
    """Return a thread whose aiokafka has records of these sizes, and the chunks it is asked."""
    left: Iterator[tuple[int, int]] = iter(enumerate(sizes))
    asked: list[int] = []

    async def fetch(_self: Any, _consumer: Any, _tps: Any, _timeout: Any, count: int) -> Any:
        if fail_after is not None and len(asked) >= fail_after:
            raise KafkaError("broken")
        asked.append(count)
        chunk = [
            SimpleNamespace(offset=offset, value=b"x" * size, key=None)
            for offset, size in islice(left, count)
        ]
        return {WAL: chunk} if chunk else {}

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", fetch)
    thread: ConsumerThread = ConsumerThread.__new__(ConsumerThread)
    thread.app = SimpleNamespace(fetch_bytes=1_000_000)
    return thread, asked


def test_large_records_are_unpacked_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _ = fetch_from(monkeypatch, [500_000] * 200)
    fetched = asyncio.run(thread._fetch_records(None, None, 1.0, 2000))
    assert len(fetched[WAL]) == FIRST_CHUNK_RECORDS


def test_small_records_are_unpacked_up_to_the_limit_of_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread, asked = fetch_from(monkeypatch, [100] * 3000)
    fetched = asyncio.run(thread._fetch_records(None, None, 1.0, 2000))
    assert [record.offset for record in fetched[WAL]] == list(range(2000))
    assert len(asked) < 5


def test_error_after_some_records_does_not_lose_them(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _ = fetch_from(monkeypatch, [100] * 3000, fail_after=1)
    fetched = asyncio.run(thread._fetch_records(None, None, 1.0, 2000))
    assert len(fetched[WAL]) == FIRST_CHUNK_RECORDS


def seek_among(
    monkeypatch: pytest.MonkeyPatch,
    committed: dict[TP, int | None],
    earliest: dict[TP, int],
    notes: Mapping[TP, str] | None = None,
    begun: Mapping[TP, int | None] | None = None,
) -> list[TP]:
    """Return the partitions that are sought from their beginning in the topic `this`.

    `notes` are what stands beside the offsets; `begun` where reading begins, if not there.
    """
    sought: list[TP] = []

    async def committed_offsets(_self: Any) -> Any:
        return committed

    async def earliest_offsets(_self: Any, *_tps: TP) -> Any:
        return earliest

    async def call_thread(_self: Any, work: Any, *arguments: Any) -> Any:
        done = work(*arguments)
        return await done if asyncio.iscoroutine(done) else done

    async def noted(tps: list[TP]) -> Any:
        return {tp: OffsetAndMetadata(committed[tp], (notes or {}).get(tp, "")) for tp in tps}

    thread_class = driver.AIOKafkaConsumerThread
    monkeypatch.setattr(thread_class, "seek_to_committed", committed_offsets)
    monkeypatch.setattr(thread_class, "earliest_offsets", earliest_offsets)
    monkeypatch.setattr(thread_class, "call_thread", call_thread)
    thread: ConsumerThread = ConsumerThread.__new__(ConsumerThread)
    thread.app = SimpleNamespace(
        conf=SimpleNamespace(id="bemi.stitcher"), ask_topic_id=answering("this")
    )
    consumer = SimpleNamespace(
        seek_to_beginning=lambda *tps: sought.extend(tps),
        _coordinator=SimpleNamespace(fetch_committed_offsets=noted),
    )
    monkeypatch.setattr(thread_class, "_ensure_consumer", lambda _self: consumer)
    assert asyncio.run(thread.seek_to_committed()) == (committed if begun is None else begun)
    return sought


def test_partition_without_commit_is_sought_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = TP(WAL.topic, 1)
    assert seek_among(monkeypatch, {WAL: None, other: 5}, {WAL: 0, other: 0}) == [WAL]


def test_what_is_committed_of_a_former_topic_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other, old = TP(WAL.topic, 1), TP(WAL.topic, 2)
    committed: dict[TP, int | None] = {WAL: 7, other: 5, old: 3}
    sought = seek_among(
        monkeypatch,
        committed,
        {WAL: 0, other: 0, old: 0},
        # Of the third nobody wrote which topic it is of, as before version 0.1.
        notes={WAL: "former", other: "this"},
        begun={WAL: None, other: 5, old: 3},
    )
    assert sought == [WAL]


def test_a_commit_says_which_topic_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    async def commit(offsets: Any) -> None:
        sent.append(offsets)

    thread: ConsumerThread = ConsumerThread.__new__(ConsumerThread)
    thread.tp_last_committed_at = {}
    thread.assignment = lambda: {WAL}
    monkeypatch.setattr(
        ConsumerThread, "_ensure_consumer", lambda _self: SimpleNamespace(commit=commit)
    )
    assert asyncio.run(thread._commit({WAL: Boundary.of(7, "this")}))
    assert sent == [{WAL: OffsetAndMetadata(7, "this")}]
    assert type(sent[0][WAL].offset) is int


def test_records_removed_before_they_were_read_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RecordsLost, match="up to offset 5, but begins at 9 now: 4 records were"):
        seek_among(monkeypatch, {WAL: 5}, {WAL: 9})


def test_web_server_stays_off_when_the_command_line_turns_it_on() -> None:
    async def check(app: BatchApp) -> None:
        app.conf.web_enabled = True
        assert app.boot_strategy.web_server() == []

    in_loop(check)


def test_faust_finds_the_app_by_the_modules_name() -> None:
    code = (
        "import sys, stitcher_stream.app as module\n"
        "assert 'app' not in vars(module)\n"
        "from faust.cli.base import find_app\n"
        "app = find_app('stitcher_stream.app')\n"
        "assert app is find_app('stitcher_stream.app')\n"
        "assert app.conf.id == 'bemi.stitcher', app.conf.id\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_everything_but_the_edge_is_imported_without_faust() -> None:
    code = (
        "import sys, stitcher_stream.stitch, stitcher_stream.change_records\n"
        "import stitcher_stream.settings, stitcher_stream.__main__\n"
        "assert not {'faust', 'mode', 'aiokafka'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
