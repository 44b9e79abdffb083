"""Tell the person at the terminal what happens: each step with its seconds, then addresses.

On a terminal a running step counts its seconds; into a file each step is one line when it
begins and one when it is done.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import IO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class QuietAtTheEnd(Console):
    """A console that falls silent when nobody reads it any more.

    The console it is made from ends the program then, and everything must still be stopped.
    """

    def on_broken_pipe(self) -> None:
        """Write nothing from now on."""
        self.quiet = True


class Report:
    """Lines on standard output; a terminal that is gone is no error."""

    def __init__(self, file: IO[str] | None = None, *, width: int | None = None) -> None:
        self._console = QuietAtTheEnd(file=file, width=width, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that something is being done, and how long it took when it is done."""
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            if self._console.is_terminal:
                progress = Progress(
                    SpinnerColumn(),
                    TextColumn("{task.description}", markup=False),
                    TimeElapsedColumn(),
                    console=self._console,
                    transient=True,
                )
                progress.add_task(text, total=None)
                stack.enter_context(progress)
            else:
                self.line(f"  {text} ...")
            yield
        self.line(f"✓ {text} ({time.monotonic() - started:.1f} s)", style="green")

    def line(self, text: str = "", *, style: str | None = None) -> None:
        """Write one line as it is."""
        with contextlib.suppress(OSError):
            self._console.print(text, style=style, markup=False)

    def problem(self, text: str) -> None:
        """Write what went wrong."""
        self.line(text, style="red")

    def log(self, name: str, tail: str) -> None:
        """Show the end of a part's log."""
        for line in tail.splitlines():
            self.line(f"  {name} | {line}", style="dim")

    def addresses(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show where to find everything; each address can be copied as one line."""
        width = max(len(name) for name, _ in rows)
        self.line()
        for name, address in rows:
            self.line(f"  {name:<{width}}  {address}")
        self.line()
