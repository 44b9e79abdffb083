"""Each stage by a Kafka user of its own, which has the ACLs of the docs and no others."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import pytest
import requests
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import Message, NewTopic

from tests.fixtures.acls import USERS, Acl, AuthorizedKafka, documented_acls
from tests.fixtures.pipeline import COMMANDS, READY_SECONDS, Pipeline
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StageProcess, StartStage, plain_environ
from tests.fixtures.waiting import eventually

SECONDS = 60
ACLS = documented_acls()
GROUPS = [acl for acl in ACLS if acl.user == "bemi-producer" and acl.resource_type == "group"]
REFUSALS = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
TOPICS = (
    "wal", "changes", "dead-letters", "left-out", "erasures", "message", "transaction",
    "public.todo", "producer-offsets",
)  # fmt: skip
JOBS: dict[str, tuple[set[str], set[str]]] = {
    "bemi-producer": (
        {"producer-offsets"},
        {"wal", "message", "transaction", "public.todo", "producer-offsets"},
    ),
    "bemi-stitcher": ({"wal"}, {"changes", "dead-letters", "left-out"}),
    "bemi-sink": ({"changes", "erasures"}, set()),
    "bemi-erase": ({"erasures"}, {"erasures"}),
    "bemi-verify": ({"wal", "changes", "left-out", "dead-letters"}, set()),
    "bemi-doctor": (set(), set()),
}
"""The topics that each user reads, and those that it writes."""
READY = ": ready\n"
"""As a stage says it; /readyz is told of before."""
WRITE_A_CHANGE = """
    SELECT pg_logical_emit_message(true, '_bemi', '{"user_id": 1}');
    INSERT INTO todo SELECT count(*) FROM todo
"""
TOOLS = {
    "bemi-doctor": ["bemi-producer", "status", "--json"],
    "bemi-stitcher": ["bemi-stitcher", "restitch"],
    "bemi-sink": ["bemi-sink", "replay"],
    "bemi-erase": [
        *("bemi-sink", "erase", "--table", "public.todo", "--primary-key", "0"),
        *("--reason", "asked", "--yes"),
    ],
    "bemi-verify": ["bemi-sink", "verify"],
}


class AclPipeline:
    """A pipeline whose stages log in as different users; nobody may do anything at first."""

    def __init__(self, kafka: AuthorizedKafka, pipeline: Pipeline, prefix: str) -> None:
        self.kafka = kafka
        self.pipeline = pipeline
        self.prefix = prefix
        pipeline.execute("CREATE TABLE todo (id int PRIMARY KEY)")

    def grant(self, acls: Iterable[Acl], prefix: str | None = None) -> None:
        """Add ACLs of the docs, for this pipeline or for the one with the prefix."""
        self.kafka.grant(acl.under(prefix or self.prefix) for acl in acls)

    def start(self, **environ: str) -> None:
        """Start every stage as its own user and wait until it is ready."""
        stages = self.pipeline.stages
        for name in COMMANDS:
            stages[name] = self.start_as(f"bemi-{name}", COMMANDS[name], **environ)
        for stage in stages.values():
            eventually(lambda stage=stage: READY in stage.output(), READY_SECONDS)  # type: ignore[misc]

    def start_as(self, user: str, command: list[str], **environ: str) -> StageProcess:
        """Start a command that logs in as the user."""
        whole = self.pipeline.environ | self.kafka.environ(user) | environ
        return self.pipeline.start_stage(f"{command[0]}-as-{user}", command, whole)

    def run_as(self, user: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a tool to its end."""
        environ = plain_environ() | self.pipeline.environ | self.kafka.environ(user)
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def make_topics(self, *names: str, prefix: str | None = None, partitions: int = 4) -> None:
        """Make topics as somebody else would, beforehand."""
        config = {"cleanup.policy": "compact"} if names == ("producer-offsets",) else {}
        wanted = [
            NewTopic(f"{prefix or self.prefix}.{name}", partitions, config=config) for name in names
        ]
        admin = self.kafka.admin()
        for made in admin.create_topics(wanted).values():
            made.result()

    def heartbeats(self) -> float:
        """Return how many heartbeats are known to have come to the end of the pipeline."""
        (port,) = re.findall(r"at port (\d+)", self.pipeline.stages["producer"].output())
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS).text
        (count,) = re.findall(r"^bemi_heartbeat_round_trip_seconds_count (\S+)$", text, re.M)
        return float(count)


WATCHED = {"BEMI_METRICS_ADDRESS": "127.0.0.1:0", "BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS": "300"}


@pytest.fixture
def acl_pipeline(
    authorized_kafka: AuthorizedKafka,
    database: Database,
    topic_prefix: str,
    start_stage: StartStage,
) -> AclPipeline:
    """Give a pipeline on the broker with an authorizer."""
    environ = database.environ | {
        "BEMI_TOPIC_PREFIX": topic_prefix,
        "BEMI_PRODUCER_SLOT_NAME": database.name,
    }
    pipeline = Pipeline(database, start_stage, environ)
    return AclPipeline(authorized_kafka, pipeline, topic_prefix)


@pytest.mark.parametrize("confirm_after", ["kafka", "sink"])
def test_each_stage_does_its_work_with_the_acls_of_the_docs(
    acl_pipeline: AclPipeline, confirm_after: str
) -> None:
    acl_pipeline.grant(ACLS)
    acl_pipeline.start(BEMI_CONFIRM_AFTER=confirm_after, **WATCHED)
    acl_pipeline.pipeline.execute(WRITE_A_CHANGE)
    (change,) = acl_pipeline.pipeline.wait_for("todo", 1)
    assert change["context"] == {"user_id": 1}
    # Known by the groups of stitcher and sink.
    eventually(lambda: acl_pipeline.heartbeats() > 0)
    for name, stage in acl_pipeline.pipeline.stages.items():
        assert "ACL" not in stage.output(), name
    if confirm_after == "sink":
        return

    for user, command in TOOLS.items():
        done = acl_pipeline.run_as(user, command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "ACL" not in done.stdout + done.stderr
    # The doctor warns of a single broker.
    done = acl_pipeline.run_as("bemi-doctor", ["bemi-producer", "doctor"])
    assert done.returncode == 1, done.stdout
    assert "ACL" not in done.stdout
    # A sink that starts now reads what was erased.
    acl_pipeline.pipeline.stages["sink"].stop()
    again = acl_pipeline.start_as("bemi-sink", COMMANDS["sink"])
    eventually(lambda: READY in again.output(), READY_SECONDS)


def test_nobody_needs_to_create_topics_that_are_there(acl_pipeline: AclPipeline) -> None:
    acl_pipeline.make_topics("wal", "changes", "public.todo", "message", "transaction")
    acl_pipeline.make_topics("dead-letters", partitions=1)
    acl_pipeline.make_topics("producer-offsets", partitions=1)
    acl_pipeline.grant(
        acl
        for acl in ACLS
        # The heartbeat's topic and that of what is left out are not made in this pipeline.
        if acl.operation != "Create"
    )
    acl_pipeline.start(BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS="0")
    acl_pipeline.pipeline.execute(WRITE_A_CHANGE)
    acl_pipeline.pipeline.wait_for("todo", 1)


def test_without_acls_on_the_groups_the_producer_goes_on_and_says_so_once(
    acl_pipeline: AclPipeline,
) -> None:
    acl_pipeline.grant(acl for acl in ACLS if acl not in GROUPS)
    acl_pipeline.start(**WATCHED)
    producer = acl_pipeline.pipeline.stages["producer"]
    told = "bemi_heartbeat_round_trip_seconds is not measured"
    eventually(lambda: told in producer.output())
    assert f"Describe on group {acl_pipeline.prefix}" in producer.output()
    acl_pipeline.pipeline.execute(WRITE_A_CHANGE)
    acl_pipeline.pipeline.wait_for("todo", 1)
    assert acl_pipeline.heartbeats() == 0
    acl_pipeline.grant(GROUPS)
    eventually(lambda: acl_pipeline.heartbeats() > 0)
    assert producer.output().count(told) == 1


def needed(stage: str) -> list[Acl]:
    """Return the ACLs without which a stage ends; for lack of others it only warns."""
    acls = [acl for acl in ACLS if acl.user == f"bemi-{stage}"]
    return [acl for acl in acls if acl.operation != "DescribeConfigs"]


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_stage_that_lacks_one_acl_ends_and_names_it(
    acl_pipeline: AclPipeline, stage: str
) -> None:
    if stage == "sink":
        migrated = acl_pipeline.run_as("bemi-sink", ["bemi-sink", "migrate"])
        assert migrated.returncode == 0, migrated.stderr
    lacking = {}
    for number, missing in enumerate(needed(stage)):
        prefix = f"{acl_pipeline.prefix}-{number}"
        user = missing.user
        acl_pipeline.grant((acl for acl in ACLS if acl != missing and acl.user == user), prefix)
        if stage == "stitcher":
            acl_pipeline.make_topics("wal", prefix=prefix)
        elif stage == "sink":
            acl_pipeline.make_topics("changes", prefix=prefix)
        else:
            acl_pipeline.make_topics("changes", prefix=prefix)
            if missing.operation == "Read":
                # What is read is what a former producer has written.
                acl_pipeline.make_topics("producer-offsets", prefix=prefix, partitions=1)
        started = acl_pipeline.start_as(
            user,
            COMMANDS[stage],
            BEMI_TOPIC_PREFIX=prefix,
            BEMI_PRODUCER_SLOT_NAME=f"{acl_pipeline.pipeline.database.name}_{number}",
            BEMI_PRODUCER_PUBLICATION_NAME=f"bemi_{number}",
            BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS="300",
            BEMI_CONFIRM_AFTER="sink",
            BEMI_STITCHER_IGNORE_TABLES="public.todo",
        )
        lacking[missing.under(prefix)] = started

    def has_ended(process: StageProcess) -> bool:
        # Tables' topics are made, and written to, when there is something to write.
        acl_pipeline.pipeline.execute(WRITE_A_CHANGE)
        return not process.is_running

    for acl, process in lacking.items():
        with suppress(AssertionError):
            eventually(lambda process=process: has_ended(process), SECONDS)  # type: ignore[misc]
        output = process.output()
        assert process.exit_code == 2, (acl, output)
        (last,) = output.strip().splitlines()[-1:]
        assert f"lacks the ACL {acl.operation} on {acl.resource_type} {acl.name}" in last


@pytest.mark.parametrize("stage", ["producer", "stitcher"])
def test_a_stage_that_may_see_topics_and_not_write_to_them_ends_and_says_so(
    acl_pipeline: AclPipeline, stage: str
) -> None:
    user = f"bemi-{stage}"
    acl_pipeline.grant(
        replace(acl, operation="Describe") if acl.operation == "Write" else acl
        for acl in ACLS
        if acl.user == user
    )
    if stage == "stitcher":
        acl_pipeline.make_topics("wal", partitions=1)
        assert written(acl_pipeline.kafka, "broker", [f"{acl_pipeline.prefix}.wal"])
    process = acl_pipeline.start_as(user, COMMANDS[stage])
    assert process.wait(SECONDS) == 2, process.output()
    assert "lacks the ACL Write on" in process.output().strip().splitlines()[-1]


def test_a_tool_that_lacks_acls_ends_and_says_so(acl_pipeline: AclPipeline) -> None:
    migrated = acl_pipeline.run_as("bemi-sink", ["bemi-sink", "migrate"])
    assert migrated.returncode == 0, migrated.stderr
    tools = {**TOOLS, "bemi-doctor ": ["bemi-producer", "doctor"]}
    del tools["bemi-erase"]  # There is nothing to erase yet.
    for user, command in tools.items():
        done = acl_pipeline.run_as(user.strip(), command)
        assert done.returncode, command
        assert "lacks the ACL" in done.stdout + done.stderr, command


def test_each_user_is_refused_what_is_not_its_job(acl_pipeline: AclPipeline) -> None:
    kafka, prefix = acl_pipeline.kafka, acl_pipeline.prefix
    acl_pipeline.make_topics(*TOPICS, partitions=1)
    acl_pipeline.grant(ACLS)
    topics = [f"{prefix}.{name}" for name in TOPICS]
    assert written(kafka, "broker", topics) == set(topics)
    for user in USERS:
        reads, writes = JOBS[user]
        assert read(kafka, user, topics) == {f"{prefix}.{name}" for name in reads}, user
        assert written(kafka, user, topics) == {f"{prefix}.{name}" for name in writes}, user
        admin = AdminClient(kafka.client(user))
        for deletion in admin.delete_topics(topics).values():
            with pytest.raises(KafkaException) as refused:
                deletion.result()
            assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def written(kafka: AuthorizedKafka, user: str, topics: list[str]) -> set[str]:
    """Return the topics that the user can write a record to; the others must be refused."""
    producer = Producer(kafka.client(user))
    stored: set[str] = set()
    refused: set[str] = set()

    def note(error: KafkaError | None, message: Message) -> None:
        (stored if error is None else refused).add(str(message.topic()))
        assert error is None or error.code() in REFUSALS

    for topic in topics:
        producer.produce(topic, b"{}", b"key", 0, on_delivery=note)
    producer.flush(SECONDS)
    assert stored | refused == set(topics)
    return stored


def read(kafka: AuthorizedKafka, user: str, topics: list[str]) -> set[str]:
    """Return the topics of which the user gets a record; the others must be refused."""
    admin = AdminClient(kafka.client(user))
    got: set[str] = set()
    refused: set[str] = set()
    for topic, answer in admin.describe_topics(TopicCollection(topics)).items():
        with suppress(KafkaException):
            answer.result()
            continue
        refused.add(topic)
    settings = {"group.id": "joined-by-nobody", "enable.auto.commit": False}
    consumer = Consumer(kafka.client(user) | settings)
    described = set(topics) - refused
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in described])

    def all_are_known() -> bool:
        message = consumer.poll(0.1)
        if message is not None:
            error = message.error()
            if error is None:
                got.add(str(message.topic()))
            elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                refused.add(str(message.topic()))
        return got | refused == set(topics)

    try:
        eventually(all_are_known, SECONDS)
    finally:
        consumer.close()
    return got
