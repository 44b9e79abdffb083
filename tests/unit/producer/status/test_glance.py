"""What two looks at the pipeline tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.status.glance import Look, stages

BEFORE = Look(
    10.0,
    slot_is_active=True,
    wal_status="reserved",
    written_bytes=1_000,
    behind_bytes=500,
    stitcher_behind=10,
    stitched=100,
    sink_behind=0,
    stored=90,
)
NOW = replace(
    BEFORE, at_seconds=12.0, written_bytes=1_500, behind_bytes=400, stitched=140, stored=130
)


def test_rates_are_what_was_done_between_two_looks() -> None:
    producer, stitcher, sink = stages(NOW, BEFORE)
    assert (producer.rate, producer.behind, producer.unit) == (300.0, 400, "bytes")
    assert (stitcher.rate, stitcher.seconds, stitcher.state) == (20.0, 0.5, "behind")
    assert (sink.rate, sink.seconds, sink.state) == (20.0, 0.0, "up to date")


def test_without_an_earlier_look_there_is_no_rate() -> None:
    assert [stage.rate for stage in stages(NOW, None)] == [None, None, None]


@pytest.mark.parametrize(
    ("look", "state"),
    [
        (NOW, "reading"),
        (replace(NOW, slot_is_active=False), "nobody reads the slot"),
        (replace(NOW, slot_is_active=False, wal_status="lost"), "lost"),
        (Look(12.0), "no slot"),
    ],
)
def test_the_slot_says_what_the_producer_does(look: Look, state: str) -> None:
    assert stages(look, BEFORE)[0].state == state


def test_of_what_does_not_answer_nothing_is_said() -> None:
    away = Look(12.0, unanswered=("source", "kafka"))
    assert [stage.state for stage in stages(away, None)] == ["unknown"] * 3


def test_what_does_not_move_has_no_time_to_be_caught_up() -> None:
    stitcher = stages(replace(NOW, stitched=100), BEFORE)[1]
    assert (stitcher.rate, stitcher.seconds) == (0.0, None)


def test_counts_that_began_anew_are_no_negative_rate() -> None:
    assert stages(replace(NOW, stored=0), BEFORE)[2].rate == 0.0
