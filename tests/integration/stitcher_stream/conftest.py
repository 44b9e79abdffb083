"""The topics of one pipeline, for the stitcher's tests."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient

from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.stages import StartStage
from tests.integration.stitcher_stream.wal_topic import WalTopic


@pytest.fixture
def wal(kafka_broker: KafkaBroker, topic_prefix: str, start_stage: StartStage) -> WalTopic:
    """Return the pipeline's topics; `.wal` is made, and nothing else."""
    kafka_broker.start()
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    topics = WalTopic(kafka_broker.bootstrap_servers, topic_prefix, admin, start_stage)
    topics.make(topics.topics.wal, {"max.message.bytes": str(64 * 1024 * 1024)})
    return topics
