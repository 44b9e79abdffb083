"""deploy/compose.yml itself, brought up under a name of its own with ports of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from deploy.local.paths import DEPLOY
from deploy.local.ports import LOOPBACK, free_port
from tests.compose.engine import Engine
from tests.fixtures.waiting import eventually

COMPOSE_FILE = DEPLOY / "compose.yml"
PROJECT = "bemi-test"
HEALTHY_SECONDS = 300.0
STAGES = ("producer", "stitcher", "sink")
SERVERS = ("postgres", "kafka", *STAGES, "example")


class Stack:
    """The services of the file, as an operator handles them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._compose = [*engine.compose_command(), "-f", str(COMPOSE_FILE)]
        self._ports = {name: free_port() for name in ("SITE_PORT", "POSTGRES_PORT", "KAFKA_PORT")}
        self._environ = {name: str(port) for name, port in self._ports.items()}
        self._environ["COMPOSE_PROJECT_NAME"] = PROJECT
        self.site = f"http://{LOOPBACK}:{self._ports['SITE_PORT']}"

    def compose(self, *arguments: str) -> str:
        """Run one of Compose's commands on the file."""
        return self._engine.run([*self._compose, *arguments], self._environ)

    def up(self, **scale: int) -> None:
        """Bring everything up, so many of each stage, and return when all say they are ready."""
        counts = dict.fromkeys(STAGES, 1) | scale
        scales = [f"--scale={name}={count}" for name, count in counts.items()]
        self.compose("up", "--detach", "--no-build", *scales)
        for name in SERVERS:
            self._wait_until_healthy(name, counts.get(name, 1))

    def down(self, *arguments: str) -> None:
        """Stop and remove all containers; the volumes stay unless the arguments say else."""
        self.compose("down", *arguments)

    def containers(self, service: str) -> list[str]:
        """Return the ids of the service's containers that run."""
        found = self._engine.docker(
            *("ps", "--quiet", "--no-trunc"),
            *("--filter", f"label=com.docker.compose.project={PROJECT}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        )
        return found.split()

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        return dict(json.loads(self._engine.docker("inspect", container))[0])

    def logs(self, *services: str) -> str:
        """Return the end of the services' logs."""
        return self.compose("logs", "--no-color", "--tail=40", *services)

    def kill(self, container: str) -> None:
        """End a container at once; it is not started again."""
        self._engine.docker("kill", container)

    def _wait_until_healthy(self, service: str, count: int) -> None:
        def check() -> None:
            states = [self.inspect(each)["State"] for each in self.containers(service)]
            seen = [state.get("Health", {}).get("Status") for state in states]
            assert seen == ["healthy"] * count, f"{service}: {seen}\n{self.logs(service)}"

        eventually(check, HEALTHY_SECONDS)

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """Connect to the stack's database by its published port, as its superuser."""
        secret = self.compose("exec", "-T", "postgres", "cat", "/run/secrets/superuser/password")
        with psycopg.connect(
            host=LOOPBACK,
            port=self._ports["POSTGRES_PORT"],
            dbname="app",
            user="postgres",
            password=secret.strip(),
            autocommit=True,
            row_factory=dict_row,
        ) as connection:
            yield connection
