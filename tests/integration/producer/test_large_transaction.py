"""A transaction that is larger than any buffer: none of it is kept, lost or confirmed too early.

`BEMI_TEST_LARGE_ROWS=1000000` runs the same with so many rows; `-s` then shows the figures.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.fixtures.capture import Capture
from tests.fixtures.stages import StageProcess
from tests.fixtures.waiting import eventually

ROWS = int(os.environ.get("BEMI_TEST_LARGE_ROWS", "60000"))
SMALLER = ROWS // 10
ARRIVAL_SECONDS = 60 + ROWS / 5000
MORE_KIB = 24 * 1024
"""How much more memory ten times the rows may take: the Kafka client's queues fill meanwhile."""


@pytest.fixture
def item(capture: Capture) -> Capture:
    """Return a capture of an empty table, its producer not started."""
    capture.execute("CREATE TABLE item (id int PRIMARY KEY, note text, amount numeric(9,2))")
    return capture


def insert(item: Capture, first: int, rows: int) -> None:
    item.execute(
        "INSERT INTO item SELECT g, repeat('x', 200), g / 100.0"
        f" FROM generate_series({first}, {first + rows - 1}) g"
    )


def arrived(item: Capture) -> int:
    """Return how many records the table's topic holds, without reading them."""
    consumer = Consumer(
        {"bootstrap.servers": item.kafka_broker.bootstrap_servers, "group.id": "counts"}
    )
    try:
        topic = TopicPartition(item.topics.table("public", "item"), 0)
        _, end = consumer.get_watermark_offsets(topic, 20)
        return int(end)
    finally:
        consumer.close()


def peak_kib(stage: StageProcess) -> int:
    """Return the most memory the process has had."""
    status = Path(f"/proc/{stage.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def wait_until_confirmed(item: Capture) -> None:
    end = item.current_lsn()
    eventually(lambda: item.confirmed_lsn() >= end, ARRIVAL_SECONDS)


def test_ten_times_the_rows_take_no_more_memory(item: Capture) -> None:
    stage = item.start()
    insert(item, 0, SMALLER)
    wait_until_confirmed(item)
    before = peak_kib(stage)
    insert(item, SMALLER, ROWS)
    wait_until_confirmed(item)
    after = peak_kib(stage)
    print(f"peak memory: {before} KiB after {SMALLER} rows, {after} KiB after {ROWS}")
    assert arrived(item) == SMALLER + ROWS
    assert after - before < MORE_KIB


def test_killed_in_the_middle_of_a_transaction_it_sends_all_of_it_again(
    item: Capture,
) -> None:
    stage = item.start()
    insert(item, -1, 1)  # So that the topic is there.
    wait_until_confirmed(item)
    before = item.confirmed_lsn()
    insert(item, 0, ROWS)
    end = item.current_lsn()
    eventually(lambda: arrived(item) > ROWS // 4, ARRIVAL_SECONDS)
    stage.kill()
    cut_off = arrived(item) - 1
    assert cut_off < ROWS, "it was through before it was killed"
    assert before <= item.confirmed_lsn() < end
    item.wait_until_slot_is_free()
    item.start()
    wait_until_confirmed(item)
    values = [record.json()["after"]["id"] for record in item.table("item")]
    print(f"{cut_off} of {ROWS} rows had arrived at the kill, {len(values) - 1} arrived in all")
    assert values[1 : cut_off + 1] == list(range(cut_off))
    assert values[cut_off + 1 :] == list(range(ROWS))
