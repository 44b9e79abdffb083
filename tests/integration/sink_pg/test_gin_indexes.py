"""GIN indexes stand on the partitions that are to have them, whole, built once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from sink_pg.gin_indexes import CLOSED_AFTER, Which, build_gin_indexes
from sink_pg.partitions import make
from sink_pg.periods import Period
from sink_pg.pg_connection import Connection, connect
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import ChangesTopic, StartSink, Trail
from tests.integration.sink_pg.test_delivery import until_stored
from tests.unit.sink_pg.example_changes import change

UTC = timezone.utc
OCTOBER = datetime(2026, 10, 5, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 5, tzinfo=UTC)
INDEXED = """
SELECT replace(indrelid::regclass::text, 'bemi_changes_', ''), count(*)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE amname = 'gin' AND indisvalid AND indrelid::regclass::text LIKE 'bemi%'
GROUP BY 1 ORDER BY 1
"""


@pytest.fixture
def connections(writer: PgWriter, settings: SinkSettings) -> Iterator[list[Connection]]:
    """Make the partitions of two months and return connections for two sinks."""
    with ExitStack() as stack:
        made = [stack.enter_context(closing(connect(settings))) for _ in range(4)]
        make(made[0], Period.MONTH, [OCTOBER, NOVEMBER])
        yield made


def build(connections: list[Connection], which: Which, now: datetime = NOVEMBER) -> int:
    return build_gin_indexes(connections[0], connections[1], which, now, lambda: False)


def indexed(trail: Trail) -> dict[str, int]:
    rows: list[Any] = trail.connection.execute(INDEXED).fetchall()
    return dict(rows)


def test_closed_partitions_get_them_once_no_more_rows_come(
    connections: list[Connection], trail: Trail
) -> None:
    end = datetime(2026, 11, 1, tzinfo=UTC)
    assert build(connections, "closed", end + CLOSED_AFTER - timedelta(seconds=1)) == 0
    assert build(connections, "closed", end + CLOSED_AFTER) == 3
    assert indexed(trail) == {"y2026m10": 3}
    assert build(connections, "closed", end + CLOSED_AFTER) == 0


def test_all_partitions_get_them_where_that_is_asked(
    connections: list[Connection], trail: Trail
) -> None:
    assert build(connections, "none") == 0
    assert build(connections, "all") == 9
    assert indexed(trail) == {"default": 3, "y2026m10": 3, "y2026m11": 3}
    trail.connection.execute("SET enable_seqscan = off")
    plan: list[Any] = trail.connection.execute(
        """EXPLAIN SELECT * FROM changes WHERE context @> '{"user_id": 7}'"""
    ).fetchall()
    assert sum("Bitmap Index Scan" in line for (line,) in plan) == 3


def test_index_that_stands_under_another_name_is_not_built_again(
    connections: list[Connection], trail: Trail
) -> None:
    trail.connection.execute(
        "CREATE INDEX own_name ON bemi_changes_y2026m10 USING gin (after jsonb_path_ops)"
    )
    assert build(connections, "closed") == 2
    assert indexed(trail) == {"y2026m10": 3}


def test_index_of_an_attempt_that_was_cut_short_is_built_again(
    connections: list[Connection], trail: Trail
) -> None:
    build(connections, "closed")
    trail.connection.execute(
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'bemi_changes_y2026m10_after_idx'::regclass"
    )
    assert build(connections, "closed") == 1
    assert indexed(trail) == {"y2026m10": 3}


def test_of_two_sinks_one_builds(connections: list[Connection], trail: Trail) -> None:
    with ThreadPoolExecutor(2) as pool:
        built = list(pool.map(lambda pair: build(pair, "all"), (connections[:2], connections[2:])))
    assert 9 in built
    assert indexed(trail) == {"default": 3, "y2026m10": 3, "y2026m11": 3}


def test_running_sink_builds_them(
    changes_topic: ChangesTopic, start_sink: StartSink, trail: Trail
) -> None:
    start_sink(BEMI_SINK_GIN_INDEXES="all", BEMI_SINK_PARTITION_BY="month")
    changes_topic.publish([change(1)])
    until_stored(trail, 1)
    eventually(lambda: sum(indexed(trail).values()) == 15)
