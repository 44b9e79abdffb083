"""Read chunks in processes of their own. Edge.

Python's lock lets one thread encode at a time, so each reader is a process, with a connection
and a Kafka client of its own. A reader never outlives its parent: rows that it published after
a later start had begun to stream would put old rows over newer ones.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import psycopg

from producer.event_writer import EventWriter
from producer.pgoutput import Relation
from producer.snapshot.chunk_reader import ChunkReader
from producer.snapshot.chunks import Chunk, SnapshotTable
from producer.snapshot.errors import ReaderDied
from producer.snapshot.marks import Mark, Reading
from producer.snapshot.table_records import TableRecords
from producer.table_shape import TableShape
from runtime.errors import StageError
from runtime.logs import LogFormat, configure_logs
from schemas.topics import Headers

WAIT_SECONDS = 0.2
END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ReadParts:
    """What a reader works with; made in its own process."""

    connection: psycopg.Connection[tuple[Any, ...]]
    kafka: Mapping[str, Any]
    """librdkafka's configuration of the connection to the brokers, compression, limits."""
    writer: EventWriter
    shape: Callable[[Relation], TableShape]
    topic: Callable[[str, str], str]
    """From schema and table."""
    headers: Headers | None = None
    """What each record carries."""


@dataclass(frozen=True, slots=True)
class ReaderStart:
    """What a reader is started with; goes to another process."""

    make_parts: Callable[[], ReadParts]
    snapshot_name: str
    reading: Reading
    tables: Mapping[int, SnapshotTable]
    log_level: str = "INFO"
    log_format: LogFormat = "text"


class _Rows(NamedTuple):
    """So many rows more were handed to Kafka."""

    rows: int


class _Done(NamedTuple):
    """The chunk is acknowledged."""


class Readers:
    """Reader processes, each at one chunk at a time; to be closed."""

    def __init__(self, start: ReaderStart, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._processes: dict[Pipe, BaseProcess] = {}
        self._at_work: dict[Pipe, Chunk] = {}
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_read_chunks, args=(theirs, start), name=f"snapshot reader {number + 1}"
            )
            process.start()
            theirs.close()
            self._processes[ours] = process

    def run(
        self,
        chunks: Iterable[Chunk],
        *,
        note_rows: Callable[[int], None],
        note_done: Callable[[Chunk], None],
        stopping: threading.Event,
    ) -> bool:
        """Read all chunks; returns whether all were read, False when asked to stop.

        The chunk that ends in the snapshot's last row is read after all others are done.
        Raises what a reader raised.
        """
        left = deque(chunks)
        idle = list(self._processes)
        while left or self._at_work:
            while left and idle and not (left[0].last_mark is Mark.LAST and self._at_work):
                pipe, chunk = idle.pop(), left.popleft()
                self._at_work[pipe] = chunk
                try:
                    pipe.send(chunk)
                except OSError:
                    self._raise_death(pipe)
            if stopping.is_set():
                return False
            ready = wait(list(self._at_work), WAIT_SECONDS)
            for pipe in [pipe for pipe in self._at_work if pipe in ready]:
                try:
                    said = pipe.recv()
                except (EOFError, OSError):
                    self._raise_death(pipe)
                if isinstance(said, _Rows):
                    note_rows(said.rows)
                elif isinstance(said, _Done):
                    note_done(self._at_work.pop(pipe))
                    idle.append(pipe)
                else:
                    raise said
        return True

    def close(self) -> None:
        """End the readers at once: what they have not finished is read again."""
        for pipe, process in self._processes.items():
            process.kill()
            process.join(END_SECONDS)
            pipe.close()

    def _raise_death(self, pipe: Pipe) -> None:
        process = self._processes[pipe]
        process.join(END_SECONDS)
        raise ReaderDied(f"a {process.name} ended with exit code {process.exitcode}")


def _read_chunks(pipe: Pipe, start: ReaderStart) -> None:
    """Read the chunks that come by the pipe until it is closed: a reader's whole life."""
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, signal.SIG_IGN)  # The parent decides.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    configure_logs(start.log_level, start.log_format, "producer")
    try:
        parts = start.make_parts()
        with closing(parts.connection):
            reader = ChunkReader(
                parts.connection,
                parts.kafka,
                start.snapshot_name,
                lambda count: pipe.send(_Rows(count)),
                parts.headers,
            )
            records: dict[int, TableRecords] = {}
            while True:
                chunk: Chunk = pipe.recv()
                table = start.tables[chunk.table_oid]
                if chunk.table_oid not in records:
                    records[chunk.table_oid] = _records(parts, table.relation, start.reading)
                reader.read(table, records[chunk.table_oid], chunk)
                pipe.send(_Done())
    except EOFError:
        return
    except StageError as error:
        pipe.send(error)


def _records(parts: ReadParts, relation: Relation, reading: Reading) -> TableRecords:
    shape = parts.shape(relation)
    topic = parts.topic(shape.pg_schema, shape.table)
    return TableRecords(parts.writer, relation, parts.writer.relation(shape, topic), reading)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
