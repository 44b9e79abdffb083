"""Which settings of brokers and topics lose what they should keep. Pure: facts -> findings."""

from __future__ import annotations

from collections.abc import Iterator

from producer.doctor.facts import GroupFacts, KafkaFacts, TopicFacts
from producer.doctor.findings import Finding, Fix, Severity, TopicSetting
from schemas.topics import Topics

SAFE_REPLICAS = 2
MINUTES_A_DAY = 24 * 60
LEAST_OFFSET_DAYS = 7

_OK, _WARNING, _ERROR = Severity.OK, Severity.WARNING, Severity.ERROR


def check_kafka(facts: KafkaFacts, topics: Topics, max_message_bytes: int) -> Iterator[Finding]:
    """Return what there is to say of brokers, topics and groups."""
    yield from _brokers(facts)
    kept = [
        facts.topics[name]
        for name in (
            topics.wal,
            topics.changes,
            topics.left_out,
            topics.erasures,
            topics.dead_letters,
        )
        if name in facts.topics
    ]
    if not kept:
        yield Finding("kafka", _OK, "there are no topics yet; the stages make them")
    for topic in kept:
        yield from _kept_topic(topic)
        yield from _any_topic(topic, max_message_bytes)
    offsets = facts.topics.get(topics.producer_offsets)
    if offsets is not None:
        yield from _offsets_topic(offsets)
    for group in facts.groups:
        yield _group(group)


def _brokers(facts: KafkaFacts) -> Iterator[Finding]:
    if facts.brokers == 1:
        yield Finding(
            "kafka",
            _WARNING,
            "one broker: a power cut may lose what it acknowledged from memory",
            "Run three, with min.insync.replicas=2.",
        )
    else:
        yield Finding("kafka", _OK, f"{facts.brokers} brokers")
    if facts.config.get("unclean.leader.election.enable") == "true":
        yield Finding(
            "kafka",
            _ERROR,
            "unclean.leader.election.enable is true: acknowledged records may be lost",
            "Set it to false on the brokers.",
        )
    minutes = int(facts.config.get("offsets.retention.minutes", LEAST_OFFSET_DAYS * MINUTES_A_DAY))
    if minutes < LEAST_OFFSET_DAYS * MINUTES_A_DAY:
        yield Finding(
            "kafka",
            _WARNING,
            f"offsets.retention.minutes is {minutes}: a stitcher that is down for longer begins "
            "again at the beginning of .wal",
            "Nothing is lost by it, since ids tell what is stored; set it to 10080 or more.",
        )


def _kept_topic(topic: TopicFacts) -> Iterator[Finding]:
    """Return what deletes records that may be unread."""
    wrong: list[Fix] = []
    if topic.config.get("cleanup.policy", "delete") != "delete":
        wrong.append(TopicSetting(topic.name, "cleanup.policy", "delete"))
    for name in ("retention.ms", "retention.bytes"):
        if topic.config.get(name, "-1") != "-1":
            wrong.append(TopicSetting(topic.name, name, "-1"))
    if any(isinstance(fix, TopicSetting) and fix.name == "cleanup.policy" for fix in wrong):
        yield Finding(
            "kafka",
            _ERROR,
            f"topic {topic.name} is compacted: changes of a row replace each other",
            "Let it only delete, and keep everything.",
            fixes=tuple(wrong),
        )
    elif wrong:
        given = ", ".join(f"{fix.name}={topic.config[fix.name]}" for fix in wrong)  # type: ignore[union-attr]
        yield Finding(
            "kafka",
            _WARNING,
            f"topic {topic.name} deletes by {given}: what is not read by then is lost",
            "Keep everything, or be sure that no stage is ever down for as long.",
            fixes=tuple(wrong),
        )
    else:
        yield Finding("kafka", _OK, f"topic {topic.name} keeps everything")


def _any_topic(topic: TopicFacts, max_message_bytes: int) -> Iterator[Finding]:
    least = int(topic.config.get("min.insync.replicas", "1"))
    if topic.replicas > 1 and least < SAFE_REPLICAS:
        yield Finding(
            "kafka",
            _WARNING,
            f"topic {topic.name} has {topic.replicas} replicas and min.insync.replicas={least}: "
            "acknowledged records may be on one broker only",
            "Set min.insync.replicas to 2.",
        )
    limit = int(topic.config.get("max.message.bytes", max_message_bytes))
    if limit < max_message_bytes:
        yield Finding(
            "kafka",
            _WARNING,
            f"topic {topic.name} takes records of {limit} bytes, and the stages make some of up "
            f"to {max_message_bytes}",
            "A larger row stops the producer. Raise the topic's max.message.bytes.",
            fixes=(TopicSetting(topic.name, "max.message.bytes", str(max_message_bytes)),),
        )


def _offsets_topic(topic: TopicFacts) -> Iterator[Finding]:
    policy = topic.config.get("cleanup.policy", "delete")
    if policy != "compact":
        yield Finding(
            "kafka",
            _ERROR,
            f"topic {topic.name} is not compacted ({policy}): the producer's position is "
            "forgotten after a while",
            "Let it be compacted.",
            fixes=(TopicSetting(topic.name, "cleanup.policy", "compact"),),
        )


def _group(group: GroupFacts) -> Finding:
    if group.removed:
        return Finding(
            "kafka",
            _ERROR,
            f"{group.removed} records of {group.topic} were removed before {group.name} had them",
            "Changes are missing; `bemi-sink verify` names them where .wal still has them.",
        )
    return Finding(
        "kafka", _OK, f"group {group.name} is {group.behind} records behind in {group.topic}"
    )
