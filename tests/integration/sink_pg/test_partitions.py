"""Partitions of `changes` are made ahead, take their rows along, and go when they are old."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from runtime.errors import Retry
from sink_pg import partitions
from sink_pg.batch import Batch, BatchLimits
from sink_pg.errors import DatabaseRefused, TooManyRowsToMove
from sink_pg.partitions import (
    default_partition,
    list_partitions,
    make,
    make_upcoming,
    times_in_default,
)
from sink_pg.periods import Period
from sink_pg.pg_connection import Connection, connect
from sink_pg.pg_writer import PgWriter
from sink_pg.retention import ROWS_PER_DELETE, find_expired, remove_expired
from sink_pg.settings import SinkSettings
from tests.fixtures.postgres import Database
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import Trail
from tests.unit.sink_pg.example_changes import change, record

UTC = timezone.utc
NOW = datetime(2026, 11, 24, 18, 5, tzinfo=UTC)
LIMITS = BatchLimits(rows=100_000, bytes=10**9, age_seconds=0.0)
PLACES = "SELECT tableoid::regclass::text, count(*) FROM changes GROUP BY 1 ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Table:
    """The table `changes`, as the sink's upkeep sees it."""

    writer: PgWriter
    connection: Connection

    def fill(self, *times: datetime, each: int = 1) -> None:
        """Store changes that were committed then."""
        batch = Batch(LIMITS, self.writer.watermarks([0]))
        first = (
            next(iter(self.writer.watermarks([0]).values())).next_offset
            if (self.writer.watermarks([0]))
            else 0
        )
        stored = [time for time in times for _ in range(each)]
        batch.add(
            [
                record(change(n, committed_at=time.isoformat()), offset=n)
                for n, time in enumerate(stored, first)
            ],
            now=0.0,
        )
        self.writer.store(batch)

    def places(self) -> dict[str, int]:
        """Return how many rows each partition has."""
        rows: list[Any] = self.connection.execute(PLACES).fetchall()
        return {name.removeprefix("bemi_changes_"): count for name, count in rows}

    def names(self) -> list[str]:
        """Return the partitions' names, oldest first."""
        return [
            each.name.removeprefix("bemi_changes_") for each in list_partitions(self.connection)
        ]


@pytest.fixture
def table(writer: PgWriter, settings: SinkSettings) -> Iterator[Table]:
    """Return the table without a partition but the default."""
    with closing(connect(settings)) as connection:
        yield Table(writer, connection)


@contextmanager
def a_reader_of(database: Database, partition: str) -> Iterator[None]:
    with database.connect() as other, other.transaction():
        other.execute(f"SELECT count(*) FROM {partition}")
        yield


def never() -> bool:
    return False


def test_rows_go_to_the_partition_of_their_time(table: Table) -> None:
    assert make_upcoming(table.connection, Period.MONTH, NOW) == [
        f"bemi_changes_y{month}" for month in ("2026m11", "2026m12", "2027m01", "2027m02")
    ]
    assert make_upcoming(table.connection, Period.MONTH, NOW) == []
    table.fill(NOW, NOW + timedelta(days=30), NOW - timedelta(days=300))
    assert table.places() == {"y2026m11": 1, "y2026m12": 1, "default": 1}


def test_new_partition_has_the_indexes_of_the_table(table: Table) -> None:
    make_upcoming(table.connection, Period.MONTH, NOW)
    unmatched = table.connection.execute(
        "SELECT count(*) FROM pg_index AS parent"
        " JOIN pg_inherits AS link ON link.inhparent = 'changes'::regclass"
        " WHERE parent.indrelid = 'changes'::regclass AND NOT EXISTS ("
        "  SELECT FROM pg_inherits AS child JOIN pg_index ON indexrelid = child.inhrelid"
        "  WHERE child.inhparent = parent.indexrelid AND indrelid = link.inhrelid)"
    ).fetchone()
    assert unmatched == (0,)
    twice = table.connection.execute(
        "SELECT count(*) FROM pg_index WHERE indrelid = 'bemi_changes_y2026m11'::regclass"
    ).fetchone()
    assert twice == (3,)


def test_rows_of_a_new_partition_are_moved_out_of_the_default(table: Table) -> None:
    table.fill(NOW, NOW + timedelta(days=10), datetime(2024, 2, 29, tzinfo=UTC), each=3)
    before = table.connection.execute("SELECT * FROM changes ORDER BY id").fetchall()
    make_upcoming(table.connection, Period.MONTH, NOW)
    assert table.places() == {"y2026m11": 3, "y2026m12": 3, "default": 3}
    assert times_in_default(table.connection) == [datetime(2024, 2, 29, tzinfo=UTC)]
    make(table.connection, Period.MONTH, times_in_default(table.connection))
    assert table.places() == {"y2026m11": 3, "y2026m12": 3, "y2024m02": 3}
    assert table.connection.execute("SELECT * FROM changes ORDER BY id").fetchall() == before


def test_partition_with_too_many_rows_to_move_is_left_out_and_the_others_are_made(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.fill(NOW, each=4)
    monkeypatch.setattr(partitions, "MOST_ROWS_MOVED", 3)
    with pytest.raises(TooManyRowsToMove, match="bemi-sink partitions"):
        make_upcoming(table.connection, Period.MONTH, NOW)
    assert table.names() == ["y2026m12", "y2027m01", "y2027m02", "default"]
    assert table.places() == {"default": 4}


def test_several_sinks_make_each_partition_once(table: Table, settings: SinkSettings) -> None:
    table.fill(NOW, each=50)
    connections = [connect(settings) for _ in range(4)]
    with ThreadPoolExecutor(len(connections)) as pool:
        made = list(pool.map(lambda c: make_upcoming(c, Period.DAY, NOW), connections))
    assert sorted(name for names in made for name in names) == [
        f"bemi_changes_y2026m11d{day}" for day in (24, 25, 26, 27)
    ]
    assert table.places() == {"y2026m11d24": 50}
    for connection in connections:
        connection.close()


def test_period_may_be_changed_while_partitions_stand(table: Table) -> None:
    make_upcoming(table.connection, Period.DAY, NOW)
    make_upcoming(table.connection, Period.MONTH, NOW)
    make_upcoming(table.connection, Period.WEEK, NOW)
    times = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in range(1, 31)]
    table.fill(*times)
    assert "default" not in table.places()
    assert sum(table.places().values()) == 30


def test_readers_of_other_partitions_do_not_hold_up_a_new_one(
    table: Table, database: Database
) -> None:
    make_upcoming(table.connection, Period.MONTH, NOW)
    with a_reader_of(database, "bemi_changes_y2026m11"):
        assert make_upcoming(table.connection, Period.MONTH, NOW + timedelta(days=30)) == [
            "bemi_changes_y2027m03"
        ]


def test_partition_that_is_read_is_dropped_another_time(
    table: Table, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_upcoming(table.connection, Period.MONTH, NOW)
    table.fill(NOW)
    cutoff = datetime(2026, 12, 1, tzinfo=UTC)
    with a_reader_of(database, "changes"), pytest.raises(Retry, match="55P03"):
        remove_expired(table.connection, cutoff, never)
    assert table.places() == {"y2026m11": 1}
    assert len(remove_expired(table.connection, cutoff, never).partitions) == 1
    assert table.places() == {}


def test_only_what_is_older_than_the_cutoff_is_removed(table: Table) -> None:
    make(table.connection, Period.MONTH, [NOW, NOW + timedelta(days=30)])
    late = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    ancient = datetime(2020, 1, 1, tzinfo=UTC)
    table.fill(NOW, late, late + timedelta(microseconds=1), ancient)
    table.fill(ancient, each=ROWS_PER_DELETE)
    cutoff = late
    assert find_expired(table.connection, cutoff) == ([], ROWS_PER_DELETE + 1)
    assert remove_expired(table.connection, cutoff, never) == ([], ROWS_PER_DELETE + 1)
    assert table.places() == {"y2026m11": 2, "y2026m12": 1}
    cutoff = late + timedelta(microseconds=1)
    (expired,) = find_expired(table.connection, cutoff).partitions
    removed = remove_expired(table.connection, cutoff, never)
    assert [each.name for each in removed.partitions] == [expired.name]
    assert table.places() == {"y2026m12": 1}
    assert remove_expired(table.connection, cutoff, never) == ([], 0)
    gone = table.connection.execute("SELECT to_regclass('bemi_changes_y2026m11')").fetchone()
    assert gone == (None,)


def test_table_without_a_default_partition_has_its_upkeep_all_the_same(table: Table) -> None:
    table.connection.execute("DROP TABLE bemi_changes_default")
    make_upcoming(table.connection, Period.MONTH, NOW)
    assert default_partition(table.connection) is None
    assert times_in_default(table.connection) == []
    removed = remove_expired(table.connection, datetime(2027, 1, 1, tzinfo=UTC), never)
    assert len(removed.partitions) == 2
    assert table.names() == ["y2027m01", "y2027m02"]


def test_bounds_are_read_whatever_the_servers_forms_of_time_are(
    table: Table, database: Database
) -> None:
    make_upcoming(table.connection, Period.MONTH, NOW)
    expected = list_partitions(table.connection)
    table.connection.execute("SET datestyle = 'German'")
    table.connection.execute("SET timezone = 'Asia/Kathmandu'")
    assert list_partitions(table.connection) == expected
    table.connection.execute(
        "CREATE TABLE bemi_changes_old PARTITION OF changes"
        " FOR VALUES FROM (MINVALUE) TO ('0044-03-15 BC')"
    )
    assert len(list_partitions(table.connection)) == len(expected) + 1


def test_role_that_may_not_create_tables_is_told_what_to_run(
    table: Table, database: Database
) -> None:
    role = f"{database.name}_writer"
    table.connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'writer'")
    try:
        table.connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        table.connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        environ = {**database.environ, "DB_USER": role, "DB_PASSWORD": "writer"}
        with (
            closing(connect(SinkSettings.from_environ(environ))) as connection,
            pytest.raises(DatabaseRefused, match="bemi-sink partitions"),
        ):
            make_upcoming(connection, Period.MONTH, NOW)
    finally:
        table.connection.execute(f"DROP OWNED BY {role}")
        table.connection.execute(f"DROP ROLE {role}")


def test_trail_counts_moved_rows_once_while_they_are_moved(
    table: Table, database: Database, trail: Trail
) -> None:
    table.fill(NOW, each=2_000)
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make_upcoming, table.connection, Period.MONTH, NOW)
        counts = {trail.count()}
        while not making.done():
            counts.add(trail.count())
        making.result()
    assert counts | {trail.count()} == {2_000}


def test_partition_that_somebody_dropped_is_made_again_and_takes_what_came_since(
    table: Table,
) -> None:
    make_upcoming(table.connection, Period.MONTH, NOW)
    table.fill(NOW, each=2)
    table.connection.execute("DROP TABLE bemi_changes_y2026m11")
    table.fill(NOW, each=3)
    assert table.places() == {"default": 3}
    make_upcoming(table.connection, Period.MONTH, NOW)
    assert table.places() == {"y2026m11": 3}


def test_batch_that_meets_a_new_partition_half_way_is_stored_whole(
    table: Table, settings: SinkSettings
) -> None:
    with closing(connect(settings)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN")
        other.execute("LOCK TABLE bemi_changes_default IN ACCESS EXCLUSIVE MODE")
        storing = pool.submit(table.fill, NOW, each=10)
        eventually(lambda: waits(table))
        other.execute("CREATE TABLE bemi_changes_x (LIKE changes INCLUDING ALL)")
        other.execute(
            "ALTER TABLE changes ATTACH PARTITION bemi_changes_x"
            " FOR VALUES FROM ('2026-11-01Z') TO ('2026-12-01Z')"
        )
        other.execute("COMMIT")
        storing.result(timeout=30.0)
    assert table.places() == {"x": 10}


def waits(table: Table) -> bool:
    found = table.connection.execute(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).fetchone()
    return found == (1,)
