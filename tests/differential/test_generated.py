"""Random SQL gives the records that Debezium makes of it, in usual and random configurations."""

from __future__ import annotations

import random
import time

import pytest

from tests.differential.configurations import DEFAULTS, READABLE, SNAPSHOTS, random_configuration
from tests.differential.conftest import Compare, assert_no_difference
from tests.differential.generator import Generator

RANDOM_CONFIGURATIONS = 3
SNAPSHOT = SNAPSHOTS[0]


def test_random_changes_are_published_as_debezium_publishes_them(
    compare: Compare, pytestconfig: pytest.Config
) -> None:
    seed = pytestconfig.getoption("--differential-seed")
    seconds = pytestconfig.getoption("--differential-seconds")
    configurations = [READABLE, DEFAULTS, SNAPSHOT]
    for number in range(RANDOM_CONFIGURATIONS):
        rng = random.Random(f"{seed} {number}")
        configurations.append(random_configuration(rng, f"random {number} of seed {seed}"))
    with compare(configurations) as comparison:
        generator = Generator(seed, comparison.kinds)
        comparison.sides.prepare(generator.first_steps())
        comparison.sides.start()
        count = comparison.sides.run(generator.steps(), time.monotonic() + seconds)
        outcomes = comparison.outcomes().values()
    replay = (
        f"python -m tests.differential --seed {seed} --statements {count} "
        f"--named {SNAPSHOT.name} --random {RANDOM_CONFIGURATIONS}"
    )
    assert_no_difference(outcomes, replay)
