"""Who is ended because a sink waits for the watermark that it holds, and who never is."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from sink_pg.errors import DatabaseUnavailable
from sink_pg.fencing import end_holders
from sink_pg.pg_connection import connect
from sink_pg.pg_writer import PgWriter, Stored
from sink_pg.settings import SinkSettings
from tests.fixtures.postgres import Database
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import Trail
from tests.integration.sink_pg.test_pg_writer import batch_of, is_waiting, numbered
from tests.unit.sink_pg.example_changes import TOPIC


@pytest.mark.parametrize("has_stored_before", [False, True])
def test_only_who_holds_the_very_partition_of_the_topic_is_ended(
    writer: PgWriter,
    settings: SinkSettings,
    database: Database,
    trail: Trail,
    has_stored_before: bool,
) -> None:
    if has_stored_before:
        writer.store(batch_of(numbered(2)))
    batch = batch_of(numbered(5), writer.watermarks([0]))
    with (
        database.connect() as other,
        ThreadPoolExecutor(1) as pool,
        closing(connect(settings)) as waiting,
    ):
        with other.transaction():
            # It has moved its watermark and then goes no further.
            other.execute("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE")
            storing: Future[Stored] = pool.submit(writer.store, batch)
            eventually(lambda: is_waiting(trail))
            assert end_holders(waiting, "other.changes", [0, 1]) == 0
            assert end_holders(waiting, TOPIC, [1]) == 0
            assert not storing.done()
            assert end_holders(waiting, TOPIC, [0]) == 1
            with pytest.raises(DatabaseUnavailable):
                storing.result(timeout=30.0)
        assert end_holders(waiting, TOPIC, [0]) == 0
    assert trail.count() == (2 if has_stored_before else 0)


def test_sinks_of_two_topics_store_their_first_records_at_the_same_time(
    settings: SinkSettings, writer: PgWriter, database: Database, trail: Trail
) -> None:
    with (
        closing(PgWriter(settings, "other.changes")) as other_topic,
        ThreadPoolExecutor(1) as pool,
        database.connect() as holder,
    ):
        with holder.transaction():
            holder.execute("LOCK TABLE changes IN SHARE MODE")
            storing: Future[Stored] = pool.submit(writer.store, batch_of(numbered(3)))
            eventually(lambda: is_waiting(trail))
            # What only goes to the dead letters does not wait for `changes`.
            unreadable = numbered(1)[0]._replace(value=b"no change")
            stored = other_topic.store(batch_of([unreadable]))
            assert stored == Stored(rows=0, dead_letters=1, redelivered=0)
        assert storing.result(timeout=30.0).rows == 3
