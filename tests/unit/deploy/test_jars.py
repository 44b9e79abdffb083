"""Jars are fetched once for each pom, and never half."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.jars import fetch_jars, jars_folder
from deploy.local.process import CannotStart


@pytest.fixture
def pom(tmp_path: Path) -> Path:
    """A pom of some program."""
    path = tmp_path / "kafka" / "pom.xml"
    path.parent.mkdir()
    path.write_text("<project>1</project>")
    return path


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The poms that Maven was asked for."""
    poms: list[Path] = []

    def copy(pom: Path, folder: Path) -> None:
        poms.append(pom)
        folder.mkdir()
        (folder / "kafka.jar").touch()

    monkeypatch.setattr(jars, "_copy_dependencies", copy)
    return poms


def test_jars_are_fetched_once(tmp_path: Path, pom: Path, fetched: list[Path]) -> None:
    first = fetch_jars(pom, tmp_path)
    second = fetch_jars(pom, tmp_path)

    assert first == second == jars_folder(pom, tmp_path)
    assert [file.name for file in first.iterdir()] == ["kafka.jar"]
    assert fetched == [pom]


def test_a_changed_pom_gets_jars_of_its_own(tmp_path: Path, pom: Path, fetched: list[Path]) -> None:
    first = fetch_jars(pom, tmp_path)
    pom.write_text("<project>2</project>")

    assert fetch_jars(pom, tmp_path) != first
    assert len(fetched) == 2


def test_a_fetch_that_fails_leaves_nothing_that_looks_whole(
    tmp_path: Path, pom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_pom: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "half.jar").touch()
        raise CannotStart("no network")

    monkeypatch.setattr(jars, "_copy_dependencies", fail)
    with pytest.raises(CannotStart):
        fetch_jars(pom, tmp_path)

    assert not jars_folder(pom, tmp_path).exists()
