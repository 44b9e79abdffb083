"""Receive what a COPY writes. Edge: libpq."""

from __future__ import annotations

import select
from collections.abc import Iterator

import psycopg
from psycopg import pq

BATCH_ROWS = 1000
BATCH_BYTES = 1024 * 1024


def copy_lines(connection: psycopg.Connection[object], statement: bytes) -> Iterator[list[bytes]]:
    """Yield the lines of a COPY without their newlines, batch by batch.

    The server sends each row as a message of its own ("COPY Operations" in the manual), so a line
    that has newlines within is one all the same. Raises psycopg.Error; when it is not
    exhausted the connection can only be closed.
    """
    pgconn = connection.pgconn
    result = pgconn.exec_(statement)
    if result.status != pq.ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(result)
    get_copy_data = pgconn.get_copy_data
    lines: list[bytes] = []
    bytes_left = BATCH_BYTES
    while True:
        size, data = get_copy_data(1)
        if size > 0:
            lines.append(bytes(data[:-1]))
            bytes_left -= size
            if len(lines) == BATCH_ROWS or bytes_left < 0:
                yield lines
                lines = []
                bytes_left = BATCH_BYTES
        elif size == 0:
            select.select([pgconn.socket], [], [])
            pgconn.consume_input()
        else:
            break
    failed = None
    while (end := pgconn.get_result()) is not None:
        if end.status == pq.ExecStatus.FATAL_ERROR:
            failed = end
    if failed is not None:
        raise psycopg.errors.error_from_result(failed)
    if lines:
        yield lines
