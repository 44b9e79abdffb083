"""Which tables are still to be read: by signals, by chunks, and over a restart."""

from __future__ import annotations

import json

from producer.snapshot.incremental_state import IncrementalState, TableToRead
from producer.snapshot.signals import (
    ExecuteSnapshot,
    PauseSnapshot,
    ResumeSnapshot,
    Signal,
    StopSnapshot,
)

CAPTURED = ("public.item", "public.order", "shop.item")


def after(*signals: Signal) -> IncrementalState:
    state = IncrementalState()
    for number, signal in enumerate(signals):
        state = state.signalled(f"{number}", signal, CAPTURED)
    return state


def names(state: IncrementalState) -> list[str]:
    return [table.name for table in state.tables]


def test_expressions_name_the_tables_to_read() -> None:
    assert names(after(ExecuteSnapshot((".*[.]item",)))) == ["public.item", "shop.item"]


def test_a_table_waits_once_however_often_it_is_asked_for() -> None:
    assert names(after(ExecuteSnapshot(("public.item",)), ExecuteSnapshot(("public.*",)))) == [
        "public.item",
        "public.order",
    ]


def test_a_condition_is_that_of_its_table() -> None:
    signal = ExecuteSnapshot(("public.*",), (("public.order", "id > 1"),))
    assert [(t.name, t.condition) for t in after(signal).tables] == [
        ("public.item", None),
        ("public.order", "id > 1"),
    ]


def test_stopping_some_leaves_the_others() -> None:
    state = after(ExecuteSnapshot((".*",)), StopSnapshot(("public.*",)))
    assert names(state) == ["shop.item"]


def test_stopping_without_names_stops_all() -> None:
    assert names(after(ExecuteSnapshot((".*",)), StopSnapshot())) == []


def test_nothing_is_read_while_paused() -> None:
    paused = after(ExecuteSnapshot((".*",)), PauseSnapshot())
    assert paused.table is None
    assert paused.signalled("", ResumeSnapshot(), CAPTURED).table == TableToRead("public.item")


def test_a_signal_that_is_streamed_again_counts_once() -> None:
    state = after(ExecuteSnapshot(("public.item",)))
    read = state.finished("public.item")
    assert read.signalled("0", ExecuteSnapshot(("public.item",)), CAPTURED) == read


def test_a_table_is_done_with_the_chunk_that_ends_at_its_last_key() -> None:
    state = after(ExecuteSnapshot(("public.*",))).began(("9",), hides_key=False)
    state = state.read("public.item", ("5",))
    assert state.table == TableToRead("public.item", None, ("5",), ("9",))
    assert names(state.read("public.item", ("9",))) == ["public.order"]


def test_a_chunk_of_a_table_that_was_stopped_changes_nothing() -> None:
    state = after(ExecuteSnapshot(("public.order",)))
    assert state.read("public.item", ("5",)) == state


def test_what_is_stored_is_read_again_as_it_was() -> None:
    state = after(ExecuteSnapshot(("public.*",), ((".*", "true"),)), PauseSnapshot())
    state = state.began(("9", "x"), hides_key=False).read("public.item", ("5", "y"))
    assert IncrementalState.from_json(json.loads(json.dumps(state.as_json()))) == state


def test_a_hidden_key_is_never_stored_so_the_table_is_read_from_its_start_after_a_restart() -> None:
    state = after(ExecuteSnapshot(("public.*",))).began(("secret-9",), hides_key=True)
    state = state.read("public.item", ("secret-5",))
    assert state.table == TableToRead(
        "public.item", None, ("secret-5",), ("secret-9",), hides_key=True
    )
    stored = json.dumps(state.as_json())
    assert "secret" not in stored
    assert IncrementalState.from_json(json.loads(stored)).table == TableToRead("public.item")
