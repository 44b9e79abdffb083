"""Fetch the jars a pom.xml names, once, into a folder that everything shares.

The folder is named by the pom's digest, so a changed pom gets a new folder, and it only
appears when it is whole. Two processes may ask for the same jars at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

from deploy.local.paths import DEPLOY, STATE
from deploy.local.process import CannotStart
from deploy.local.requirements import MAVEN_ADVICE, MissingRequirements, find_maven

KAFKA_POM = DEPLOY / "kafka" / "pom.xml"
DEBEZIUM_POM = DEPLOY / "debezium" / "pom.xml"
FETCH_TIMEOUT_SECONDS = 900.0
# A folder that holds Kafka's jars already, as an image does: then nothing is fetched.
KAFKA_LIBS_VARIABLE = "BEMI_LOCAL_KAFKA_LIBS"


def jars_folder(pom: Path, state: Path = STATE) -> Path:
    """Return where the pom's jars are, or will be."""
    given = os.environ.get(KAFKA_LIBS_VARIABLE)
    if given and pom == KAFKA_POM:
        return Path(given)
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    return state / f"{pom.parent.name}-jars" / digest


def fetch_jars(pom: Path, state: Path = STATE) -> Path:
    """Return the folder with the pom's jars, fetching them by Maven if they are not there."""
    target = jars_folder(pom, state)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            unfinished = target.with_suffix(".unfinished")
            _copy_dependencies(pom, unfinished)
            unfinished.rename(target)
    return target


def _copy_dependencies(pom: Path, folder: Path) -> None:
    maven = find_maven()
    if maven is None:
        raise MissingRequirements(MAVEN_ADVICE)
    try:
        done = subprocess.run(
            [
                *(maven, "--batch-mode", "--quiet", "--no-transfer-progress", "--file", str(pom)),
                "dependency:copy-dependencies",
                f"-DoutputDirectory={folder}",
                "-DincludeScope=runtime",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotStart(f"Maven did not fetch {pom} in {error.timeout:.0f} seconds") from error
    if done.returncode != 0:
        reason = "\n".join((done.stdout + done.stderr).strip().splitlines()[:5])
        raise CannotStart(f"Maven cannot fetch what {pom} names:\n{reason}")
