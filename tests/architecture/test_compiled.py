"""The modules that are compiled where there is a compiler."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pytest

from tests.compiled import MODULES, ROOT, SOURCES_ALONE, extensions


def test_all_are_compiled_or_none() -> None:
    compiled = sorted(str(source.relative_to(ROOT)) for _, source in extensions())
    assert compiled in ([], MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_the_form_that_was_asked_for_is_tested(module: str) -> None:
    is_interpreted = SOURCES_ALONE or not list(extensions())
    name = module.removesuffix(".py").replace("/", ".")
    found = Path(str(import_module(name).__file__))
    assert (found.suffix == ".py") == is_interpreted


@pytest.mark.skipif("CI" not in os.environ, reason="a machine may have no compiler")
def test_ci_compiles() -> None:
    assert list(extensions())
