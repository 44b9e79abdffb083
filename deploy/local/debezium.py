"""Debezium's PostgreSQL connector in a Kafka Connect worker, to compare and measure against.

One standalone worker with one connector. Its offsets are in the folder, so it goes on where
it was after stop, kill and start; a new folder begins anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from deploy.local.jars import DEBEZIUM_POM, fetch_jars
from deploy.local.paths import DEPLOY
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import CannotStart, ChildProcess
from deploy.local.requirements import JAVA_ADVICE, MissingRequirements, find_java

LOG_SETTINGS = DEPLOY / "kafka" / "log4j2.properties"
CONNECTOR_CLASS = "io.debezium.connector.postgresql.PostgresConnector"
HEAP_VARIABLE = "BEMI_LOCAL_DEBEZIUM_HEAP"
HEAP = "-Xmx1g"
START_TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.1


class LocalDebezium:
    """A Connect worker with one Debezium connector, whose properties the caller gives.

    `connector_properties` needs no name and no class; `worker_properties` come over the
    defaults, which are JSON without schemas and the offsets written every second.
    """

    def __init__(
        self,
        folder: Path,
        bootstrap_servers: str,
        connector_properties: Mapping[str, str],
        worker_properties: Mapping[str, str] | None = None,
    ) -> None:
        java = find_java()
        if java is None:
            raise MissingRequirements(JAVA_ADVICE)
        self.name = connector_properties.get("name", "debezium")
        self._java = java
        self._folder = folder.resolve()
        self._connector = {
            "name": self.name,
            "connector.class": CONNECTOR_CLASS,
            "tasks.max": "1",
            **connector_properties,
        }
        self._worker = {
            "bootstrap.servers": bootstrap_servers,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            "offset.storage.file.filename": str(self._folder / "offsets"),
            "offset.flush.interval.ms": "1000",
            **(worker_properties or {}),
        }
        self._process: ChildProcess | None = None
        self._port = 0

    @property
    def is_running(self) -> bool:
        """Tell whether the worker's process runs; its connector may have failed nevertheless."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """Return the worker's process id, for measuring what it uses."""
        if self._process is None:
            raise CannotStart("Debezium was not started")
        return self._process.pid

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Start the worker and return when its connector's task runs."""
        if self.is_running:
            return
        class_path = f"{fetch_jars(DEBEZIUM_POM)}/*"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        worker = self._worker | {"listeners": f"http://{LOOPBACK}:{self._port}"}
        self._process = ChildProcess(
            "debezium",
            [
                *(self._java, *os.environ.get(HEAP_VARIABLE, HEAP).split()),
                f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
                *("-cp", class_path, "org.apache.kafka.connect.cli.ConnectStandalone"),
                str(self._write("worker.properties", worker)),
                str(self._write("connector.properties", self._connector)),
            ],
            log_path=self._folder / "debezium.log",
            folder=self._folder,
        )
        self._process.start()
        self._wait_until_it_runs(self._process, time.monotonic() + timeout_seconds)

    def stop(self, timeout_seconds: float = 60.0) -> None:
        """End in order: what was sent is recorded in the offsets."""
        if self._process is not None:
            self._process.stop(timeout_seconds=timeout_seconds)

    def kill(self) -> None:
        """End at once, as by kill -9."""
        if self._process is not None:
            self._process.kill()

    def log_tail(self) -> str:
        """Return the last lines of the worker's log."""
        return "" if self._process is None else self._process.tail()

    def _write(self, name: str, properties: Mapping[str, str]) -> Path:
        path = self._folder / name
        # The connector's file holds a password.
        path.touch(mode=0o600)
        path.write_text("".join(f"{key}={_escaped(value)}\n" for key, value in properties.items()))
        return path

    def _wait_until_it_runs(self, process: ChildProcess, deadline: float) -> None:
        while True:
            if not process.is_running:
                raise CannotStart(f"Debezium ended while starting; its log ends:\n{process.tail()}")
            states = self._states()
            if "FAILED" in states:
                raise CannotStart(f"the connector failed; its log ends:\n{process.tail()}")
            if states and set(states) == {"RUNNING"}:
                return
            if time.monotonic() > deadline:
                raise CannotStart(f"the connector does not run; its log ends:\n{process.tail()}")
            time.sleep(POLL_SECONDS)

    def _states(self) -> list[str]:
        """Return the states of the connector's tasks, none while the worker does not answer."""
        url = f"http://{LOOPBACK}:{self._port}/connectors/{self.name}/status"
        try:
            with urlopen(url, timeout=5) as answer:
                status = json.load(answer)
        except (URLError, OSError):
            return []
        return [task["state"] for task in status["tasks"]]


def _escaped(value: str) -> str:
    # The format of java.util.Properties: a backslash escapes, leading blanks are dropped.
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return "\\" + escaped if escaped.startswith(" ") else escaped
