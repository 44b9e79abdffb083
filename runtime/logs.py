"""How a stage writes its log: lines for people or JSON for machines, times in UTC. Edge: stderr.

Whoever logs gives names, counts and positions, never a value of a row, a statement's parameter,
a context or a password. Neither form adds any: what a line says is what was written for it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Literal

LogFormat = Literal["text", "json"]

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
# What every record has; anything else was given as `extra` and is a field of its own.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """One line for people: time, level, logger, message; below it the traceback of a defect."""

    default_time_format = TIME_FORMAT
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line; a line break in it is escaped, so that no name can forge a line."""
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, stage, then the fields of the record.

    JSON escapes line breaks, so that no name can forge a line here either.
    """

    default_time_format = TIME_FORMAT
    default_msec_format = "%s.%03dZ"

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.converter = time.gmtime
        self._stage = stage

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "stage": self._stage,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logs(level: str, log_format: LogFormat = "text", stage: str = "") -> None:
    """Write logs to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(stage) if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # A line for each request to a schema registry is of use to nobody.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
