"""The replication stream alone, on a real server."""

from __future__ import annotations

import fcntl
import struct
import termios
from contextlib import closing

from psycopg.conninfo import conninfo_to_dict

from producer.replication_stream import ReplicationStream
from schemas.change_id import Lsn
from tests.fixtures.postgres import Database
from tests.fixtures.waiting import eventually

SLOT = "stream_test"
# Several times what libpq takes from the socket at once, and less than a socket holds.
ENOUGH_BYTES = 60_000


def test_what_has_arrived_is_read_before_anything_waits(database: Database) -> None:
    with closing(database.connect()) as connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY, note text)")
        connection.execute("CREATE PUBLICATION p FOR TABLE t")
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [SLOT])
        connection.execute(
            "INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 2000) i"
        )
        with closing(ReplicationStream.connect(conninfo_to_dict(database.dsn))) as stream:
            stream.start(SLOT, "p", Lsn(0))
            eventually(lambda: _waiting_bytes(stream) >= ENOUGH_BYTES)

            waits = 0

            def wait() -> None:
                nonlocal waits
                waits += 1

            read = 0
            while read < ENOUGH_BYTES:
                read += sum(map(len, stream.read(5.0, before_waiting=wait)))
            assert waits == 0

            while stream.read(0.1, before_waiting=wait):
                pass
            assert waits > 0


def _waiting_bytes(stream: ReplicationStream) -> int:
    """Return how much has arrived that nobody has taken from the socket."""
    (count,) = struct.unpack("i", fcntl.ioctl(stream.fileno(), termios.FIONREAD, bytes(4)))
    return int(count)
