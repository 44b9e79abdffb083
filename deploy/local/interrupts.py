"""Turn SIGINT, SIGTERM and SIGHUP into one exception, and hold it where it would do harm.

Whatever is being waited for ends at once by the exception. It is held while a child is being
started: between the start and the note of its id nobody could end the child.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_holders = 0
_held: signal.Signals | None = None
_raised = False


class Interrupted(BaseException):
    """The program was asked to end; no error, so nothing that handles errors catches it."""


def raise_on_signals() -> None:
    """Raise Interrupted in the main thread at the first signal; ignore the later ones.

    Later ones are ignored because the end is on its way, and the terminal and `make` both
    pass the same Ctrl-C on.
    """
    for signal_number in SIGNALS:
        signal.signal(signal_number, _receive)


@contextmanager
def held() -> Iterator[None]:
    """Let a signal wait until the block is done."""
    global _holders
    _holders += 1
    try:
        yield
    finally:
        _holders -= 1
    if _held is not None and _holders == 0:
        _raise(_held)


def _receive(signal_number: int, _frame: object) -> None:
    global _held
    if _raised:
        return
    if _holders:
        _held = signal.Signals(signal_number)
        return
    _raise(signal.Signals(signal_number))


def _raise(signal_number: signal.Signals) -> None:
    global _held, _raised
    _held, _raised = None, True
    raise Interrupted(signal_number.name)
