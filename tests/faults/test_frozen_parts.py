"""A part is frozen, another takes over, and it comes back believing that nothing happened."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.faults.under_load import wait_for_transactions, wait_until_stored, writing
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.load import SCHEMA
from tests.fixtures.pipeline import COMMANDS, READY_SECONDS, Pipeline
from tests.fixtures.waiting import eventually

# The brokers allow no less: so long the others wait until they take over.
SESSION_TIMEOUT = {"BEMI_STITCHER_SESSION_TIMEOUT_SECONDS": "6"}


def start_second(pipeline: Pipeline, name: str) -> None:
    """Start another process of the stage beside the first."""
    second = f"second {name}"
    pipeline.stages[second] = pipeline.start_stage(second, COMMANDS[name], pipeline.environ)
    eventually(lambda: "ready" in pipeline.stages[second].output(), READY_SECONDS)


def copy_waits_for(pipeline: Pipeline, wait_event_type: str) -> bool:
    """Tell whether the sink is writing rows and its server process waits for such a thing."""
    with closing(pipeline.database.connect()) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'bemi-sink'"
            " AND query ILIKE 'COPY%%' AND wait_event_type = %s",
            [wait_event_type],
        ).fetchone()
    return found is not None


def test_a_stitcher_and_a_sink_frozen_until_others_took_over_do_no_harm_when_they_come_back(
    pipeline: Pipeline, kafka_broker: KafkaBroker
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.environ |= SESSION_TIMEOUT
    pipeline.start()
    with writing(pipeline) as writers:
        start_second(pipeline, "stitcher")
        start_second(pipeline, "sink")
        wait_for_transactions(writers)
        frozen = [pipeline.stages["stitcher"], pipeline.stages["sink"]]
        for stage in frozen:
            stage.suspend()
        wait_for_transactions(writers)
        # Only others can store what is in the partitions of the frozen.
        wait_until_stored(pipeline, writers)
        for stage in frozen:
            stage.resume()
        wait_for_transactions(writers)
        kafka_broker.stop()
        kafka_broker.start()
        wait_for_transactions(writers)


@pytest.mark.parametrize("transactions_before", [1, 30])
def test_a_sink_frozen_in_the_middle_of_its_transaction_does_not_hold_up_the_others(
    pipeline: Pipeline, transactions_before: int
) -> None:
    pipeline.execute(SCHEMA)
    pipeline.start()
    with writing(pipeline) as writers:
        # The watermark that the frozen sink holds is its partition's first, or a later one.
        wait_for_transactions(writers, transactions_before)
        with closing(pipeline.database.connect()) as holder, holder.transaction():
            holder.execute("LOCK TABLE changes IN SHARE MODE")
            # What waits to write rows has moved a watermark before, in the same transaction.
            eventually(lambda: copy_waits_for(pipeline, "Lock"))
            pipeline.stages["sink"].suspend()
        eventually(lambda: copy_waits_for(pipeline, "Client"))
        start_second(pipeline, "sink")
        wait_until_stored(pipeline, writers)
        pipeline.stages["sink"].resume()
        wait_for_transactions(writers)
