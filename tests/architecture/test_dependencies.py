"""Who may import whom. A failing test names the file and what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("producer", "stitcher_stream", "sink_pg")
OURS = {*STAGES, "schemas", "runtime", "bemi", "django_bemi", "deploy", "bench", "tests", "docs"}
MAY_IMPORT = {
    "schemas": {"schemas"},
    "runtime": {"runtime", "schemas"},
    **{stage: {stage, "runtime", "schemas"} for stage in STAGES},
    "django_bemi/bemi": {"bemi"},
}
KAFKA_LIBRARIES = {"confluent_kafka", "faust", "mode", "aiokafka"}
EDGE_LIBRARIES = {
    *KAFKA_LIBRARIES, "psycopg", "socket", "select", "threading", "asyncio", "time", "subprocess",
}  # fmt: skip
# A pure file gives the same for the same arguments, and says so where its docstring begins.
# These at least are pure; everything that does not say so is an edge.
PURE = {
    "producer": {
        "pgoutput", "relations", "row_codec", "table_shape", "json_events", "change_events",
        "progress", "start_checks", "column_types.registry", "configuration.column_rules",
    },
    "stitcher_stream": {"stitch", "contexts", "change_records"},
    "sink_pg": {"change_rows", "batch", "watermark"},
    "schemas": {"change", "change_id", "topics", "envelope", "avro"},
}  # fmt: skip
# Errors know the client library's errors they are made from, and settings read pydantic.
KNOWN_TO_PURE = {"errors", "settings"}
IS_PURE = re.compile(r"\bPure\b(?!,? but)")


def modules(folder: str) -> Iterator[Path]:
    return (ROOT / folder).rglob("*.py")


def imported(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_stands_below_it(folder: str) -> None:
    for path in modules(folder):
        tops = {name.partition(".")[0] for name in imported(path)} & OURS
        assert tops <= MAY_IMPORT[folder], (
            f"{path.relative_to(ROOT)} imports {tops - MAY_IMPORT[folder]}: move what is shared "
            "to schemas/ (contracts) or runtime/ (what every stage needs)"
        )


def pure_modules(folder: str) -> dict[str, Path]:
    """Return the files of a folder that are pure, by their names in it."""
    found = {}
    for path in modules(folder):
        name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
        summary = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
        if IS_PURE.search(summary) or name in PURE[folder]:
            found[name.removesuffix(".__init__")] = path
    return found


@pytest.mark.parametrize("folder", PURE)
def test_a_pure_file_imports_no_edge(folder: str) -> None:
    pure = pure_modules(folder)
    assert PURE[folder] <= pure.keys()
    for path in pure.values():
        names = imported(path)
        libraries = {n.partition(".")[0] for n in names} & EDGE_LIBRARIES
        edges = {
            n
            for n in names
            if n.startswith(f"{folder}.")
            and n.removeprefix(f"{folder}.") not in pure.keys() | KNOWN_TO_PURE
        }
        assert not libraries | edges, (
            f"{path.relative_to(ROOT)} is pure, yet imports {libraries | edges}: pass the value in"
        )


def test_the_django_package_needs_no_kafka_library() -> None:
    for path in modules("django_bemi"):
        assert not {n.partition(".")[0] for n in imported(path)} & KAFKA_LIBRARIES, path


def test_every_kafka_client_connects_as_the_settings_say() -> None:
    # The names of configurations that the producer reads, and brokers that only signals come from.
    others = {"kafka_client.py", "settings.py", "incremental_snapshot.py"}
    for folder in STAGES:
        for path in modules(folder):
            if path.name not in others:
                assert '"bootstrap.servers"' not in path.read_text(), (
                    f"{path.relative_to(ROOT)}: without TLS and login; "
                    "take runtime.kafka_client.client_settings"
                )


def test_no_file_has_grown_past_what_one_reads_at_once() -> None:
    for folder in (*OURS - {"bemi"}, "example"):
        for path in modules(folder):
            lines = len(path.read_text().splitlines())
            assert lines <= 600, f"{path.relative_to(ROOT)} has {lines} lines: split it"
