"""What the doctor says of brokers, topics and groups."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.doctor.facts import GroupFacts, KafkaFacts, TopicFacts
from producer.doctor.findings import Finding, Severity, TopicSetting
from producer.doctor.kafka_checks import check_kafka
from schemas.topics import Topics

TOPICS = Topics("bemi")
LIMIT = 128 * 1024 * 1024
KEEPS = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "max.message.bytes": str(LIMIT),
    "min.insync.replicas": "2",
}
WAL = TopicFacts("bemi.wal", 4, 3, KEEPS)
FACTS = KafkaFacts(3, {"offsets.retention.minutes": "10080"}, {"bemi.wal": WAL})


def wrong(facts: KafkaFacts) -> list[Finding]:
    found = check_kafka(facts, TOPICS, LIMIT)
    return [each for each in found if each.severity is not Severity.OK]


def wal(**changes: str) -> KafkaFacts:
    config = KEEPS | {name.replace("_", "."): value for name, value in changes.items()}
    return replace(FACTS, topics={"bemi.wal": replace(WAL, config=config)})


def test_topics_that_keep_everything_on_three_brokers_have_nothing_wrong() -> None:
    assert not wrong(FACTS)
    assert not wrong(replace(FACTS, topics={}))


def test_a_topic_that_deletes_by_age_can_be_mended() -> None:
    (finding,) = wrong(wal(retention_ms="604800000"))
    assert finding.severity is Severity.WARNING
    assert finding.fixes == (TopicSetting("bemi.wal", "retention.ms", "-1"),)


def test_a_compacted_topic_of_changes_is_an_error() -> None:
    (finding,) = wrong(wal(cleanup_policy="compact"))
    assert finding.severity is Severity.ERROR
    assert finding.fixes == (TopicSetting("bemi.wal", "cleanup.policy", "delete"),)


def test_a_topic_that_refuses_what_the_stages_make_can_be_mended() -> None:
    (finding,) = wrong(wal(max_message_bytes="1048588"))
    assert finding.fixes == (TopicSetting("bemi.wal", "max.message.bytes", str(LIMIT)),)


def test_the_producers_position_must_not_be_deleted_by_age() -> None:
    name = TOPICS.producer_offsets
    facts = replace(FACTS, topics={name: TopicFacts(name, 1, 3, KEEPS)})
    (finding,) = wrong(facts)
    assert finding.severity is Severity.ERROR
    assert finding.fixes == (TopicSetting(name, "cleanup.policy", "compact"),)


@pytest.mark.parametrize(
    ("facts", "severity", "text"),
    [
        (replace(FACTS, brokers=1), Severity.WARNING, "one broker"),
        (wal(min_insync_replicas="1"), Severity.WARNING, "min.insync.replicas=1"),
        (
            replace(FACTS, config={"unclean.leader.election.enable": "true"}),
            Severity.ERROR,
            "unclean",
        ),
        (
            replace(FACTS, config={"offsets.retention.minutes": "60"}),
            Severity.WARNING,
            "offsets.retention.minutes is 60",
        ),
        (
            replace(FACTS, groups=(GroupFacts("bemi.stitcher", "bemi.wal", 0, 7),)),
            Severity.ERROR,
            "7 records of bemi.wal were removed",
        ),
    ],
)
def test_what_loses_records_is_named(facts: KafkaFacts, severity: Severity, text: str) -> None:
    (finding,) = wrong(facts)
    assert finding.severity is severity
    assert text in finding.summary
    assert finding.advice


def test_a_group_that_is_only_behind_is_no_problem() -> None:
    assert not wrong(replace(FACTS, groups=(GroupFacts("bemi-sink", "bemi.changes", 5_000, 0),)))
