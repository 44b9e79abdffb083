"""A schema registry with Confluent's API, of Apicurio's own jars; for tests.

Its schemas are in memory: they are gone when it stops, unlike a real one's.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

from deploy.local.jars import fetch_jars
from deploy.local.java_options import FIRST_COMPILER_ONLY
from deploy.local.paths import DEPLOY
from deploy.local.ports import LOOPBACK
from deploy.local.process import CannotStart, ChildProcess
from deploy.local.requirements import JAVA_ADVICE, MissingRequirements, find_java

REGISTRY_POM = DEPLOY / "registry" / "pom.xml"
CONVERTER_POM = DEPLOY / "converter" / "pom.xml"
CONVERTER_CLASS = "io.apicurio.registry.utils.converter.AvroConverter"
# It lives for the length of a test session, so a quick start matters more than speed.
JAVA_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", FIRST_COMPILER_ONLY)
START_TIMEOUT_SECONDS = 90.0
POLL_SECONDS = 0.1


class LocalRegistry:
    """A schema registry that can be started, stopped, killed and started again, empty."""

    def __init__(
        self, folder: Path, port: int, *, properties: Mapping[str, str] | None = None
    ) -> None:
        """Prepare a registry; the properties are those of its server, Quarkus."""
        java = find_java()
        if java is None:
            raise MissingRequirements(JAVA_ADVICE)
        self._java = java
        self._folder = folder.resolve()
        self._port = port
        self._properties = {
            "quarkus.http.host": LOOPBACK,
            "quarkus.http.port": str(port),
            **(properties or {}),
        }
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Return where Confluent's API is."""
        return f"http://{LOOPBACK}:{self._port}/apis/ccompat/v7"

    @property
    def apicurio_url(self) -> str:
        """Return where Apicurio's own API is, which its converter uses."""
        return f"http://{LOOPBACK}:{self._port}/apis/registry/v2"

    def converter_properties(self, side: str) -> dict[str, str]:
        """Return what makes a Connect worker write keys or values as Avro, as Confluent's does.

        `side` is `key` or `value`; the worker's `plugin.path` is `fetch_converter()`.
        """
        apicurio = {
            "url": self.apicurio_url,
            "auto-register": "true",
            "find-latest": "true",
            "headers.enabled": "false",
            "as-confluent": "true",
            "use-id": "contentId",
        }
        return {
            f"{side}.converter": CONVERTER_CLASS,
            **{f"{side}.converter.apicurio.registry.{n}": value for n, value in apicurio.items()},
        }

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Start the registry and return when it answers; does nothing while it runs."""
        if self._process is not None and self._process.is_running:
            return
        runner = _unpacked() / "runner.jar"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = ChildProcess(
            "registry",
            [
                *(self._java, *JAVA_OPTIONS),
                *(f"-D{name}={value}" for name, value in self._properties.items()),
                *("-jar", str(runner)),
            ],
            log_path=self._folder / "registry.log",
            folder=self._folder,
        )
        self._process.start()
        self._wait_until_it_answers(self._process, time.monotonic() + timeout_seconds)

    def stop(self) -> None:
        """End in order."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End at once, as by kill -9."""
        if self._process is not None:
            self._process.kill()

    def _wait_until_it_answers(self, process: ChildProcess, deadline: float) -> None:
        while True:
            if not process.is_running:
                raise CannotStart(
                    f"the registry ended while starting; its log ends:\n{process.tail()}"
                )
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise CannotStart(f"the registry does not answer; its log ends:\n{process.tail()}")
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://{LOOPBACK}:{self._port}/apis/ccompat/v7/subjects", timeout=5):
                return True
        except OSError:
            # Of which both a refused connection and an error as the answer are kinds.
            return False


def fetch_converter() -> Path:
    """Return the folder for a Connect worker's `plugin.path` that has the Avro converter."""
    return fetch_jars(CONVERTER_POM).parent


def _unpacked() -> Path:
    """Return the folder with the registry's program, unpacked once."""
    jars = fetch_jars(REGISTRY_POM)
    target = jars / "program"
    if target.is_dir():
        return target
    (archive,) = jars.glob("*.tar.gz")
    # Several test sessions may do this at once; the first whole folder stays.
    unfinished = jars / f"program.{os.getpid()}"
    with tarfile.open(archive) as files:
        # Python of before 3.10.12 and 3.11.4 has no filters, as Debian 12's.
        if hasattr(tarfile, "data_filter"):
            files.extractall(unfinished, filter="data")
        else:
            files.extractall(unfinished)  # noqa: S202 -- Apicurio's, as Maven has checked it.
    (runner,) = unfinished.glob("*-runner.jar")
    runner.rename(unfinished / "runner.jar")
    try:
        unfinished.rename(target)
    except OSError:
        shutil.rmtree(unfinished)
    return target
