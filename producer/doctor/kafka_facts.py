"""Look at brokers, topics and groups for the doctor; changes nothing. Edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from producer.doctor.facts import GroupFacts, KafkaFacts, TopicFacts
from runtime.group_lag import GroupLag
from runtime.kafka_client import Admin, BrokersUnreachable, acl_missing, is_refusal
from runtime.kafka_topics import refuse_hidden
from schemas.topics import Topics

REQUEST_SECONDS = 5.0
# Brokers that have just started answer, and do not know yet who coordinates a group.
GROUPS_SECONDS = 20.0


def read_kafka(client: Mapping[str, Any], topics: Topics) -> KafkaFacts:
    """Return what the brokers say; raises BrokersUnreachable, BrokersRefuse or AclMissing.

    `client` is librdkafka's configuration of the connection.
    """
    admin = Admin(client)
    try:
        cluster = admin.metadata(REQUEST_SECONDS)
        wanted_names = (
            topics.wal,
            topics.changes,
            topics.left_out,
            topics.erasures,
            topics.dead_letters,
            topics.producer_offsets,
        )
        names = [name for name in wanted_names if name in cluster.topics]
        for name in set(wanted_names).difference(names):
            refuse_hidden(admin, name, REQUEST_SECONDS, "Describe")
        broker = ConfigResource(ConfigResource.Type.BROKER, str(next(iter(cluster.brokers))))
        wanted = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        config = _configurations(admin, [broker, *wanted])
    except (KafkaException, FutureTimeout) as error:
        raise BrokersUnreachable(f"cannot read the settings of the brokers: {error}") from error
    found = {}
    for name in names:
        partitions = cluster.topics[name].partitions
        replicas = min(len(each.replicas) for each in partitions.values())
        found[name] = TopicFacts(name, len(partitions), replicas, config[name])
    groups = ((topics.stitcher_group, topics.wal), (topics.sink_group, topics.changes))
    return KafkaFacts(
        len(cluster.brokers),
        config[broker.name],
        found,
        tuple(_group(client, group, topic) for group, topic in groups if topic in found),
    )


@retry(
    retry=retry_if_exception_type(BrokersUnreachable),
    stop=stop_after_delay(GROUPS_SECONDS),
    wait=wait_fixed(0.5),
    reraise=True,
)
def _group(client: Mapping[str, Any], group: str, topic: str) -> GroupFacts:
    with closing(GroupLag(client, group, topic)) as lag_of_group:
        lags = lag_of_group.ask(REQUEST_SECONDS).values()
    return GroupFacts(group, topic, sum(lag.records for lag in lags), sum(lag.lost for lag in lags))


def _configurations(
    admin: Admin, resources: Iterable[ConfigResource]
) -> Mapping[str, Mapping[str, str]]:
    answers = admin.describe_configs(list(resources), request_timeout=REQUEST_SECONDS)
    found = {}
    for resource, answer in answers.items():
        try:
            entries = answer.result(REQUEST_SECONDS)
        except KafkaException as error:
            if is_refusal(error):
                is_topic = resource.restype == ResourceType.TOPIC
                of = f"topic {resource.name}" if is_topic else "cluster kafka-cluster"
                raise acl_missing("DescribeConfigs", of) from error
            raise
        found[resource.name] = {
            name: entry.value for name, entry in entries.items() if entry.value is not None
        }
    return found
