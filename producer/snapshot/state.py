"""What is known of a snapshot between starts, and what a start does first. Pure, but for the store.

`snapshot/{slot}` says that a snapshot is wanted, running or done; `snapshot/{slot}/{oid}` what
was finished of a heap. "Wanted" is stored before the position is: a producer that is killed
between the two finds a position, and must not take it for the end of a snapshot.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from producer.errors import DeliveryFailed
from producer.offset_store import KeyValues, offset_key
from producer.snapshot.chunks import HeapProgress
from producer.source_state import SlotState, StoredOffset

STORE_SECONDS = 30.0


class Step(Enum):
    """What a start does before it streams."""

    STREAM = "stream"
    TAKE = "take"
    """Take the snapshot, or what is left of it."""
    END = "end"
    """Neither: it was taken, and no more is wanted."""


class Status(str, Enum):
    """How far the snapshot is."""

    WANTED = "wanted"
    RUNNING = "running"
    DONE = "done"


def first_step(mode: str, status: Status | None, *, has_position: bool, is_readable: bool) -> Step:
    """Return what a start does first; `mode` is Debezium's snapshot.mode.

    `is_readable` is false where the server has lost what follows the stored position.
    """
    if mode in ("no_data", "never"):
        return Step.STREAM
    is_unfinished = status in (Status.WANTED, Status.RUNNING)
    if is_unfinished or mode == "always":
        return Step.TAKE
    if mode == "when_needed":
        return Step.STREAM if has_position and is_readable else Step.TAKE
    was_taken = status is Status.DONE or has_position
    if not was_taken:
        return Step.TAKE
    return Step.END if mode == "initial_only" else Step.STREAM


def is_readable(slot: SlotState | None, stored: StoredOffset | None) -> bool:
    """Tell whether the server still has what follows the stored position, where there is one."""
    if stored is None:
        return True
    return (
        slot is not None
        and slot.invalidation is None
        and slot.confirmed_lsn is not None
        and slot.confirmed_lsn <= stored.lsn
    )


class SnapshotStore:
    """The part of the store that is about one slot's snapshot."""

    def __init__(self, store: KeyValues, slot_name: str) -> None:
        self._store = store
        self._slot_name = slot_name
        self._key = f"snapshot/{slot_name}"

    def decide(self, mode: str, *, is_readable: bool = True) -> Step:
        """Return what a start does first, with its wish for a snapshot stored.

        To be called before a position is stored.
        """
        step = first_step(
            mode,
            self.status,
            has_position=self._store.get(offset_key(self._slot_name)) is not None,
            is_readable=is_readable,
        )
        if step is Step.TAKE and self.status in (None, Status.DONE):
            self._put({"status": Status.WANTED.value})
        return step

    @property
    def status(self) -> Status | None:
        """How far the snapshot is; None where none was ever wanted."""
        stored = self._store.get(self._key)
        if stored is None:
            return None
        try:
            return Status(stored.get("status"))
        except ValueError:
            # Written by a later version: reading once more loses nothing.
            return Status.WANTED

    def progress(self) -> dict[int, HeapProgress]:
        """Return what was finished of each heap."""
        found = {}
        for key, stored in self._store.items(f"{self._key}/").items():
            try:
                found[int(key.rpartition("/")[2])] = HeapProgress.from_json(stored)
            except ValueError:
                continue  # As if nothing of it were finished.
        return found

    def begin(self) -> None:
        """Take note that reading begins."""
        self._put({"status": Status.RUNNING.value})

    def finish_part(self, heap_oid: int, progress: HeapProgress) -> None:
        """Take note of what was finished of a heap; returns when that is durable."""
        self._put(progress.as_json(), f"{self._key}/{heap_oid}")

    def finish(self) -> None:
        """Take note that all is read, and forget the parts."""
        self._put({"status": Status.DONE.value})
        for key in self._store.items(f"{self._key}/"):
            self._store.delete(key)

    def _put(self, value: dict[str, Any], key: str | None = None) -> None:
        self._store.put(key or self._key, value)
        if not self._store.flush(STORE_SECONDS):
            raise DeliveryFailed("Kafka has not stored how far the snapshot is")
