"""End the transaction of a sink that has moved a watermark and gone silent. Edge: psycopg.

The group gives the partitions of a frozen or vanished sink to another within seconds, but its
transaction stays: it holds the lock on the watermark until the server sees that its client is
gone, which takes TCP two hours by default, or for ever where the machine still answers for a
frozen process. No timeout of the server's ends a COPY that waits for its data.

Ending it loses nothing: who waits for the lock was given the partitions by the group, and what
was not committed is read again from the watermark. Nobody is ended but who holds the watermark
of these very partitions of this topic: several sinks may share a destination.
"""

from __future__ import annotations

from collections.abc import Iterable

from sink_pg.pg_connection import Connection
from sink_pg.statements import statement


def end_holders(connection: Connection, topic: str, partitions: Iterable[int]) -> int:
    """End the sessions that hold the partitions' watermarks; return how many they were.

    Those of other roles are left alone. Raises psycopg.Error.
    """
    parameters = {"topic": topic, "partitions": list(partitions)}
    return len(connection.execute(statement("end_holders"), parameters).fetchall())
