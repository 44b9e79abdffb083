"""Change random rows of the table `item` in random transactions, until told to stop."""

from __future__ import annotations

import random
import threading
from contextlib import closing

import psycopg

from tests.fixtures.postgres import Database


class RandomWriters:
    """Connections that write at the same time; a row's versions only grow, in the commits' order.

    Keys go from 1 to `keys`; `item` has a key `id` and a `version`.
    """

    def __init__(self, database: Database, seed: int, keys: int, count: int = 2) -> None:
        self._database = database
        self._keys = range(1, keys + 1)
        self._ended = threading.Event()
        self.failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(seed + number),))
            for number in range(count)
        ]

    def __enter__(self) -> RandomWriters:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        assert not self.failures

    def _run(self, choose: random.Random) -> None:
        try:
            with closing(self._database.connect()) as connection:
                while not self._ended.is_set():
                    with connection.transaction(force_rollback=choose.random() < 0.1):
                        # In the keys' order, so that two never wait for each other.
                        for key in sorted(choose.sample(self._keys, choose.randint(1, 5))):
                            self._change(connection, choose, key)
        except BaseException as error:
            self.failures.append(error)

    def _change(
        self,
        connection: psycopg.Connection[tuple[object, ...]],
        choose: random.Random,
        key: int,
    ) -> None:
        if choose.random() < 0.2:
            connection.execute("DELETE FROM item WHERE id = %s", [key])
            return
        # The row is locked before its version is drawn.
        connection.execute("SELECT FROM item WHERE id = %s FOR UPDATE", [key])
        connection.execute(
            "INSERT INTO item VALUES (%s, nextval('version'), 'new')"
            " ON CONFLICT (id) DO UPDATE SET version = nextval('version')",
            [key],
        )
