"""Counting deliveries, and what a refusal means. The rest needs a broker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from runtime.errors import Retry, Stop
from stitcher_stream.publisher import Delivery, refusal

MESSAGE = SimpleNamespace(topic=lambda: "bemi.changes")


def test_batch_is_stored_when_every_record_is_and_no_more_follow() -> None:
    async def check() -> None:
        delivery = Delivery(asyncio.get_running_loop())
        delivery.handed_over = 2
        delivery.report(None, MESSAGE)
        delivery.report(None, MESSAGE)
        delivery.handed_over += 1
        done = delivery.close()
        assert not done.done()
        delivery.report(None, MESSAGE)
        assert done.done()

    asyncio.run(check())


def test_batch_without_output_is_stored_at_once() -> None:
    async def check() -> None:
        assert Delivery(asyncio.get_running_loop()).close().done()

    asyncio.run(check())


def test_batch_with_a_refused_record_is_never_stored() -> None:
    async def check() -> None:
        delivery = Delivery(asyncio.get_running_loop())
        delivery.handed_over = 2
        delivery.report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), MESSAGE)
        delivery.report(None, MESSAGE)
        with pytest.raises(Stop, match=r"raise max\.message\.bytes"):
            await delivery.close()

    asyncio.run(check())


def test_refusal_that_nobody_can_mend_is_left_to_a_new_process() -> None:
    assert isinstance(refusal(KafkaError(KafkaError._FATAL), "bemi.changes"), Retry)
