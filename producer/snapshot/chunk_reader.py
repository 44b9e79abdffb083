"""Read chunks and publish their rows. Edge: one connection to PostgreSQL, one Kafka client.

A chunk is done when Kafka has acknowledged every record of it, and not before. Each is read
in a transaction of its own under the shared snapshot, so that no table stays locked longer than
a chunk takes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from psycopg import sql

from producer.errors import (
    DeliveryFailed,
    RecordTooLarge,
    from_psycopg,
)
from producer.snapshot.chunks import Chunk, SnapshotTable
from producer.snapshot.copied_rows import Message as RowMessage
from producer.snapshot.copy_lines import copy_lines
from producer.snapshot.errors import TableChanged
from producer.snapshot.marks import Mark
from producer.snapshot.shared_snapshot import seen_under
from producer.snapshot.statements import copy_chunk
from producer.snapshot.table_records import TableRecords
from runtime.errors import StageError
from schemas.topics import Headers

Connection = psycopg.Connection[tuple[Any, ...]]

POLL_WHEN_FULL_SECONDS = 0.05
FLUSH_SECONDS = 1.0
QUEUE_KIB = 32 * 1024
KAFKA = {
    "enable.idempotence": True,
    "acks": "all",
    "message.timeout.ms": 0,
    "partitioner": "murmur2_random",
    # Rows come as fast as they are read: full batches cost the broker least.
    "linger.ms": 50,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 50_000,
    # A successful delivery needs no call into Python: 0.5 us a row.
    "delivery.report.only.error": True,
}

log = logging.getLogger(__name__)


class ChunkReader:
    """Reads chunks one after the other. Raises Retry or Stop, and is not used after that."""

    def __init__(
        self,
        connection: Connection,
        kafka: Mapping[str, Any],
        snapshot_name: str,
        note_rows: Callable[[int], None],
        headers: Headers | None = None,
    ) -> None:
        """Read under the snapshot of that name; `note_rows` is told how many rows were sent."""
        self._connection = connection
        self._snapshot = snapshot_name
        self._note_rows = note_rows
        self._headers = headers
        self._failure: StageError | None = None
        self._producer = Producer(
            {
                **KAFKA,
                # A row that is larger than the whole queue would wait for room for ever.
                "queue.buffering.max.kbytes": max(QUEUE_KIB, _largest_row_kib(kafka)),
                **kafka,
                "error_cb": self._note_error,
            },
            logger=log,
        )

    def read(self, table: SnapshotTable, records: TableRecords, chunk: Chunk) -> int:
        """Publish the chunk's rows; return how many there were once all are acknowledged."""
        try:
            with seen_under(self._snapshot, self._connection):
                self._check_filenode(chunk)
                rows = self._copy(table, records, chunk)
        except psycopg.Error as error:
            raise from_psycopg(error) from error
        while self._producer.flush(FLUSH_SECONDS):
            self._raise_failure()
        self._raise_failure()
        return rows

    def _copy(self, table: SnapshotTable, records: TableRecords, chunk: Chunk) -> int:
        statement = copy_chunk(table, chunk, records.columns).as_bytes(self._connection)
        first_mark, last_mark = chunk.first_mark, chunk.last_mark
        held: list[bytes] = []
        rows = 0
        for lines in copy_lines(self._connection, statement):
            rows += len(lines)
            if last_mark is not None:
                # Which row is the last one is known when there is no other.
                lines = held + lines
                held = [lines.pop()]
            now_us = time.time_ns() // 1000
            messages = []
            if first_mark is not None and lines:
                messages.append(records.marked(lines.pop(0), first_mark, now_us))
                first_mark = None
            messages += records.messages(lines, now_us)
            self._publish(records.topic, messages)
        if last_mark is not None:
            now_us = time.time_ns() // 1000
            # A snapshot's first row is that rather than the last of its table.
            if first_mark is Mark.FIRST and last_mark is not Mark.LAST:
                last_mark = first_mark
            marked = [records.marked(line, last_mark, now_us) for line in held]
            self._publish(records.topic, marked)
        return rows

    def _publish(self, topic: str, messages: list[RowMessage]) -> None:
        if self._headers is None:
            self._publish_batch(topic, messages)
        else:
            self._publish_with_headers(topic, messages, self._headers)
        self._note_rows(len(messages))

    def _publish_with_headers(
        self, topic: str, messages: list[RowMessage], headers: Headers
    ) -> None:
        produce = self._producer.produce
        for message in messages:
            while True:
                try:
                    produce(
                        topic,
                        message["value"],
                        message["key"],
                        on_delivery=self._note_delivery,
                        headers=headers,  # type: ignore[arg-type] # The stub's list is invariant.
                    )
                except BufferError:
                    self._producer.poll(POLL_WHEN_FULL_SECONDS)
                    self._raise_failure()
                except KafkaException as error:
                    raise _failure(error.args[0], topic) from error
                else:
                    break
        self._producer.poll(0)
        self._raise_failure()

    def _publish_batch(self, topic: str, messages: list[RowMessage]) -> None:
        produce_batch, note = self._producer.produce_batch, self._note_delivery
        left: list[Any] = list(messages)
        while left:
            queued = produce_batch(topic, left, on_delivery=note)
            self._producer.poll(0)
            self._raise_failure()
            if queued == len(left):
                break
            left = [message for message in left if "_error" in message]
            for message in left:
                error = message.pop("_error")
                if error.code() != KafkaError._QUEUE_FULL:
                    raise _failure(error, topic)
            self._producer.poll(POLL_WHEN_FULL_SECONDS)

    def _check_filenode(self, chunk: Chunk) -> None:
        """Raise where the heap's file is not the one that was cut into chunks.

        Under an older snapshot a table that was truncated or rewritten since looks empty.
        """
        if chunk.heap is None:
            return
        name = sql.Identifier(chunk.heap.pg_schema, chunk.heap.table)
        self._connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(name))
        row = self._connection.execute(
            "SELECT pg_relation_filenode(%s::oid)::bigint", [chunk.heap.oid]
        ).fetchone()
        if row is None or row[0] != chunk.heap.filenode:
            raise TableChanged(
                f"{chunk.heap.pg_schema}.{chunk.heap.table} was truncated or rewritten while "
                "it was read; it is read again"
            )

    def _note_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = _failure(error, message.topic() or "")

    def _note_error(self, error: KafkaError) -> None:
        if error.fatal() and self._failure is None:
            self._failure = DeliveryFailed(f"the Kafka client cannot go on: {error.str()}")

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _largest_row_kib(kafka: Mapping[str, Any]) -> int:
    return int(kafka.get("message.max.bytes", 0)) // 1024 + 1024


def _failure(error: KafkaError, topic: str) -> StageError:
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordTooLarge(
            f"a row for topic {topic} is larger than a record may be; raise "
            "BEMI_KAFKA_MAX_MESSAGE_BYTES, the topic's max.message.bytes and the brokers' "
            "message.max.bytes, then start the producer again: nothing is lost"
        )
    return DeliveryFailed(f"Kafka did not take a row for topic {topic}: {error.str()}")
