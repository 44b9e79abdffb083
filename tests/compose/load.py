"""Somebody who writes to the stack's database all the time, and what must arrive of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.compose.stack import Stack
from tests.fixtures.waiting import eventually

ARRIVAL_SECONDS = 120.0


class Load:
    """A table that a thread writes to, and what it has committed."""

    def __init__(self, stack: Stack, table: str) -> None:
        self._stack = stack
        self._table = table
        self._stopping = threading.Event()
        self.committed: list[int] = []
        with stack.database() as connection:
            connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Write one transaction after the other as long as the block lasts."""
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            eventually(lambda: len(self.committed) > 100)
            yield
        finally:
            self._stopping.set()
            thread.join()

    def _write(self) -> None:
        with self._stack.database() as connection:
            while not self._stopping.is_set():
                number = len(self.committed)
                connection.execute(f"INSERT INTO {self._table} VALUES (%s)", [number])
                self.committed.append(number)

    def stored(self) -> list[int]:
        """Return the rows that `changes` has, in order."""
        with self._stack.database() as connection:
            rows = connection.execute(
                """SELECT (after ->> 'id')::int AS id FROM changes WHERE "table" = %s ORDER BY 1""",
                [self._table],
            )
            return [row["id"] for row in rows]

    def arrives(self) -> None:
        """Wait until exactly what was committed is stored, each once."""

        def check() -> None:
            stored = self.stored()
            assert len(stored) >= len(self.committed)
            assert stored == self.committed

        eventually(check, ARRIVAL_SECONDS)
