"""deploy/compose.yml itself, brought up under a name of its own with ports of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
PROFILES = {"registry": ["registry"], "debezium": ["debezium"], "monitoring": ["prometheus"]}
"""The profiles and what is started of each: no Kafka UI and no Grafana can be had."""
EVERY_PROFILE = [f"--profile={name}" for name in PROFILES]
PUBLISHED = ("SITE_PORT", "POSTGRES_PORT", "KAFKA_PORT", "REGISTRY_PORT", "PROMETHEUS_PORT")


class Stack:
    """The services of the file, as an operator handles them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._compose = [*engine.compose_command(), "-f", str(COMPOSE_FILE)]
        self._ports = {name: free_port() for name in PUBLISHED}
        self._environ = {name: str(port) for name, port in self._ports.items()}
        self._environ["COMPOSE_PROJECT_NAME"] = PROJECT

    def address(self, port: str) -> str:
        """Return where what is published at the port of that name answers."""
        return f"{LOOPBACK}:{self._ports[port]}"

    def compose(self, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """Run one of Compose's commands on the file."""
        return self._engine.run([*self._compose, *arguments], {**self._environ, **(environ or {})})

    def up(
        self, *, profile: str | None = None, environ: Mapping[str, str] | None = None, **scale: int
    ) -> None:
        """Bring everything up, so many of each stage, and return when all say they are ready.

        Of a profile only what there are images of is started, beside what needs no profile.
        """
        counts = dict.fromkeys(STAGES, 1) | scale
        arguments = ["up", "--detach", "--no-build"]
        arguments += [f"--scale={name}={count}" for name, count in counts.items()]
        if profile is not None:
            arguments = ["--profile", profile, *arguments, *SERVERS, *PROFILES[profile]]
        self.compose(*arguments, environ=environ)
        for name in (*SERVERS, *PROFILES.get(profile or "", [])):
            self._wait_until_healthy(name, counts.get(name, 1))

    def down(self, *arguments: str) -> None:
        """Stop and remove all containers; the volumes stay unless the arguments say else."""
        self.compose(*EVERY_PROFILE, "down", *arguments)

    def containers(self, service: str, *, ended: bool = False) -> list[str]:
        """Return the ids of the service's containers that run, or also of those that ended."""
        found = self._engine.docker(
            *("ps", "--quiet", "--no-trunc", *(["--all"] if ended else [])),
            *("--filter", f"label=com.docker.compose.project={PROJECT}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        )
        return found.split()

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        return dict(json.loads(self._engine.docker("inspect", container))[0])

    def logs(self, *services: str) -> str:
        """Return the end of the services' logs."""
        return self.compose(*EVERY_PROFILE, "logs", "--no-color", "--tail=40", *services)

    def kill(self, container: str) -> None:
        """End a container at once; it is not started again."""
        self._engine.docker("kill", container)

    def health(self, service: str) -> list[str]:
        """Return what the health check says of each of the service's containers."""
        states = [self.inspect(each)["State"] for each in self.containers(service)]
        return [state.get("Health", {}).get("Status") for state in states]

    def _wait_until_healthy(self, service: str, count: int) -> None:
        def check() -> None:
            seen = self.health(service)
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
