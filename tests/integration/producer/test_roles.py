"""The roles of `bemi-producer doctor --sql`: each does its job, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import ANY

import psycopg
import pytest
from confluent_kafka import Producer
from psycopg import sql

from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from producer.doctor.examination import roles_script
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.postgres import FAST_SETTINGS, Database
from tests.fixtures.stages import StageProcess, StartStage
from tests.fixtures.waiting import eventually

SECONDS = 60
PASSWORD = "least-privilege"
ROLES = ("bemi_source", "bemi_sink", "bemi_retention", "bemi_reader")


@dataclass(frozen=True, slots=True)
class Roles:
    """A database of a server of its own, because roles belong to the whole server."""

    server: LocalPostgres
    pipeline: Pipeline

    def run_script(self) -> None:
        """Run the script as the superuser, and give the roles their password."""
        with closing(self.connect()) as connection:
            connection.execute(roles_script("bemi").encode())
            for role in ROLES:
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(statement.format(sql.Identifier(role), PASSWORD))

    def connect(self, role: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the role, or as the superuser."""
        dsn = self.pipeline.database.dsn
        if role is None:
            return psycopg.connect(dsn, autocommit=True)
        return psycopg.connect(dsn, user=role, password=PASSWORD, autocommit=True)

    def start(self, command: list[str], role: str, **environ: str) -> StageProcess:
        """Start a command that logs in as the role."""
        as_role = {"DB_USER": role, "DB_PASSWORD": PASSWORD}
        whole = self.pipeline.environ | as_role | environ
        return self.pipeline.start_stage(f"{command[0]} as {role}", command, whole)

    def run(self, command: list[str], role: str, **environ: str) -> tuple[int, str]:
        """Run a command of the role's to its end; return its exit code and what it said."""
        stage = self.start(command, role, **environ)
        return stage.wait(SECONDS), stage.output()

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        with closing(self.connect()) as connection:
            (row,) = connection.execute(f"SELECT count(*)::int FROM {table}".encode()).fetchall()
        assert isinstance(row[0], int)
        return row[0]

    def refuses(self, role: str, *statements: str) -> None:
        """Assert that the role may do none of these."""
        with closing(self.connect(role)) as connection:
            for statement in statements:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())


@pytest.fixture
def roles(
    server_folder: Path, kafka_broker: KafkaBroker, topic_prefix: str, start_stage: StartStage
) -> Iterator[Roles]:
    """Give a server with a table of the application's, and the script run once."""
    folder = server_folder / f"postgres-roles-{uuid.uuid4().hex[:6]}"
    server = LocalPostgres(folder, free_port(), settings=FAST_SETTINGS)
    server.start()
    try:
        environ = {
            "DB_HOST": server.host,
            "DB_PORT": str(server.port),
            "DB_NAME": "postgres",
            "BEMI_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
            "BEMI_TOPIC_PREFIX": topic_prefix,
        }
        database = Database("postgres", server.dsn("postgres"), environ)
        made = Roles(server, Pipeline(database, start_stage, environ))
        with closing(made.connect()) as connection:
            connection.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
            connection.execute("CREATE TABLE keyless (task text)")
            connection.execute("INSERT INTO todo VALUES (1, 'there before')")
        made.run_script()
        yield made
    finally:
        server.kill()


def test_each_role_can_do_its_job_and_nothing_else(roles: Roles) -> None:
    pipeline = roles.pipeline
    migrate = roles.start(["bemi-sink", "migrate"], "bemi_retention")
    assert migrate.wait(SECONDS) == 0, migrate.output()
    partitions = roles.start(["bemi-sink", "partitions"], "bemi_retention")
    assert partitions.wait(SECONDS) == 0, partitions.output()
    roles.run_script()

    # The whole pipeline runs as these: a snapshot, the stream, heartbeats, rows.
    producer = roles.start(
        ["bemi-producer"], "bemi_source", BEMI_PRODUCER_HEARTBEAT_INTERVAL_MS="300"
    )
    pipeline.start("stitcher")
    roles.start(["bemi-sink"], "bemi_sink", BEMI_SINK_SEALS="true")
    pipeline.execute("INSERT INTO todo VALUES (2, 'tracked')")
    pipeline.execute("UPDATE keyless SET task = 'does not break'")
    (change,) = pipeline.wait_for("todo", 1)
    assert change["after"]["task"] == "tracked"
    assert producer.is_running, producer.output()

    roles.refuses(
        "bemi_source",
        "INSERT INTO todo VALUES (3)",
        "DELETE FROM changes",
        "DROP PUBLICATION bemi",
        "ALTER TABLE todo REPLICA IDENTITY DEFAULT",
        "CREATE TABLE mine ()",
    )
    roles.refuses(
        "bemi_sink",
        "UPDATE changes SET context = '{}'",
        "DELETE FROM changes",
        "TRUNCATE changes",
        "DROP TABLE changes",
        "DELETE FROM bemi_sink_progress",
        "DELETE FROM bemi_dead_letters",
        "UPDATE bemi_seals SET hash = ''",
        "DELETE FROM bemi_erasures",
        "UPDATE bemi_erased_changes SET sealed_at = NULL",
        "SELECT * FROM todo",
        "CREATE TABLE mine ()",
    )
    roles.refuses(
        "bemi_retention",
        "SELECT * FROM todo",
        "DELETE FROM todo",
        "CREATE PUBLICATION mine FOR ALL TABLES",
    )
    roles.refuses(
        "bemi_reader",
        "INSERT INTO changes SELECT * FROM changes",
        "DELETE FROM changes",
        "SELECT * FROM bemi_dead_letters",
        "SELECT * FROM todo",
        "CREATE TABLE mine ()",
    )
    with closing(roles.connect("bemi_reader")) as reader:
        assert reader.execute("SELECT count(*) FROM changes").fetchone() == (1,)
    erase = ["bemi-sink", "erase", "--table", "public.todo", "--primary-key", "2"]
    erase += ["--reason", "a test", "--yes"]
    refused = roles.start(erase, "bemi_sink")
    assert refused.wait(SECONDS) == 2, refused.output()
    assert "permission denied for table changes" in refused.output()
    erased = roles.start(erase, "bemi_retention")
    assert erased.wait(SECONDS) == 0, erased.output()
    # The sink goes on, and knows when it starts again.
    roles.start(["bemi-sink"], "bemi_sink", BEMI_SINK_SEALS="true")
    pipeline.execute("INSERT INTO todo VALUES (3, 'tracked')")
    changes = pipeline.wait_for("todo", 2)
    assert [change["after"]["task"] for change in changes] == ["[erased]", "tracked"]


def test_each_tool_works_by_the_role_that_it_is_for_and_by_no_other(roles: Roles) -> None:
    pipeline = roles.pipeline
    assert roles.run(["bemi-sink", "migrate"], "bemi_retention") == (0, ANY)
    roles.run_script()
    with closing(roles.connect()) as connection:
        # The application's own: whoever may write to it may ask for snapshots.
        connection.execute("CREATE TABLE signal (id text PRIMARY KEY, type text, data text)")
    roles.run_script()
    producer = roles.start(
        ["bemi-producer"], "bemi_source", BEMI_PRODUCER_SIGNAL_DATA_COLLECTION="public.signal"
    )
    pipeline.start("stitcher")
    sink = roles.start(["bemi-sink"], "bemi_sink", BEMI_SINK_SEALS="true")
    eventually(lambda: "ready" in producer.output(), SECONDS)
    pipeline.execute("INSERT INTO todo VALUES (2, 'tracked')")
    pipeline.wait_for("todo", 1)

    # A snapshot beside the stream reads what was there before.
    wanted = '{"data-collections": ["public.todo"]}'
    pipeline.execute("INSERT INTO signal VALUES ('1', 'execute-snapshot', %s)", [wanted])
    eventually(lambda: "public.todo is read" in producer.output(), SECONDS)

    put_aside(pipeline)
    eventually(lambda: roles.count("bemi_dead_letters") == 1, SECONDS)

    for tool in (
        ["bemi-sink", "verify"],
        ["bemi-sink", "verify", "--seals"],
        ["bemi-sink", "replay"],
        ["bemi-sink", "dead-letters", "list"],
        ["bemi-sink", "erasures"],
    ):
        code, said = roles.run(tool, "bemi_sink")
        assert code == 0, said
        assert "permission denied" not in said
    # What changes the trail, or gives up a part of it, is not the sink's.
    for tool in (
        ["bemi-sink", "replay", "--into", "again"],
        ["bemi-sink", "dead-letters", "retry", "--all"],
        ["bemi-sink", "dead-letters", "drop", "--all", "--yes"],
    ):
        code, said = roles.run(tool, "bemi_sink")
        assert (code, "permission denied" in said) == (2, True), said
        assert roles.run(tool, "bemi_retention") == (0, ANY)
    assert roles.count("bemi_dead_letters") == 0
    assert sink.is_running, sink.output()

    # Operators look by the roles of the stages: a single broker is a warning.
    code, said = roles.run(["bemi-producer", "doctor", "--json"], "bemi_source")
    assert code == 1, said
    code, said = roles.run(
        ["bemi-producer", "status", "--once"],
        "bemi_source",
        DESTINATION_DB_USER="bemi_sink",
        DESTINATION_DB_PASSWORD=PASSWORD,
    )
    assert code == 0, said
    # And mend only what their role may.
    pipeline.execute("CREATE TABLE keyless_too (task text)")
    code, said = roles.run(["bemi-producer", "doctor", "--fix"], "bemi_source")
    assert code == 2
    assert "not done: must be owner of table keyless_too; run this with DB_USER=OWNER" in said


def put_aside(pipeline: Pipeline) -> None:
    """Write a record that is no change into the sink's topic."""
    servers = pipeline.environ["BEMI_KAFKA_BOOTSTRAP_SERVERS"]
    writer = Producer({"bootstrap.servers": servers})
    writer.produce(f"{pipeline.environ['BEMI_TOPIC_PREFIX']}.changes", b"garbage", partition=0)
    assert writer.flush(SECONDS) == 0


def test_retention_drops_partitions_and_the_sink_may_not(roles: Roles) -> None:
    migrate = roles.start(["bemi-sink", "migrate"], "bemi_retention")
    assert migrate.wait(SECONDS) == 0, migrate.output()
    with closing(roles.connect("bemi_retention")) as owner:
        owner.execute(
            "CREATE TABLE bemi_changes_y2001m01 PARTITION OF changes"
            " FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')"
        )
    roles.run_script()
    environ = {"BEMI_RETENTION_DAYS": "365"}
    refused = roles.start(["bemi-sink", "retention"], "bemi_sink", **environ)
    assert refused.wait(SECONDS) == 2, refused.output()
    assert "must be owner" in refused.output()
    removed = roles.start(["bemi-sink", "retention"], "bemi_retention", **environ)
    assert removed.wait(SECONDS) == 0, removed.output()
    with closing(roles.connect("bemi_retention")) as owner:
        found = owner.execute("SELECT to_regclass('bemi_changes_y2001m01')").fetchone()
    assert found == (None,)
