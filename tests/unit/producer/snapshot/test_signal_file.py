"""Signals in a file: each line is acted on, also after a kill, and none twice otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.snapshot.signal_file import SignalFile
from producer.snapshot.signals import LogMessage, Signal

LINES = '{"id":"a","type":"log","data":{"message":"one"}}\n\nno signal\n{"type":"log","data":{}}\n'
SIGNALS = [("a", LogMessage("one")), ("", LogMessage(""))]


class Acts:
    """Takes note of signals; fails at the second where it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.seen: list[tuple[str, Signal]] = []
        self._fails = fails

    def __call__(self, signal_id: str, signal: Signal) -> None:
        if self._fails and self.seen:
            raise ConnectionError
        self.seen.append((signal_id, signal))


def test_each_line_is_a_signal_and_the_file_is_gone(tmp_path: Path) -> None:
    path, acts = tmp_path / "signals", Acts()
    path.write_text(LINES)
    signals = SignalFile(path)
    signals.take(acts)
    signals.take(acts)
    assert acts.seen == SIGNALS
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_acted_on_is_taken_again_before_what_came_since(tmp_path: Path) -> None:
    path = tmp_path / "signals"
    path.write_text(LINES)
    with pytest.raises(ConnectionError):
        SignalFile(path).take(Acts(fails=True))
    path.write_text('{"type":"log","data":{"message":"since"}}')
    acts = Acts()
    signals = SignalFile(path)
    signals.take(acts)
    signals.take(acts)
    assert acts.seen == [*SIGNALS, ("", LogMessage("since"))]
