"""Which form of the producer's compiled modules the tests import.

Python prefers an extension module beside a source file, whatever their age: an old one would hide
every change of the source. And both forms have to pass: BEMI_INTERPRETED=1 leaves the extension
modules out of a run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

PRODUCER = Path(__file__).parents[1] / "producer"
SOURCES_ALONE = os.environ.get("BEMI_INTERPRETED") == "1"


def choose() -> None:
    """Import the sources alone where that is asked for; raise where an extension is older."""
    if SOURCES_ALONE:
        sys.path_hooks.insert(0, _sources_of_the_producer)
        sys.path_importer_cache.pop(str(PRODUCER), None)
        return
    old = [path.name for path, source in extensions() if _age(path) < _age(source)]
    if old:
        raise RuntimeError(
            f"older than their sources: {', '.join(sorted(old))}. `make check` compiles them anew; "
            "BEMI_INTERPRETED=1 tests the sources alone"
        )


def extensions() -> Iterator[tuple[Path, Path]]:
    """Yield the extension modules of the producer, each with its source."""
    for path in PRODUCER.glob("*.so"):
        yield path, PRODUCER / f"{path.name.partition('.')[0]}.py"


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _sources_of_the_producer(path: str) -> FileFinder:
    if Path(path) != PRODUCER:
        raise ImportError(f"not the producer: {path}")
    return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))
