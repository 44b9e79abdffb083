"""Start parts again that have ended, at growing distances. Time comes from outside.

A part that says that a person must act is left alone, and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.errors import Stop

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
# Whoever ran this long had started well, so the next restart is quick again.
STEADY_SECONDS = 60.0


class Part(Protocol):
    """Something that is started, may end by itself, and is stopped."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    @property
    def is_running(self) -> bool:
        """Tell whether its process runs."""

    @property
    def needs_person(self) -> bool:
        """Tell whether it ended because a person must act."""

    def start(self) -> None:
        """Start it; does nothing while it runs."""

    def stop(self) -> None:
        """End it in order."""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""


class Listener(Protocol):
    """Who is told what happens."""

    def line(self, text: str) -> None:
        """Take note of an event."""

    def problem(self, text: str) -> None:
        """Take note of something that went wrong."""

    def log(self, name: str, tail: str) -> None:
        """Show the end of a part's log."""


@dataclass(slots=True)
class _Restart:
    """When to start a part again, and how long the wait before that was."""

    delay_seconds: float
    due: float | None = None
    started: float = 0.0


class Supervisor:
    """Looks after parts that run; `tend` is to be called every now and then."""

    def __init__(self, parts: Sequence[Part], listener: Listener) -> None:
        self._parts = parts
        self._listener = listener
        self._restarts: dict[str, _Restart] = {}
        self._left_alone: set[str] = set()

    def tend(self, now: float) -> None:
        """Note who has ended, and start those whose time has come."""
        for part in self._parts:
            restart = self._restarts.setdefault(part.name, _Restart(FIRST_DELAY_SECONDS))
            if part.is_running:
                restart.due = None
            elif part.name in self._left_alone:
                continue
            elif restart.due is None:
                self._note_end(part, restart, now)
            elif now >= restart.due:
                self._start_again(part, restart, now)

    def _note_end(self, part: Part, restart: _Restart, now: float) -> None:
        self._listener.problem(f"{part.name} has ended; its log ends:")
        self._listener.log(part.name, part.log_tail())
        if part.needs_person:
            self._left_alone.add(part.name)
            self._listener.problem(
                f"{part.name} stays down: act as its log says, then run `make up` anew"
            )
            return
        if now - restart.started > STEADY_SECONDS:
            restart.delay_seconds = FIRST_DELAY_SECONDS
        restart.due = now + restart.delay_seconds
        self._listener.line(f"starting {part.name} again in {restart.delay_seconds:.0f} s")

    def _start_again(self, part: Part, restart: _Restart, now: float) -> None:
        restart.delay_seconds = min(restart.delay_seconds * 2, LONGEST_DELAY_SECONDS)
        restart.started = now
        restart.due = None
        try:
            part.start()
        except Stop as error:
            # It is not running, so the next look schedules the next attempt.
            self._listener.problem(f"cannot start {part.name}: {error}")
        else:
            self._listener.line(f"{part.name} was started again")
