"""Which form of the compiled modules the tests import.

Python prefers an extension module beside a source file, whatever their age: an old one would hide
every change of the source. And both forms have to pass: BEMI_INTERPRETED=1 leaves the extension
modules out of a run.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = re.findall(
    r'^    "/(\w+/\w+\.py)",$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
)
"""The sources that are compiled, as pyproject.toml has them."""
FOLDERS = sorted({ROOT / Path(module).parent for module in MODULES})
SOURCES_ALONE = os.environ.get("BEMI_INTERPRETED") == "1"


def choose() -> None:
    """Import the sources alone where that is asked for; raise where an extension is older."""
    if SOURCES_ALONE:
        sys.path_hooks.insert(0, _sources)
        for folder in FOLDERS:
            sys.path_importer_cache.pop(str(folder), None)
        return
    old = [path.name for path, source in extensions() if _age(path) < _age(source)]
    if old:
        raise RuntimeError(
            f"older than their sources: {', '.join(sorted(old))}. `make check` compiles them anew; "
            "BEMI_INTERPRETED=1 tests the sources alone"
        )


def extensions() -> Iterator[tuple[Path, Path]]:
    """Yield the extension modules, each with its source."""
    for folder in FOLDERS:
        for path in folder.glob("*.so"):
            yield path, folder / f"{path.name.partition('.')[0]}.py"


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _sources(path: str) -> FileFinder:
    if Path(path) not in FOLDERS:
        raise ImportError(f"nothing compiled is there: {path}")
    return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))
