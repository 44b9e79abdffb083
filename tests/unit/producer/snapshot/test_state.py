"""What a start does first, by snapshot.mode and what is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from producer.snapshot.chunks import Finished, HeapProgress
from producer.snapshot.state import SnapshotStore, Status, Step, first_step, is_readable
from producer.source_state import SlotState, StoredOffset
from schemas.change_id import Lsn


class Stored:
    """A store that is as durable as the test."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        return self.values.get(key)

    def items(self, prefix: str) -> dict[str, dict[str, Any]]:
        return {key: value for key, value in self.values.items() if key.startswith(prefix)}

    def put(
        self, key: str, value: dict[str, Any], on_stored: Callable[[], None] | None = None
    ) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        del self.values[key]

    def flush(self, timeout_seconds: float) -> bool:
        return True


STEPS = [
    # mode, status, has a position, it can be read: step
    ("initial", None, False, True, Step.TAKE),
    ("initial", None, True, True, Step.STREAM),
    ("initial", Status.WANTED, True, True, Step.TAKE),
    ("initial", Status.RUNNING, True, True, Step.TAKE),
    ("initial", Status.DONE, True, True, Step.STREAM),
    ("always", Status.DONE, True, True, Step.TAKE),
    ("initial_only", None, False, True, Step.TAKE),
    ("initial_only", Status.RUNNING, True, True, Step.TAKE),
    ("initial_only", Status.DONE, True, True, Step.END),
    ("initial_only", None, True, True, Step.END),
    ("no_data", None, False, True, Step.STREAM),
    ("never", Status.RUNNING, True, True, Step.STREAM),
    ("when_needed", None, False, True, Step.TAKE),
    ("when_needed", Status.DONE, True, True, Step.STREAM),
    ("when_needed", Status.DONE, True, False, Step.TAKE),
]


@pytest.mark.parametrize(("mode", "status", "has_position", "is_readable", "step"), STEPS)
def test_the_first_step_follows_the_mode_and_what_is_stored(
    mode: str, status: Status | None, has_position: bool, is_readable: bool, step: Step
) -> None:
    found = first_step(mode, status, has_position=has_position, is_readable=is_readable)
    assert found is step


def slot(confirmed: int | None, invalidation: str | None = None) -> SlotState:
    lsn = None if confirmed is None else Lsn(confirmed)
    return SlotState("bemi", "pgoutput", "app", lsn, invalidation)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (slot(90), True),
        (slot(100), True),
        (slot(101), False),
        (slot(90, "wal_removed"), False),
        (slot(None), False),
        (None, False),
    ],
)
def test_a_stored_position_is_readable_while_the_slot_has_not_gone_past_it(
    found: SlotState | None, expected: bool
) -> None:
    assert is_readable(found, StoredOffset(1, 1, "app", "bemi", "bemi", Lsn(100))) is expected
    assert is_readable(found, None)


def test_a_wish_outlives_a_kill_before_the_first_row() -> None:
    stored = Stored()
    assert SnapshotStore(stored, "bemi").decide("initial") is Step.TAKE
    stored.put("offset/bemi", {"lsn": "0/1"})
    assert SnapshotStore(stored, "bemi").decide("initial") is Step.TAKE


def test_what_was_finished_is_found_again_and_forgotten_in_the_end() -> None:
    stored = Stored()
    store = SnapshotStore(stored, "bemi")
    store.decide("initial")
    store.begin()
    done = HeapProgress(3, (Finished(0, 1024, 700),))
    store.finish_part(16400, done)
    again = SnapshotStore(stored, "bemi")
    assert (again.status, again.progress()) == (Status.RUNNING, {16400: done})
    again.finish()
    assert (again.status, again.progress()) == (Status.DONE, {})
    stored.put("offset/bemi", {"lsn": "0/1"})
    assert again.decide("initial") is Step.STREAM


def test_a_part_that_cannot_be_read_counts_as_not_finished() -> None:
    stored = Stored()
    stored.put("snapshot/bemi/16400", {"later": "version"})
    assert SnapshotStore(stored, "bemi").progress() == {}
