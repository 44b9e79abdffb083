"""Make the topics the stitcher writes to, once `.wal` is there, and know how to write.

Edge: talks to the brokers.

`.changes` has as many partitions as `.wal`, because a change goes to the partition its event
came from: that keeps (commit_lsn, ordinal) growing in each.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from runtime.errors import Retry
from runtime.kafka_client import Admin, client_settings
from runtime.kafka_topics import (
    TopicSpec,
    WrongPartitionCount,
    ensure_topics,
    partition_count,
    topic_ids,
)
from schemas.topics import Topics
from stitcher_stream.change_format import change_encoder
from stitcher_stream.change_records import Encode
from stitcher_stream.errors import WalTopicMissing
from stitcher_stream.settings import StitcherSettings

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
FIRST_ANSWER_SECONDS = 5.0  # Brokers that are away are to be seen in the log soon.

log = logging.getLogger(__name__)

T = TypeVar("T")


async def prepare(settings: StitcherSettings) -> tuple[int, Encode]:
    """Return the partition count of `.wal` and what writes `.changes`, when all topics are there.

    Waits for ever, with a line in the log each time, for brokers or a schema registry that do
    not answer and for a producer that has not started yet. Raises WrongPartitionCount where
    `.changes` does not fit `.wal`, and what the registry refuses.
    """
    admin = Admin({**client_settings(settings), "client.id": settings.group_id})

    def work() -> tuple[int, Encode]:
        return make_topics(admin, settings), change_encoder(settings)

    async def attempt() -> tuple[int, Encode]:
        return await _in_thread(work)

    return await _patiently()(attempt)


async def wal_topic_id(settings: StitcherSettings) -> str:
    """Return the id that Kafka gave `.wal` when it was made; "" while there is no such topic.

    Waits for brokers that do not answer.
    """
    topic = Topics(settings.topic_prefix).wal
    admin = Admin({**client_settings(settings), "client.id": settings.group_id})

    async def attempt() -> str:
        return await _in_thread(
            lambda: topic_ids(admin, [topic], FIRST_ANSWER_SECONDS, "Read").get(topic, "")
        )

    return await _patiently()(attempt)


def make_topics(admin: Admin, settings: StitcherSettings) -> int:
    """Return the partition count of `.wal`, with the topics for the output made.

    Raises Retry errors for what may heal, Stop errors for what does not.
    """
    topics = Topics(settings.topic_prefix)
    partitions = partition_count(admin, topics.wal, FIRST_ANSWER_SECONDS, "Read")
    if partitions is None:
        raise WalTopicMissing(f"topic {topics.wal} does not exist yet; the producer makes it")
    config = {
        "max.message.bytes": str(settings.kafka_max_message_bytes),
        "retention.ms": str(settings.changes_retention_ms),
        "cleanup.policy": "delete",
    }
    wanted = [
        TopicSpec(topics.changes, partitions, config),
        TopicSpec(topics.dead_letters, 1, config),
    ]
    if settings.leaves_changes_out:
        wanted.append(TopicSpec(topics.left_out, partitions, config))
    topic_ids(admin, [topics.wal], acl="Read")
    ensure_topics(admin, wanted)
    # Now, and not at the first dead letter.
    topic_ids(admin, [topic.name for topic in wanted], acl="Write")
    changes_partitions = partition_count(admin, topics.changes, acl="Write")
    if changes_partitions is None:
        raise Retry(f"topic {topics.changes} was made, but the brokers do not show it yet")
    if changes_partitions != partitions:
        raise WrongPartitionCount(
            f"topic {topics.changes} has {changes_partitions} partitions and {topics.wal} has "
            f"{partitions}; they must be equal. Let the sink read {topics.changes} to its end, "
            "then delete it or give it more partitions, and start again"
        )
    return partitions


def _patiently() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(Retry),
        wait=wait_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
        before_sleep=_say_why,
    )


def _say_why(attempt: RetryCallState) -> None:
    error = attempt.outcome.exception() if attempt.outcome is not None else None
    log.info("waiting: %s", error)


async def _in_thread(work: Callable[[], T]) -> T:
    """Run what blocks in a thread of its own that does not hold up the process's end.

    The event loop's own executor would: its threads are waited for.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as caught:
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, daemon=True, name="topic-setup").start()
    return await done
