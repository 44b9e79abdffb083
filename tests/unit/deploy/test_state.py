"""The state folder belongs to one program at a time and goes when it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.state import AlreadyRunning, State


def test_a_second_run_is_told_that_one_runs(tmp_path: Path) -> None:
    with (
        State(tmp_path / "state").owned(),
        pytest.raises(AlreadyRunning, match="runs already"),
        State(tmp_path / "state").owned(),
    ):
        pass


def test_the_folder_is_free_again_after_the_run(tmp_path: Path) -> None:
    for _ in range(2):
        with State(tmp_path / "state").owned():
            pass


def test_a_folder_in_use_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with State(folder).owned(), pytest.raises(AlreadyRunning):
        State(folder).remove()

    assert folder.exists()


def test_nothing_is_left_after_removing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state = State(folder)
    with state.owned():
        state.log("producer").write_text("ready")

    state.remove()

    assert not folder.exists()


def test_removing_what_was_never_made_is_no_error(tmp_path: Path) -> None:
    State(tmp_path / "state").remove()

    assert not (tmp_path / "state").exists()


def test_a_chosen_port_is_kept_between_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.state.choose_port", lambda usual, kept: kept or usual + 1)

    first = State(tmp_path).port("kafka", 9092)

    assert first == 9093
    assert State(tmp_path).port("kafka", 9092) == first


def test_the_log_of_the_run_before_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.log("sink").write_text("first run")

    path = state.log("sink")

    assert not path.exists()
    assert path.with_suffix(".log.1").read_text() == "first run"
