"""Run one program as a child process whose whole process tree can be stopped.

The child leads a session of its own, so Ctrl-C in the terminal does not reach it: whoever
started it decides when and in which order things stop. Its output goes to a file.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import guard, interrupts, process_table
from runtime.errors import Stop

KILL_TIMEOUT_SECONDS = 10.0


class CannotStart(Stop):
    """A program could not be started; the message and its log say why."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account a child runs as."""

    uid: int
    gid: int


class ChildProcess:
    """A program that can be started, stopped, killed and started again.

    Not safe to use from two threads at once.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_path: Path,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        account: Account | None = None,
    ) -> None:
        self.name = name
        self.argv = [str(argument) for argument in argv]
        self.log_path = log_path
        self._environ = dict(os.environ if environ is None else environ)
        self._folder = folder
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def is_running(self) -> bool:
        """Tell whether the program was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return the process id of the running program."""
        if self._process is None:
            raise CannotStart(f"{self.name} was not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program; does nothing while it runs."""
        if self.is_running:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log, interrupts.held():
            self._log_start = log.tell()
            try:
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environ,
                    cwd=self._folder,
                    start_new_session=True,
                    user=self._account.uid if self._account else None,
                    group=self._account.gid if self._account else None,
                    extra_groups=[] if self._account else None,
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise CannotStart(f"cannot start {self.name}: {error}") from error
            guard.watch(self._process.pid)

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for the program to end and return its exit code, or raise TimeoutError."""
        if self._process is None:
            raise CannotStart(f"{self.name} was not started")
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"{self.name} still runs after {timeout_seconds} seconds; its log ends:\n"
                + self.tail()
            ) from None
        guard.forget(self._process.pid)
        return code

    def send_signal(self, signal_number: signal.Signals) -> None:
        """Send a signal to the program alone; does nothing when it has ended."""
        if self._process is not None:
            self._process.send_signal(signal_number)

    def terminate(self) -> None:
        """Ask the program to end, without waiting for it."""
        self.send_signal(signal.SIGTERM)

    def suspend(self) -> None:
        """Freeze the program: it keeps its connections and does not answer.

        Returns once all of its threads stand still: until one of them has taken the signal, the
        others go on, which is long on a busy machine.
        """
        if self._process is not None and self.is_running:
            self.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen program go on."""
        self.send_signal(signal.SIGCONT)

    def stop(
        self, signal_number: signal.Signals = signal.SIGTERM, timeout_seconds: float = 20.0
    ) -> None:
        """End the program in order, and by force when it has not ended in time."""
        if not self.is_running:
            return
        self.send_signal(signal_number)
        # A frozen program would not get the signal.
        self.resume()
        try:
            self.wait(timeout_seconds)
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """End the program and everything it started at once, as a crash would.

        Returns when all of it is gone.
        """
        if self._process is None or self._process.poll() is not None:
            return
        tree = process_table.kill_tree(self._process.pid)
        self.wait(KILL_TIMEOUT_SECONDS)
        process_table.wait_until_gone(tree, KILL_TIMEOUT_SECONDS)

    def output(self) -> str:
        """Return what the program wrote since it was last started."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 20) -> str:
        """Return the last lines the program wrote since it was last started."""
        return "\n".join(self.output().splitlines()[-lines:])
