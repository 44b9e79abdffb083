"""The limit the stitcher is measured against: the same pure functions in a plain loop.

    topic -> stitch -> encode -> topic

`python -m bench.plain_stitcher SERVERS FROM TO`: no groups, no offsets, no rebalancing, nothing
that survives an error; it only reads from the beginning, stitches and produces.
"""

from __future__ import annotations

import sys
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from stitcher_stream.change_records import change_key, encode_within
from stitcher_stream.stitch import START, State, WalRecord, stitch

READ_RECORDS = 2000
MAX_VALUE_BYTES = 1_000_000


def main(servers: str, source: str, target: str) -> None:
    """Stitch what the topic holds, and whatever comes, until the process is ended."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "plain",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
        }
    )
    partitions = consumer.list_topics(source).topics[source].partitions
    consumer.assign([TopicPartition(source, number, OFFSET_BEGINNING) for number in partitions])
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    states: dict[int, State] = {}
    while True:
        messages: list[Any] = consumer.consume(READ_RECORDS, 0.1)
        for message in messages:
            if message.error():
                raise RuntimeError(message.error().str())
            partition = message.partition()
            record = WalRecord(
                message.key(), message.value(), message.headers() or [], message.offset()
            )
            states[partition], change = stitch(states.get(partition, START), record)
            if change is None:
                continue
            key, value = change_key(change), encode_within(change, MAX_VALUE_BYTES)
            while True:
                try:
                    producer.produce(target, value, key, partition)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
        producer.poll(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
