"""What a look at the pipeline shows: how far each stage is behind, and how fast it goes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """Where everything stands at one moment; None is what did not answer or is not there yet."""

    at_seconds: float
    """A clock that only grows."""
    slot_is_active: bool | None = None
    wal_status: str | None = None
    retained_bytes: int | None = None
    behind_bytes: int | None = None
    written_bytes: int | None = None
    """Where the source's log ends."""
    stitcher_behind: int | None = None
    stitched: int | None = None
    """Records of `.wal` that the stitchers have done, ever."""
    sink_behind: int | None = None
    stored: int | None = None
    """Records of `.changes` that the sinks have done, ever."""
    stored_seconds_ago: float | None = None
    newest_change_seconds: float | None = None
    """How long ago the newest change in `changes` was committed."""
    dead_letters: int | None = None
    put_aside: int | None = None
    """Records in the topic of dead letters."""
    unanswered: tuple[str, ...] = ()
    """Who did not answer, of source, kafka and destination: of them nothing is known."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of the view; rates are by the second, seconds how long the rest will take."""

    name: str
    state: str
    behind: int | None
    unit: str
    rate: float | None
    seconds: float | None


UNKNOWN = "unknown"
"""The state of what did not answer."""

Done = Callable[[Look], "int | None"]
"""Returns how much a stage has done, ever."""


def stages(now: Look, before: Look | None) -> tuple[Stage, ...]:
    """Return a line for each stage; rates need an earlier look.

    `seconds` is what is left divided by the rate of doing it, 0 where nothing is left and None
    where that cannot be told.
    """
    states = {None: "no slot", True: "reading", False: "nobody reads the slot"}
    state = "lost" if now.wal_status == "lost" else states[now.slot_is_active]
    if "source" in now.unanswered:
        state = UNKNOWN

    def line(name: str, state: str, behind: int | None, unit: str, done: Done) -> Stage:
        rate = _rate(done, now, before)
        seconds = 0.0 if behind == 0 else None
        if behind and rate:
            seconds = behind / rate
        return Stage(name, state, behind, unit, rate, seconds)

    stitcher, sink = _state(now, now.stitcher_behind), _state(now, now.sink_behind)
    return (
        line("producer", state, now.behind_bytes, "bytes", _confirmed),
        line("stitcher", stitcher, now.stitcher_behind, "records", _stitched),
        line("sink", sink, now.sink_behind, "records", _stored),
    )


def _rate(done: Done, now: Look, before: Look | None) -> float | None:
    if before is None:
        return None
    at, earlier, passed = done(now), done(before), now.at_seconds - before.at_seconds
    if at is None or earlier is None or passed <= 0:
        return None
    return max(0.0, (at - earlier) / passed)


def _confirmed(look: Look) -> int | None:
    if look.written_bytes is None or look.behind_bytes is None:
        return None
    return look.written_bytes - look.behind_bytes


def _stitched(look: Look) -> int | None:
    return look.stitched


def _stored(look: Look) -> int | None:
    return look.stored


def _state(now: Look, behind: int | None) -> str:
    if "kafka" in now.unanswered:
        return UNKNOWN
    if behind is None:
        return "nothing yet"
    return "behind" if behind else "up to date"
