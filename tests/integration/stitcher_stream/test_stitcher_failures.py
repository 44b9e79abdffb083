"""What a stitcher's end, a broker's end and a refusal leave behind."""

from __future__ import annotations

import random

import pytest
from confluent_kafka import TopicPartition

from runtime.service import EXIT_DEFECT, EXIT_PERSON_MUST_ACT
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.stages import StageProcess
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually
from tests.fixtures.wal_records import usual_transaction
from tests.integration.stitcher_stream.wal_topic import (
    PARTITIONS,
    WalTopic,
    assert_each_once,
    send,
    wait_ready,
)

ROWS = 3  # Of a usual transaction.


def test_sigterm_drains_and_commits(wal: WalTopic) -> None:
    transactions = [usual_transaction(number) for number in range(1, 2001)]
    stitcher = wal.start_ready(BEMI_STITCHER_COMMIT_INTERVAL_SECONDS="60")
    wal.write(transactions)
    wal.wait_for_changes(1000)
    stitcher.terminate()
    assert stitcher.wait(20) == 0
    # Without a timer's commit, what is committed is what the end committed.
    committed = [offset or 0 for offset in wal.committed()]
    assert sum(committed) > 0
    assert all(offset % len(transactions[0].records) == 0 for offset in committed)
    # At most the transactions that were open in their partitions are repeated, in part.
    open_rows = PARTITIONS * ROWS
    assert 0 <= wal.change_count() - sum(committed) // 6 * ROWS <= open_rows
    wal.start_ready()
    wal.wait_for_commit()
    records = wal.changes()
    assert_each_once(records, transactions)
    assert len(records) <= len(transactions) * ROWS + open_rows


def test_kill_and_restart_lose_nothing(wal: WalTopic) -> None:
    transactions = [usual_transaction(number) for number in range(1, 3001)]
    publisher = wal.publisher()
    done = 0
    stitcher = wal.start_ready()
    for share in range(2):
        for transaction in transactions[share * 1500 : (share + 1) * 1500]:
            send(publisher, wal.topics.wal, transaction.records, transaction.xid % PARTITIONS)
        assert publisher.flush(30) == 0
        wal.wait_for_changes(done + 500)
        stitcher.kill()
        done = wal.change_count()
        stitcher = wal.start()
    wal.wait_for_commit()
    assert_each_once(wal.changes(), transactions)


def test_two_workers_share_partitions_while_one_joins_and_leaves(wal: WalTopic) -> None:
    transactions = [usual_transaction(number) for number in range(1, 6001)]
    publisher = wal.publisher()
    shares = [transactions[first : first + 1000] for first in range(0, 6000, 1000)]

    def write(share: int) -> None:
        for transaction in shares[share]:
            send(publisher, wal.topics.wal, transaction.records, transaction.xid % PARTITIONS)

    first = wal.start_ready()
    write(0)
    wal.wait_for_changes(1000)
    write(1)
    second = wal.start()
    write(2)
    wait_ready(second)
    write(3)
    wal.wait_for_changes(9000)
    second.terminate()
    write(4)
    assert second.wait(20) == 0
    third = wal.start_ready()
    write(5)
    first.terminate()
    assert first.wait(20) == 0
    assert publisher.flush(30) == 0
    wal.wait_for_commit()
    assert third.is_running
    assert_each_once(wal.changes(), transactions)


def test_frozen_stitcher_comes_back_and_loses_nothing(wal: WalTopic) -> None:
    transactions = [usual_transaction(number) for number in range(1, 2001)]
    frozen = wal.start_ready()
    wal.write(transactions[:1000])
    wal.wait_for_changes(500)
    frozen.suspend()
    # The group takes it for dead after its session and gives its partitions to the other.
    other = wal.start_ready()
    wal.write(transactions[1000:])
    wal.wait_for_commit()
    frozen.resume()
    eventually(lambda: frozen.is_running and other.is_running)
    wal.wait_for_commit()
    assert_each_once(wal.changes(), transactions)


@pytest.mark.parametrize("seed", [1])
def test_workers_may_come_and_go_in_any_way_while_changes_are_written(
    wal: WalTopic, seed: int
) -> None:
    chance = random.Random(seed)
    transactions = [usual_transaction(number) for number in range(1, 4001)]
    workers = [wal.start_ready(), wal.start()]
    ended: list[StageProcess] = []
    frozen: list[StageProcess] = []
    # More workers than partitions, and each way of leaving twice.
    steps = ["join", "join", "kill", "kill", "freeze", "freeze", "leave", "leave"]
    chance.shuffle(steps)
    share = len(transactions) // (len(steps) + 1)
    for at, step in enumerate(steps):
        wal.write(transactions[at * share : (at + 1) * share])
        if step == "join":
            workers.append(wal.start())
            continue
        if len(workers) == 1:
            workers.append(wal.start_ready())
        worker = workers.pop(chance.randrange(len(workers)))
        if step == "kill":
            worker.kill()
        elif step == "freeze":
            worker.suspend()
            frozen.append(worker)
        else:
            worker.terminate()
            ended.append(worker)
    wal.write(transactions[len(steps) * share :])
    workers.append(wal.start_ready())
    wal.wait_for_changes(len(transactions) * ROWS)
    # They come back to a group that has gone on without them.
    for worker in frozen:
        worker.resume()
    wal.wait_for_commit()
    assert [worker.wait(30) for worker in ended] == [0] * len(ended)
    assert all(worker.is_running for worker in [*workers, *frozen])
    assert_each_once(wal.changes(), transactions)


def test_refused_output_stops_the_worker_with_nothing_after_it_stored_or_committed(
    wal: WalTopic,
) -> None:
    wal.make(wal.topics.changes, {"max.message.bytes": "300000"})
    small = usual_transaction(2)
    # Text that compression does not make small: the brokers' limit is on what they are sent.
    large = usual_transaction(4, text=random.Random(4).randbytes(400_000).hex())
    later = [usual_transaction(number) for number in range(6, 4006, 2)]
    wal.write([small])
    stitcher = wal.start_ready()
    wal.wait_for_commit()
    wal.write([large, *later])
    assert stitcher.wait(60) == EXIT_PERSON_MUST_ACT
    assert "raise max.message.bytes" in stitcher.output()
    assert wal.committed()[0] == len(small.records)
    # A change stored after the refused one would move the sink's watermark past it.
    assert_each_once(wal.changes(), [small])


def test_changes_topic_with_another_partition_count_needs_a_person(wal: WalTopic) -> None:
    wal.make(wal.topics.changes, partitions=PARTITIONS + 1)
    stitcher = wal.start()
    assert stitcher.wait(30) == EXIT_PERSON_MUST_ACT
    assert "they must be equal" in stitcher.output()


def test_unknown_setting_needs_a_person(wal: WalTopic) -> None:
    stitcher = wal.start(BEMI_STITCHER_FETCH_BYTE="1")
    assert stitcher.wait(30) == EXIT_PERSON_MUST_ACT
    assert "did you mean BEMI_STITCHER_FETCH_BYTES" in stitcher.output()


def test_broker_that_restarts_loses_and_doubles_nothing(
    wal: WalTopic, kafka_broker: KafkaBroker
) -> None:
    transactions = [usual_transaction(number) for number in range(1, 3001)]
    stitcher = wal.start_ready()
    wal.write(transactions[:1500])
    wal.wait_for_changes(1000)
    kafka_broker.kill()
    kafka_broker.start()
    wal.write(transactions[1500:])
    wal.wait_for_commit()
    assert stitcher.is_running
    assert_each_once(wal.changes(), transactions)
    assert read_topic(wal.bootstrap_servers, wal.topics.dead_letters) == []


def test_stitcher_started_before_the_broker_waits_for_it(
    wal: WalTopic, kafka_broker: KafkaBroker
) -> None:
    wal.write([usual_transaction(1), usual_transaction(2)])
    kafka_broker.stop()
    stitcher = wal.start()
    eventually(lambda: "waiting: " in stitcher.output(), timeout_seconds=60)
    kafka_broker.start()
    wal.wait_for_commit()
    assert stitcher.is_running


def test_sigterm_ends_the_worker_also_while_the_brokers_are_away(
    wal: WalTopic, kafka_broker: KafkaBroker
) -> None:
    idle = wal.start_ready(BEMI_STITCHER_STOP_SECONDS="3")
    kafka_broker.kill()
    idle.terminate()
    assert idle.wait(20) in (0, EXIT_DEFECT)
    waiting = wal.start()
    eventually(lambda: "waiting: " in waiting.output())
    waiting.terminate()
    assert waiting.wait(20) == 0


def test_records_removed_before_they_were_read_need_a_person(wal: WalTopic) -> None:
    kept = [usual_transaction(number) for number in (2, 4)]
    stitcher = wal.start_ready()
    wal.write(kept[:1])
    wal.wait_for_commit()
    stitcher.terminate()
    assert stitcher.wait(20) == 0
    wal.write([usual_transaction(6)])
    remove_records(wal, before=wal.end_offsets(wal.topics.wal)[0])
    wal.write(kept[1:])
    again = wal.start()
    assert again.wait(30) == EXIT_PERSON_MUST_ACT
    assert "6 records were removed by the topic's retention" in again.output()
    assert_each_once(wal.changes(), kept[:1])


def test_records_removed_while_the_worker_reads_need_a_person(wal: WalTopic) -> None:
    before = usual_transaction(2)
    stitcher = wal.start_ready()
    wal.write([before])
    wal.wait_for_commit()
    stitcher.suspend()
    wal.write([usual_transaction(number) for number in range(4, 4004, 2)])
    remove_records(wal, before=wal.end_offsets(wal.topics.wal)[0])
    wal.write([usual_transaction(5000)])
    stitcher.resume()
    assert stitcher.wait(60) == EXIT_PERSON_MUST_ACT
    assert "records were removed by the topic's retention" in stitcher.output()


def remove_records(wal: WalTopic, before: int) -> None:
    """Remove what is before the offset in the first partition, as retention does."""
    place = TopicPartition(wal.topics.wal, 0, before)
    for removed in wal.admin.delete_records([place]).values():
        removed.result(timeout=30)
