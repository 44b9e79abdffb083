"""The modules that are compiled where there is a compiler."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.compiled import PRODUCER, SOURCES_ALONE, extensions

MODULES = re.findall(
    r'^    "/producer/(\w+)\.py",$', (PRODUCER.parent / "pyproject.toml").read_text(), re.MULTILINE
)


def test_all_are_compiled_or_none() -> None:
    compiled = sorted(source.stem for _, source in extensions())
    assert compiled in ([], MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_the_form_that_was_asked_for_is_tested(name: str) -> None:
    is_interpreted = SOURCES_ALONE or not list(extensions())
    found = Path(str(import_module(f"producer.{name}").__file__))
    assert (found.suffix == ".py") == is_interpreted


@pytest.mark.skipif("CI" not in os.environ, reason="a machine may have no compiler")
def test_ci_compiles() -> None:
    assert list(extensions())
