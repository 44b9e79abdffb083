"""Debezium's PostgreSQL connector in a Kafka Connect worker, to compare and measure against.

One standalone worker with one connector, or with several that are added while it runs: the
virtual machine takes seconds to start, a connector does not. The offsets are in the folder, so
it goes on where it was after stop, kill and start; a new folder begins anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from deploy.local.jars import DEBEZIUM_POM, fetch_jars
from deploy.local.paths import DEPLOY
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import CannotStart, ChildProcess
from deploy.local.requirements import JAVA_ADVICE, MissingRequirements, find_java

LOG_SETTINGS = DEPLOY / "kafka" / "log4j2.properties"
DEFAULT_NAME = "debezium"
CONNECTOR_CLASS = "io.debezium.connector.postgresql.PostgresConnector"
HEAP_VARIABLE = "BEMI_LOCAL_DEBEZIUM_HEAP"
HEAP = "-Xmx1g"
START_TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.1


class LocalDebezium:
    """A Connect worker with Debezium connectors, whose properties the caller gives.

    Properties need no name and no class; without any the worker starts empty. Connectors that
    were added go with the worker: only the first comes back when it starts again.
    `worker_properties` come over the defaults, which are JSON without schemas and the offsets
    written every second.
    """

    def __init__(
        self,
        folder: Path,
        bootstrap_servers: str,
        connector_properties: Mapping[str, str] | None = None,
        worker_properties: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        java = find_java()
        if java is None:
            raise MissingRequirements(JAVA_ADVICE)
        self._java = (java, *os.environ.get(HEAP_VARIABLE, HEAP).split(), *java_options)
        self._folder = folder.resolve()
        self._connector = connector_properties and _connector(connector_properties)
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
    def name(self) -> str:
        """Return what the worker is called: as its first connector."""
        return self._connector["name"] if self._connector else DEFAULT_NAME

    @property
    def is_running(self) -> bool:
        """Tell whether the worker's process runs; its connectors may have failed nevertheless."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """Return the worker's process id, for measuring what it uses."""
        return self._running().pid

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Start the worker and return when it answers and its connector's task runs."""
        if self.is_running:
            return
        class_path = f"{fetch_jars(DEBEZIUM_POM)}/*"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        worker = self._worker | {"listeners": f"http://{LOOPBACK}:{self._port}"}
        files = [self._write("worker.properties", worker)]
        if self._connector:
            files.append(self._write("connector.properties", self._connector))
        self._process = ChildProcess(
            "debezium",
            [
                *self._java,
                f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
                *("-cp", class_path, "org.apache.kafka.connect.cli.ConnectStandalone"),
                *map(str, files),
            ],
            log_path=self._folder / "debezium.log",
            folder=self._folder,
        )
        self._process.start()
        deadline = time.monotonic() + timeout_seconds
        if self._connector:
            self._wait_until_it_runs(self.name, deadline)
        else:
            self._wait_until_it_answers(deadline)

    def add(
        self,
        connector_properties: Mapping[str, str],
        timeout_seconds: float = START_TIMEOUT_SECONDS,
    ) -> None:
        """Start one more connector, of another name, and return when its task runs."""
        connector = _connector(connector_properties)
        body = {"name": connector["name"], "config": connector}
        try:
            self._request("POST", "/connectors", body, timeout_seconds)
        except HTTPError as error:
            reason = error.read().decode(errors="replace")
            raise CannotStart(f"Connect refuses {connector['name']}: {reason}") from error
        self._wait_until_it_runs(connector["name"], time.monotonic() + timeout_seconds)

    def remove(self, name: str) -> None:
        """End a connector in order; what it has sent stays recorded in the offsets."""
        self._request("DELETE", f"/connectors/{name}")

    def failure(self, name: str) -> str | None:
        """Return why a connector's task has failed, None while it runs."""
        traces = [str(task.get("trace", "")) for task in self._tasks(name) if _has_failed(task)]
        return traces[0] if traces else None

    def stop(self, timeout_seconds: float = 60.0) -> None:
        """End in order: what was sent is recorded in the offsets."""
        if self._process is not None:
            self._process.stop(timeout_seconds=timeout_seconds)

    def kill(self) -> None:
        """End at once, as by kill -9."""
        if self._process is not None:
            self._process.kill()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the worker's log."""
        return "" if self._process is None else self._process.tail(lines)

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise CannotStart("Debezium was not started")
        return self._process

    def _write(self, name: str, properties: Mapping[str, str]) -> Path:
        path = self._folder / name
        # The connector's file holds a password.
        path.touch(mode=0o600)
        path.write_text(properties_text(properties))
        return path

    def _wait_until_it_runs(self, name: str, deadline: float) -> None:
        while True:
            tasks = self._tasks(name)
            if any(map(_has_failed, tasks)):
                reason = self.failure(name) or self._running().tail()
                raise CannotStart(f"the connector {name} failed: {reason}")
            if tasks and all(task["state"] == "RUNNING" for task in tasks):
                return
            self._pause(deadline, f"the connector {name} does not run")

    def _wait_until_it_answers(self, deadline: float) -> None:
        while self._ask("/connectors") is None:
            self._pause(deadline, "Kafka Connect does not answer")

    def _pause(self, deadline: float, problem: str) -> None:
        process = self._running()
        if not process.is_running:
            raise CannotStart(f"Debezium ended while starting; its log ends:\n{process.tail()}")
        if time.monotonic() > deadline:
            raise CannotStart(f"{problem}; its log ends:\n{process.tail()}")
        time.sleep(POLL_SECONDS)

    def _tasks(self, name: str) -> list[dict[str, Any]]:
        """Return what Connect says of the connector's tasks, nothing while it does not answer."""
        status = self._ask(f"/connectors/{name}/status")
        return [] if status is None else list(status["tasks"])

    def _ask(self, path: str) -> Any:
        try:
            return self._request("GET", path)
        except (URLError, OSError):
            return None

    def _request(
        self, method: str, path: str, body: object = None, timeout_seconds: float = 60.0
    ) -> Any:
        request = Request(
            f"http://{LOOPBACK}:{self._port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310 - the worker's own.
            return json.loads(answer.read() or b"null")


def properties_text(properties: Mapping[str, str]) -> str:
    """Return the properties as java.util.Properties reads them from a file."""
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _connector(properties: Mapping[str, str]) -> dict[str, str]:
    return {
        "name": DEFAULT_NAME,
        "connector.class": CONNECTOR_CLASS,
        "tasks.max": "1",
        **properties,
    }


def _has_failed(task: Mapping[str, Any]) -> bool:
    return bool(task["state"] == "FAILED")


def _escaped(value: str) -> str:
    # A backslash escapes, leading blanks are dropped, a line ends the value, bytes are Latin-1.
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    if not escaped.isascii():
        units = escaped.encode("utf-16-be")
        codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
        escaped = "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)
    return "\\" + escaped if escaped.startswith(" ") else escaped
