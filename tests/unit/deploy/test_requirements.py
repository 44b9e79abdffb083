"""What is missing is said at once, one line each, with the way to get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import requirements
from deploy.local.requirements import find_java, find_postgres, java_major, missing


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which nothing is installed."""
    monkeypatch.setattr(requirements, "_candidates", lambda _environ: [])
    return {"PATH": str(tmp_path)}


def _program(folder: Path, name: str, output: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{output}'\n")
    (folder / name).chmod(0o755)


def _postgres(folder: Path, version: str) -> Path:
    _program(folder, "initdb", f"initdb (PostgreSQL) {version}")
    _program(folder, "postgres", f"postgres (PostgreSQL) {version}")
    return folder


def test_everything_missing_is_named_at_once_with_a_command(bare_machine: dict[str, str]) -> None:
    problems = missing(environ=bare_machine)

    assert len(problems) == 3
    for problem, name in zip(problems, ("PostgreSQL", "Java", "Maven"), strict=True):
        assert problem.startswith(name)
        assert "apt-get install" in problem
        assert "brew install" in problem
        assert "\n" not in problem


def test_postgres_is_not_asked_for_when_it_is_not_needed(bare_machine: dict[str, str]) -> None:
    assert not any("PostgreSQL" in line for line in missing(postgres=False, environ=bare_machine))


def test_the_newest_postgres_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = [_postgres(tmp_path / name, name) for name in ("15.13", "17.5", "9.6")]
    monkeypatch.setattr(requirements, "_candidates", lambda _environ: folders)

    found = find_postgres({})

    assert found is not None
    assert (found.major, found.version) == (17, "17.5")


def test_data_of_an_older_postgres_gets_its_own_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = [_postgres(tmp_path / name, name) for name in ("15.13", "17.5")]
    monkeypatch.setattr(requirements, "_candidates", lambda _environ: folders)

    found = find_postgres({}, major=15)

    assert found is not None
    assert found.version == "15.13"


def test_a_postgres_that_is_too_old_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = _postgres(tmp_path / "old", "13.20")
    monkeypatch.setattr(requirements, "_candidates", lambda _environ: [folder])

    assert find_postgres({}) is None


def test_the_chosen_postgres_comes_before_a_newer_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    newer = _postgres(tmp_path / "newer", "18.1")
    chosen = _postgres(tmp_path / "chosen", "16.9 (Debian 16.9-1)")
    monkeypatch.setattr(requirements, "_candidates", lambda _environ: [newer])

    found = find_postgres({"BEMI_PG_BIN": str(chosen)})

    assert found is not None
    assert found.version == "16.9"


def test_java_of_java_home_comes_before_the_one_on_the_path(tmp_path: Path) -> None:
    _program(tmp_path / "path", "java", 'openjdk version "21.0.1" 2023-10-17')
    _program(tmp_path / "home" / "bin", "java", 'openjdk version "17.0.15" 2025-04-15')

    found = find_java({"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")})

    assert found == str(tmp_path / "home" / "bin" / "java")


def test_a_java_that_is_too_old_counts_as_missing(tmp_path: Path) -> None:
    _program(tmp_path, "java", 'openjdk version "11.0.2" 2019-01-15')

    assert find_java({"PATH": str(tmp_path)}) is None


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_391"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", 0),
    ],
)
def test_java_tells_its_version_in_several_forms(text: str, major: int) -> None:
    assert java_major(text) == major
