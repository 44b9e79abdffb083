"""The stack of deploy/compose.yml in containers, where BEMI_TEST_COMPOSE asks for it.

It takes minutes, root and a Docker engine, so it is not among the tests that run by default:
`make compose-test` runs it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
import yaml

from deploy.local.paths import DEPLOY, REPOSITORY, STATE
from tests.compose.engine import Engine, running_engine
from tests.compose.stack import COMPOSE_FILE, PROFILES, SERVERS, Stack
from tests.compose.stand_ins import ensure

ASKED_FOR = "BEMI_TEST_COMPOSE"
DOCKERFILE = DEPLOY / "images" / "Dockerfile"
TARGETS = ("init", "producer", "stitcher", "sink", "example", "all-in-one")
VERSION = "0.1.0"

collect_ignore_glob = [] if os.environ.get(ASKED_FOR) else ["test_*.py"]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return an engine that has every image the stack needs, ours built from this checkout."""
    scratch = tmp_path_factory.mktemp("images")
    with running_engine(STATE / "docker") as made:
        for image in sorted(_images_of_others()):
            ensure(made, image, scratch)
        # `built` takes our images as they are, to try something again quickly.
        for target in TARGETS if os.environ[ASKED_FOR] != "built" else ():
            _build(made, target)
        yield made


@pytest.fixture(scope="session")
def stack(engine: Engine) -> Iterator[Stack]:
    """Return the stack; its containers, networks and volumes go with the tests."""
    made = Stack(engine)
    made.down("--volumes", "--remove-orphans")
    try:
        yield made
    finally:
        made.down("--volumes", "--remove-orphans")


def _images_of_others() -> set[str]:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    used = (*SERVERS, *(name for names in PROFILES.values() for name in names))
    images = {services[name]["image"] for name in used if "build" not in services[name]}
    return images | set(re.findall(r"^ARG \w+_IMAGE=(.+)$", DOCKERFILE.read_text(), re.MULTILINE))


def _build(engine: Engine, target: str) -> None:
    engine.build(
        f"bemi/{target}:{VERSION}", REPOSITORY, "--file", str(DOCKERFILE), "--target", target
    )
