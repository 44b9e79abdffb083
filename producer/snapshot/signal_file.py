"""Read signals from a file, one JSON object a line. Edge: the file system.

The file is moved aside before it is read, so a line that is added meanwhile is in the next one,
and removed once all that its lines ask for is stored: after a kill they are acted on again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from producer.snapshot.signals import Signal, SignalRefused, parse_signal_record

log = logging.getLogger(__name__)


class SignalFile:
    """The file of signal.file; it need not be there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = path.with_name(f"{path.name}.taken")

    def take(self, act: Callable[[str, Signal], None]) -> None:
        """Act on the signals that have come."""
        try:
            if not self._taken.exists():
                self._path.rename(self._taken)
            lines = self._taken.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("cannot read signals: %s", error)
            return
        for line in filter(None, map(bytes.strip, lines)):
            try:
                signal_id, signal = parse_signal_record(line)
                if signal is not None:
                    act(signal_id, signal)
            except SignalRefused as refused:
                log.warning("signal refused: %s", refused)
        self._taken.unlink(missing_ok=True)

    def close(self) -> None:
        """There is nothing to let go of."""
