"""The profiles of deploy/compose.yml, with the programs that their images have.

Not shown: `ui` and Grafana, of which no package registry has a program; the dashboard's queries
are asked of the real Prometheus instead. The registry's storage in Kafka, for the same reason.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.paths import DEPLOY
from tests.compose.engine import Engine
from tests.compose.load import ARRIVAL_SECONDS, Load
from tests.compose.stack import STAGES, Stack
from tests.fixtures.waiting import eventually

MONITORING = DEPLOY / "monitoring"
PROMETHEUS = "prom/prometheus:v3.5.0"
AVRO = {"FORMAT": "avro"}
SEVERAL_SCRAPES_SECONDS = 90.0
# What counts nothing yet has no series, because its labels are not known.
MAY_BE_EMPTY = {"sum by (by) (rate(bemi_stitcher_left_out_total[1m]))"}
SLOT = "bemi_debezium"
PARTITIONS = 4
MANY = 40
READ_SLOTS = "SELECT slot_name AS name FROM pg_replication_slots WHERE active"

CONTEXT = """SELECT pg_logical_emit_message(true, '_bemi', '{"user_id": 7}')"""


@pytest.fixture
def fresh(stack: Stack) -> Iterator[Stack]:
    """Return the stack with nothing in it, before and after."""
    stack.down("--volumes")
    yield stack
    stack.down("--volumes")


def test_avro_is_one_switch(stack: Stack) -> None:
    stack.up(profile="registry", environ=AVRO)
    name = f"avro_{uuid.uuid4().hex[:8]}"
    with stack.database() as connection:
        connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, title text DEFAULT '{{}}')")
        connection.execute(f"INSERT INTO {name} VALUES (1, 'before')")
        assert _stored(stack, name, 1) == [{"id": 1, "title": "before"}]
        # The table's schema grows; what was written before stays readable.
        connection.execute(f"ALTER TABLE {name} ADD COLUMN price numeric")
        with connection.transaction():
            connection.execute(CONTEXT)
            connection.execute(f"INSERT INTO {name} VALUES (2, 'after', 1.50)")
        assert _stored(stack, name, 2)[1] == {"id": 2, "title": "after", "price": "1.50"}
        (row,) = connection.execute(
            """SELECT context FROM changes WHERE "table" = %s AND primary_key = '2'""", [name]
        )
        assert row["context"] == {"user_id": 7}
    url = f"http://{stack.address('REGISTRY_PORT')}/apis/ccompat/v7"
    with SchemaRegistryClient({"url": url}) as registry:
        subjects = eventually(registry.get_subjects)
        topic = f"bemi.public.{name}"
        assert {f"{topic}-key", f"{topic}-value", "bemi.changes-value"} <= set(subjects)
        assert not [each for each in subjects if "bemi_" in each], "those are the sink's tables"
        assert len(registry.get_versions(f"{topic}-value")) == 2
        read = AvroDeserializer(registry)
        field = SerializationContext(topic, MessageField.VALUE)
        rows = [read(value, field)["after"] for value in _values(stack, topic, 2)]
        assert [row["title"] for row in rows] == ["before", "after"]
        read = AvroDeserializer(registry)
        field = SerializationContext("bemi.changes", MessageField.VALUE)
        # JSON of other tests may stand in the topic as well; a zero byte begins Avro.
        avro = [each for each in _values(stack, "bemi.changes", 2) if each[:1] == b"\0"]
        assert name in [read(value, field)["table"] for value in avro]


def test_prometheus_sees_every_replica_and_can_answer_the_dashboard(stack: Stack) -> None:
    stack.up(profile="monitoring", stitcher=2)
    load = Load(stack, "load_watched")
    with load.under_way():

        def every_replica_is_scraped() -> None:
            targets = _ask(stack, "targets")["activeTargets"]
            up = sorted(each["labels"]["job"] for each in targets if each["health"] == "up")
            wanted = ["bemi-producer", "bemi-sink", "bemi-stitcher", "bemi-stitcher"]
            assert up == wanted, [(each["scrapeUrl"], each["lastError"]) for each in targets]

        eventually(every_replica_is_scraped, SEVERAL_SCRAPES_SECONDS)

        def every_question_has_an_answer() -> None:
            unanswered = {each for each in _questions() if not _answer(stack, each)}
            assert unanswered <= MAY_BE_EMPTY

        eventually(every_question_has_an_answer, SEVERAL_SCRAPES_SECONDS)
    load.arrives()


def test_an_alert_comes_up_where_a_stage_is_gone(stack: Stack) -> None:
    stack.up(profile="monitoring")
    names = {"BemiStageAway", "BemiSlotLost", "BemiDeadLetters"}

    def states() -> dict[str, str]:
        (group,) = _ask(stack, "rules")["groups"]
        assert all(rule["health"] == "ok" for rule in group["rules"]), group
        return {rule["name"]: rule["state"] for rule in group["rules"]}

    def all_is_quiet() -> None:
        found = states()
        assert {found[name] for name in names} == {"inactive"}, found

    eventually(all_is_quiet, SEVERAL_SCRAPES_SECONDS)
    stack.compose("stop", "stitcher")
    eventually(lambda: states()["BemiStageAway"] == "pending", SEVERAL_SCRAPES_SECONDS)


def test_each_alert_tells_what_it_is_there_for(engine: Engine) -> None:
    mounts = [
        f"--volume={MONITORING / name}:/etc/prometheus/{name}:ro"
        for name in ("prometheus.yml", "alerts.yml", "alerts_test.yml")
    ]
    promtool = ["run", "--rm", *mounts, "--entrypoint=promtool", PROMETHEUS]
    engine.docker(*promtool, "check", "config", "/etc/prometheus/prometheus.yml")
    engine.docker(*promtool, "test", "rules", "/etc/prometheus/alerts_test.yml")


def test_debezium_takes_the_producers_place(fresh: Stack) -> None:
    fresh.up(profile="debezium", environ={"WAL_FROM": "debezium"}, producer=0)
    with fresh.database() as connection:
        # The connector makes its slot a moment after it says that it runs.
        eventually(lambda: connection.execute(READ_SLOTS).fetchall() == [{"name": SLOT}])
        connection.execute("CREATE TABLE todo (id int PRIMARY KEY, title text)")
        with connection.transaction():
            connection.execute(CONTEXT)
            connection.execute("INSERT INTO todo VALUES (1, 'Sleep')")
        assert _stored(fresh, "todo", 1) == [{"id": 1, "title": "Sleep"}]
        (row,) = connection.execute("""SELECT context FROM changes WHERE "table" = 'todo'""")
        assert row["context"] == {"user_id": 7}
        # Without a stored position a connector that was killed begins where its slot stands.
        fresh.compose("--profile=debezium", "kill", "debezium")
        # Each goes where its commit time leads it, so into every partition.
        for number in range(2, MANY + 1):
            connection.execute("INSERT INTO todo VALUES (%s, 'Wake')", [number])
        fresh.up(profile="debezium", environ={"WAL_FROM": "debezium"}, producer=0)
        assert [row["id"] for row in _stored(fresh, "todo", MANY)] == list(range(1, MANY + 1))
        epochs = connection.execute("SELECT DISTINCT epoch FROM changes").fetchall()
        assert epochs == [{"epoch": f"0.0.{PARTITIONS}.bemi.app"}]


def _stored(stack: Stack, table: str, count: int) -> list[dict[str, Any]]:
    """Return the rows that were inserted, in order, once so many of them are in `changes`."""

    def check() -> list[dict[str, Any]]:
        with stack.database() as connection:
            rows = connection.execute(
                """SELECT after FROM changes WHERE "table" = %s AND operation = 'CREATE'
                   ORDER BY commit_lsn, ordinal""",
                [table],
            ).fetchall()
        assert len(rows) == count, stack.logs(*STAGES, "debezium")
        return [row["after"] for row in rows]

    return eventually(check, ARRIVAL_SECONDS)


def _values(stack: Stack, topic: str, least: int) -> list[bytes]:
    """Return what the topic holds, so much at least, as somebody reads it at this machine."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.address("KAFKA_PORT"),
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": False,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + ARRIVAL_SECONDS
    try:
        while time.monotonic() < deadline:
            records = consumer.consume(1000, timeout=3)
            values += [value for each in records if (value := each.value()) is not None]
            if not records and len(values) >= least:
                return values
    finally:
        consumer.close()
    raise AssertionError(f"{topic} holds {len(values)} records")


def _questions() -> list[str]:
    panels = json.loads((MONITORING / "dashboards" / "bemi.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def _answer(stack: Stack, question: str) -> list[Any]:
    return list(_ask(stack, f"query?query={quote(question)}")["result"])


def _ask(stack: Stack, path: str) -> dict[str, Any]:
    with urlopen(f"http://{stack.address('PROMETHEUS_PORT')}/api/v1/{path}", timeout=10) as answer:
        found = json.load(answer)
    assert found["status"] == "success", found
    return dict(found["data"])
