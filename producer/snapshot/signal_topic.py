"""Read signals from a Kafka topic. Edge: librdkafka.

A record counts for the producer whose topic prefix is its key. Its offset is committed once
what it asks for is stored, so a signal is acted on once or, after a kill, twice: starting,
stopping or pausing a snapshot twice is the same as once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException

from producer.snapshot.signals import Signal, SignalRefused, parse_signal_record

log = logging.getLogger(__name__)


class SignalTopic:
    """The topic of signal.kafka.topic; to be closed."""

    def __init__(
        self, client: Mapping[str, Any], topic: str, group: str, topic_prefix: str
    ) -> None:
        self._key = topic_prefix.encode()
        self._consumer = Consumer(
            {
                **client,
                "group.id": group,
                "enable.auto.commit": False,
                # What was sent before the first start was meant for nobody.
                "auto.offset.reset": "latest",
            },
            logger=log,
        )
        self._consumer.subscribe([topic])

    def take(self, act: Callable[[str, Signal], None]) -> None:
        """Act on the signals that have come; never waits."""
        while (message := self._consumer.poll(0)) is not None:
            error = message.error()
            if error is not None:
                log.warning("cannot read signals: %s", error.str())
                return
            if message.key() == self._key:
                try:
                    signal_id, signal = parse_signal_record(_bytes(message.value()))
                    if signal is not None:
                        act(signal_id, signal)
                except SignalRefused as refused:
                    log.warning("signal refused: %s", refused)
            try:
                self._consumer.commit(message=message, asynchronous=True)
            except KafkaException as failed:
                log.info("the offset of a signal is not committed: %s", failed)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
