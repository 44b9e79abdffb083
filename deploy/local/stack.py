"""The whole pipeline on this machine: what is started, in which order, and stopped in reverse.

    PostgreSQL -> Kafka -> the example's tables -> producer -> stitcher -> sink -> example site

Nothing is started before everything needed is known to be there. Where DB_HOST names a
database, that one is tracked: then there is no PostgreSQL and no example site of ours. Where
BEMI_KAFKA_BOOTSTRAP_SERVERS names brokers, they are used, and there is no Kafka of ours.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping

from deploy.local import databases, requirements
from deploy.local.jars import KAFKA_POM, fetch_jars, jars_folder
from deploy.local.kafka import LocalKafka
from deploy.local.paths import REPOSITORY, SCRIPTS
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import SUPERUSER, LocalPostgres
from deploy.local.process import CannotStart
from deploy.local.report import Report
from deploy.local.requirements import MissingRequirements
from deploy.local.stage import Stage, answers_http
from deploy.local.state import State
from deploy.local.supervisor import Part

BROKERS = "BEMI_KAFKA_BOOTSTRAP_SERVERS"
DATABASE = "bemi"
POSTGRES_PORT, KAFKA_PORT, SITE_PORT = 5432, 9092, 8000
MIGRATE_TIMEOUT_SECONDS = 120.0
STAGES = {"producer": "bemi-producer", "stitcher": "bemi-stitcher", "sink": "bemi-sink"}
EXAMPLE = REPOSITORY / "example" / "manage.py"


class Stack:
    """Everything `make up` runs. `stop` may be called at any moment, also half-way up."""

    def __init__(self, state: State, environ: Mapping[str, str], report: Report) -> None:
        self._state = state
        self._report = report
        self._tracks_given = databases.is_given(environ)
        self._uses_given_brokers = bool(environ.get(BROKERS))
        self._environ = dict(environ)
        self._parts: list[Part] = []
        self._addresses: list[tuple[str, str]] = []

    @property
    def parts(self) -> list[Part]:
        """Return what was started, in the order of the start."""
        return self._parts

    def start(self) -> None:
        """Start all parts, each once those before it are ready; show the addresses."""
        self._require()
        if not self._tracks_given:
            self._start_postgres()
        if self._uses_given_brokers:
            self._addresses.append(("Kafka", self._environ[BROKERS]))
        else:
            self._start_kafka()
        if not self._tracks_given:
            self._migrate_example()
        for name, command in STAGES.items():
            self._start_stage(
                name, Stage(name, [str(SCRIPTS / command)], self._environ, self._state.log(name))
            )
        if not self._tracks_given:
            self._start_site()
        if databases.DESTINATION_PREFIX + "HOST" in self._environ or self._tracks_given:
            self._addresses.append(("psql", databases.psql_line(self._environ)))
        self._addresses.append(("logs", str(self._state.logs)))
        self._report.addresses(self._addresses)

    def stop(self) -> None:
        """Stop all that was started, the last one first; one that resists stops no other."""
        for part in reversed(self._parts):
            if not part.is_running:
                continue
            with self._report.step(f"stopping {part.name}"):
                try:
                    part.stop()
                except (TimeoutError, OSError) as error:
                    self._report.problem(f"{part.name}: {error}")

    def _require(self) -> None:
        problems = requirements.missing(
            postgres=not self._tracks_given,
            kafka=not self._uses_given_brokers,
            environ=self._environ,
        )
        if problems:
            raise MissingRequirements("\n".join(problems))
        if self._tracks_given:
            with self._report.step("looking at the database that DB_* name"):
                databases.require_logical_decoding(self._environ)

    def _start_postgres(self) -> None:
        port = self._state.port("postgres", POSTGRES_PORT)
        server = LocalPostgres(
            self._state.folder / "postgres", port, log_path=self._state.log("postgres")
        )
        self._parts.append(server)
        with self._report.step(f"PostgreSQL {server.version} on port {port}"):
            server.start()
            server.ensure_database(DATABASE)
        self._environ = databases.without_databases(self._environ) | {
            "DB_HOST": server.host,
            "DB_PORT": str(port),
            "DB_NAME": DATABASE,
            "DB_USER": SUPERUSER,
            "DB_PASSWORD": server.password,
        }
        if databases.DESTINATION_PREFIX + "HOST" not in self._environ:
            psql = "psql" if shutil.which("psql") else str(server.programs / "psql")
            # The password is that of a server on loopback which this folder's owner runs.
            self._addresses.append(
                ("psql", f"{shlex.quote(psql)} {shlex.quote(server.dsn(DATABASE))}")
            )

    def _start_kafka(self) -> None:
        if not jars_folder(KAFKA_POM, self._state.folder).is_dir():
            with self._report.step("fetching Kafka by Maven, this once"):
                fetch_jars(KAFKA_POM, self._state.folder)
        port = self._state.port("kafka", KAFKA_PORT)
        broker = LocalKafka(
            self._state.folder / databases.broker_folder(self._environ, own=not self._tracks_given),
            port,
            jars_state=self._state.folder,
            log_path=self._state.log("kafka"),
        )
        self._parts.append(broker)
        with self._report.step(f"Kafka on port {port}"):
            broker.start()
        self._environ[BROKERS] = broker.bootstrap_servers
        self._addresses.append(("Kafka", broker.bootstrap_servers))

    def _migrate_example(self) -> None:
        with self._report.step("the example site's tables"):
            try:
                done = subprocess.run(
                    [sys.executable, str(EXAMPLE), "migrate", "--no-input"],
                    env=self._environ,
                    cwd=REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=MIGRATE_TIMEOUT_SECONDS,
                )
            except subprocess.TimeoutExpired as error:
                raise CannotStart("the example site's tables are not made in time") from error
            if done.returncode != 0:
                end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
                raise CannotStart(f"the example site's tables cannot be made:\n{end}")

    def _start_site(self) -> None:
        port = self._state.port("site", SITE_PORT)
        address = f"{LOOPBACK}:{port}"
        url = f"http://{address}/"
        command = [sys.executable, str(EXAMPLE), "runserver", address, "--noreload"]
        environ = self._environ | {"PYTHONUNBUFFERED": "1"}
        stage = Stage("site", command, environ, self._state.log("site"), answers_http(url))
        self._start_stage("example site", stage)
        self._addresses.insert(0, ("example site", url))

    def _start_stage(self, title: str, stage: Stage) -> None:
        self._parts.append(stage)
        with self._report.step(title):
            stage.start()
            try:
                stage.wait_until_ready()
            except CannotStart:
                self._report.log(stage.name, stage.log_tail())
                raise
