"""The forms of a stage's log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.logs import LogFormat, configure_logs

log = logging.getLogger("producer.test")


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    # basicConfig(force=True) would close those of pytest.
    root.handlers = []
    yield
    root.handlers, root.level = before, level


def lines_of(capsys: pytest.CaptureFixture[str], log_format: LogFormat) -> list[str]:
    """Write some lines, and return them."""
    configure_logs("INFO", log_format, "producer")
    log.info("made topic %s", "bemi.wal", extra={"partitions": 4})
    log.debug("not shown")
    log.info("a table named %s", 'x"\n2026-01-01T00:00:00.000Z INFO forged: line')
    try:
        raise ValueError("slot is gone")
    except ValueError:
        log.exception("stopped by a defect")
    return capsys.readouterr().err.splitlines()


def test_text_is_a_line_for_people_with_a_time_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *traceback = lines_of(capsys, "text")
    time, rest = first.split(" ", 1)
    assert len(time) == len("2026-01-31T08:00:00.000Z")
    assert time.endswith("Z")
    assert rest == "INFO producer.test: made topic bemi.wal"
    assert "\\n2026-01-01" in second
    assert traceback[-1] == "ValueError: slot is gone"


def test_json_is_an_object_a_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    objects: list[dict[str, Any]] = [json.loads(line) for line in lines_of(capsys, "json")]
    made, named, failed = objects
    assert made.pop("time").endswith("Z")
    assert made == {
        "level": "INFO",
        "logger": "producer.test",
        "stage": "producer",
        "message": "made topic bemi.wal",
        "partitions": 4,
    }
    assert "forged: line" in named["message"]
    assert failed["level"] == "ERROR"
    assert failed["exception"].splitlines()[-1] == "ValueError: slot is gone"
