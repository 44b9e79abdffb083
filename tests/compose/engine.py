"""A Docker engine for the tests of deploy/compose.yml: the one that runs, or one of their own.

The engine that is started here listens on a socket file only, keeps everything in its folder
and ends with the tests; its images stay there, so that a second run is quick.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local.process import ChildProcess
from tests.fixtures.waiting import eventually

START_SECONDS = 60.0
STOP_SECONDS = 120.0
COMMAND_SECONDS = 1_800.0
DEBIAN_CLIENT = "/usr/bin/docker"
NEEDED = ("docker", "dockerd", "debootstrap", "iptables")
ADVICE = (
    "needs root, and from Debian: "
    "apt-get install --no-install-recommends docker.io docker-compose debootstrap iptables"
)


class Engine:
    """Runs Docker's commands on one engine."""

    def __init__(self, host: str) -> None:
        self._environ = {**os.environ, "DOCKER_HOST": host}

    def docker(self, *arguments: str, timeout_seconds: float = COMMAND_SECONDS) -> str:
        """Run `docker` and return what it prints; raises AssertionError where it fails."""
        return self.run(["docker", *arguments], timeout_seconds=timeout_seconds)

    def run(
        self,
        command: list[str],
        environ: Mapping[str, str] | None = None,
        *,
        stdin: int | None = subprocess.DEVNULL,
        timeout_seconds: float = COMMAND_SECONDS,
    ) -> str:
        """Run a command that talks to the engine."""
        done = subprocess.run(
            command,
            env={**self._environ, **(environ or {})},
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )
        assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-4000:]}"
        return done.stdout

    def answers(self) -> bool:
        """Tell whether the engine is there."""
        try:
            self.docker("version", timeout_seconds=30)
        except (AssertionError, FileNotFoundError, subprocess.TimeoutExpired):
            return False
        return True

    def has_image(self, image: str, *, label: str | None = None) -> bool:
        """Tell whether the image is there, with the label; nothing is fetched."""
        having = ["--filter", f"label={label}"] if label else []
        return bool(self.docker("images", "--quiet", *having, image).strip())

    def build(self, tag: str, context: Path, *arguments: str) -> None:
        """Build an image; whatever it installs comes by the machine's own network."""
        command = ["build", "--network", "host", "--tag", tag, *arguments, str(context)]
        self.run([self._builder(), *command], {"DOCKER_BUILDKIT": "1"})

    def _builder(self) -> str:
        """Return a client that builds by BuildKit: a new one needs the plug-in buildx for that."""
        for client in ("docker", DEBIAN_CLIENT):
            with suppress(AssertionError, FileNotFoundError):
                self.run([client, "build", "--help"], {"DOCKER_BUILDKIT": "1"})
                return client
        raise AssertionError(f"no docker client builds by BuildKit; {ADVICE}")

    def compose_command(self) -> list[str]:
        """Return `docker compose`, or `docker-compose` where that is what is installed."""
        try:
            self.docker("compose", "version")
        except AssertionError:
            assert shutil.which("docker-compose"), f"docker compose: {ADVICE}"
            return ["docker-compose"]
        return ["docker", "compose"]


@contextmanager
def running_engine(folder: Path) -> Iterator[Engine]:
    """Return the engine that DOCKER_HOST names, else one that runs as long as the block."""
    if host := os.environ.get("DOCKER_HOST"):
        yield Engine(host)
        return
    missing = [name for name in NEEDED if not shutil.which(name)]
    assert not missing, f"{', '.join(missing)}: {ADVICE}"
    assert os.geteuid() == 0, ADVICE
    folder.mkdir(parents=True, exist_ok=True)
    address = f"unix://{folder / 'docker.sock'}"
    daemon = ChildProcess(
        "dockerd",
        [
            *("dockerd", "--host", address, "--pidfile", str(folder / "pid")),
            *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        ],
        log_path=folder / "dockerd.log",
        folder=folder,
    )
    daemon.start()
    engine = Engine(address)
    try:
        eventually(engine.answers, START_SECONDS)
        yield engine
    finally:
        daemon.stop(timeout_seconds=STOP_SECONDS)
        # It leaves a mount behind, without which the folder can be removed.
        for name in (folder / "exec" / "netns").glob("*"):
            subprocess.run(["umount", str(name)], check=False, capture_output=True)
