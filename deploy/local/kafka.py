"""An Apache Kafka broker of one's own, in one folder, reachable on loopback only.

One KRaft node that is broker and controller. It makes no topic by itself and deletes no
record by age. The data survives stop, kill and start; the port does not change while the
object lives.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.jars import KAFKA_POM, fetch_jars
from deploy.local.java_options import FIRST_COMPILER_ONLY
from deploy.local.paths import DEPLOY, STATE
from deploy.local.ports import LOOPBACK, choose_port, free_port, is_listening
from deploy.local.process import CannotStart, ChildProcess
from deploy.local.requirements import JAVA_ADVICE, MissingRequirements, find_java

LOG_SETTINGS = DEPLOY / "kafka" / "log4j2.properties"
START_TIMEOUT_SECONDS = 90.0
POLL_SECONDS = 0.05
# Not BEMI_KAFKA_*, of which the stages refuse names they do not know.
HEAP_VARIABLE = "BEMI_LOCAL_KAFKA_HEAP"
HEAP = "-Xmx512m"
MAX_MESSAGE_BYTES = 128 * 1024 * 1024
# The request that holds the largest message is a little larger, and the default is 100 MB.
MAX_REQUEST_BYTES = 2 * MAX_MESSAGE_BYTES

ONE_NODE_SETTINGS = {
    "auto.create.topics.enable": "false",
    # After a crash the node waits until its former self is given up: 9 seconds by default.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "group.initial.rebalance.delay.ms": "0",
    "log.retention.ms": "-1",
    "message.max.bytes": str(MAX_MESSAGE_BYTES),
    "offsets.topic.num.partitions": "10",
    "offsets.topic.replication.factor": "1",
    "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
    "replica.fetch.response.max.bytes": str(MAX_MESSAGE_BYTES),
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "socket.request.max.bytes": str(MAX_REQUEST_BYTES),
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "10",
    "transaction.state.log.replication.factor": "1",
}


@dataclass(frozen=True, slots=True)
class Security:
    """How clients of the broker connect: by encrypted connections, with a login, or both."""

    protocol: str
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The broker's: stores, mechanisms, logins."""
    client: Mapping[str, Any] = field(default_factory=dict)
    """librdkafka's, of a client that may ask whether the broker answers."""
    format_options: Sequence[str] = ()
    """Of the program that makes the storage, such as --add-scram=..."""


PLAINTEXT = Security("PLAINTEXT")


class LocalKafka:
    """A Kafka broker that can be started, stopped, killed and started again."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        settings: Mapping[str, str] | None = None,
        security: Security = PLAINTEXT,
        jars_state: Path = STATE,
        log_path: Path | None = None,
    ) -> None:
        java = find_java()
        if java is None:
            raise MissingRequirements(JAVA_ADVICE)
        self.port = port
        self.bootstrap_servers = f"{LOOPBACK}:{port}"
        self._security = security
        self._settings = ONE_NODE_SETTINGS | dict(security.settings) | dict(settings or {})
        self._java = java
        self._jars_state = jars_state
        self._folder = folder.resolve()
        self._log_path = log_path or self._folder / "kafka.log"
        self._controller_port: int | None = None
        self._process: ChildProcess | None = None

    @property
    def name(self) -> str:
        """Return what the server is called."""
        return "kafka"

    @property
    def is_running(self) -> bool:
        """Tell whether the broker's process runs."""
        return self._process is not None and self._process.is_running

    @property
    def needs_person(self) -> bool:
        """Return False: a server that has ended can always be started again."""
        return False

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Start the broker, its storage made if there is none; return when it answers."""
        if self.is_running:
            return
        class_path = f"{fetch_jars(KAFKA_POM, self._jars_state)}/*"
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        if not self._data.exists():
            self._format_storage(class_path, properties)
        self._process = ChildProcess(
            "kafka",
            [
                *(self._java, *os.environ.get(HEAP_VARIABLE, HEAP).split(), FIRST_COMPILER_ONLY),
                f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
                *("-cp", class_path, "kafka.Kafka", str(properties)),
            ],
            log_path=self._log_path,
            folder=self._folder,
        )
        self._process.start()
        self._wait_until_it_answers(self._process, time.monotonic() + timeout_seconds)

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Write everything down and end."""
        if self._process is not None:
            self._process.stop(timeout_seconds=timeout_seconds)

    def kill(self) -> None:
        """End the broker at once, as a crash of its machine would."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Stop the broker in order and start it again."""
        self.stop()
        self.start()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the broker's log."""
        return "" if self._process is None else self._process.tail(lines)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _write_properties(self) -> Path:
        # Only the broker itself talks to the controller, so any free port will do.
        self._controller_port = choose_port(self._controller_port or free_port())
        address = f"{self._security.protocol}://{self.bootstrap_servers}"
        settings = self._settings | {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{address},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "listener.security.protocol.map": (
                f"{self._security.protocol}:{self._security.protocol},CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": self._security.protocol,
            "advertised.listeners": address,
            "log.dirs": str(self._data),
        }
        path = self._folder / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in sorted(settings.items())))
        return path

    def _format_storage(self, class_path: str, properties: Path) -> None:
        # Formatted under another name first: half-formatted storage must not be taken for whole.
        unfinished = self._folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        draft = properties.with_name("format.properties")
        draft.write_text(
            properties.read_text().replace(f"log.dirs={self._data}", f"log.dirs={unfinished}")
        )
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(
            [
                *(self._java, FIRST_COMPILER_ONLY, f"-Dlog4j2.configurationFile={LOG_SETTINGS}"),
                *("-cp", class_path),
                *("kafka.tools.StorageTool", "format"),
                # One argument, because an id may begin with a dash.
                f"--cluster-id={cluster_id}",
                f"--config={draft}",
                *self._security.format_options,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CannotStart(f"Kafka's storage cannot be made: {done.stdout}{done.stderr}")
        draft.unlink()
        unfinished.rename(self._data)

    def _wait_until_it_answers(self, process: ChildProcess, deadline: float) -> None:
        admin: AdminClient | None = None
        while True:
            if not process.is_running:
                raise CannotStart(f"Kafka ended while starting; its log ends:\n{process.tail()}")
            if time.monotonic() > deadline:
                raise CannotStart(f"Kafka does not answer; its log ends:\n{process.tail()}")
            if admin is None and is_listening(self.port):
                # Made only now, so that the client does not report refused connections.
                admin = AdminClient(
                    {
                        "bootstrap.servers": self.bootstrap_servers,
                        "log_level": 2,
                        **self._security.client,
                    }
                )
            if admin is not None:
                try:
                    if admin.list_topics(timeout=2.0).brokers:
                        return
                except KafkaException:
                    pass
            time.sleep(POLL_SECONDS)
