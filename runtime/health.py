"""Whether a stage is alive and whether it does its work: what /livez and /readyz answer.

Alive is who makes progress: the main loop has turned a short while ago. A stage that waits for
Kafka or PostgreSQL to come back turns too; it is alive and not ready, so nobody restarts it for
what a restart does not mend. Edge: clock and threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

Check = Callable[[], "str | None"]
"""Returns what is wrong, None where nothing is; asked by the thread that answers a request."""

STARTING = "starting"


class Health:
    """What the main loop says of itself; may be read by another thread at any time."""

    def __init__(self, stalled_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stalled_seconds = stalled_seconds
        self._clock = clock
        self._turned_at = clock()
        self._why_not_ready: str | None = STARTING
        self._checks: dict[str, Check] = {}

    def turned(self, wait_seconds: float = 0.0) -> None:
        """Take note that the main loop goes on, after a wait of its own choice of so long."""
        self._turned_at = self._clock() + wait_seconds

    def ready(self) -> None:
        """Take note that the stage does its work."""
        self._why_not_ready = None

    def not_ready(self, why: str) -> None:
        """Take note that the stage waits for something; `why` is shown to whoever asks."""
        self._why_not_ready = why

    def check_also(self, name: str, check: Check) -> None:
        """Let being ready depend on this, too; it is asked each time, so it must be quick."""
        self._checks[name] = check

    def seconds_since_turn(self) -> float:
        """Return how long ago the main loop turned."""
        return max(0.0, self._clock() - self._turned_at)

    def why_not_alive(self) -> str | None:
        """Return why the process should be restarted, None where it should not."""
        seconds = self.seconds_since_turn()
        if seconds <= self._stalled_seconds:
            return None
        return f"the main loop has not turned for {seconds:.0f} seconds"

    def why_not_ready(self) -> Mapping[str, str]:
        """Return what is not as it should be, by the part that says so; empty when ready."""
        answers = {"progress": self.why_not_alive(), "stage": self._why_not_ready}
        answers |= {name: check() for name, check in self._checks.items()}
        return {name: why for name, why in answers.items() if why is not None}

    @property
    def is_ready(self) -> bool:
        """Whether the stage itself says that it does its work; asks nobody else."""
        return self._why_not_ready is None


class StopEvent(threading.Event):
    """The event that ends a stage, by which its main loop also shows that it turns.

    Every loop looks at it at least once a second (runtime.service.run asks for that), so who
    looks goes on. Only the thread that made it counts: another one going on says nothing of
    the main loop.
    """

    def __init__(self, health: Health) -> None:
        super().__init__()
        self._turned = health.turned
        self._main = threading.get_ident()

    def is_set(self) -> bool:
        """Return whether the stage is to end."""
        if threading.get_ident() == self._main:
            self._turned()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the stage; that is no standing still."""
        is_main = threading.get_ident() == self._main
        if is_main:
            self._turned(float("inf") if timeout is None else timeout)
        try:
            return super().wait(timeout)
        finally:
            if is_main:
                self._turned()


class RemindedCheck:
    """A check that is made anew at most once in `keep_seconds`: probes come from many sides."""

    def __init__(
        self, check: Check, keep_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = check
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._made_at = float("-inf")
        self._answer: str | None = None

    def __call__(self) -> str | None:
        """Return the answer of the check, as it was a moment ago at the most."""
        with self._lock:
            if self._clock() - self._made_at >= self._keep_seconds:
                self._answer = self._check()
                self._made_at = self._clock()
            return self._answer
