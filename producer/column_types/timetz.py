"""timetz: a time of day with the offset of a zone. Pure.

Debezium shows it in UTC. In a lossless mode the offset is kept, because 04:05+02 and 02:05+00
are not equal to PostgreSQL.
"""

from __future__ import annotations

import re

from producer.column_types.calendar import MICROS_PER_DAY, MICROS_PER_SECOND, micros_of_day
from producer.column_types.column_type import ColumnType, ValueModes
from producer.column_types.strings import string_schema

_match = re.compile(
    rb"(?P<time>\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?P<sign>[+-])(?P<hours>\d\d)"
    rb"(?::(?P<minutes>\d\d))?(?::(?P<seconds>\d\d))?"
).fullmatch


def timetz_type(modes: ValueModes) -> ColumnType:
    """Return the type of timetz."""

    def iso(text: bytes) -> bytes:
        match = _match(text)
        if match is None:
            raise ValueError("no time with an offset")
        if modes.lossless:
            return text if match["minutes"] else text + b":00"
        if modes.debezium_values and match["seconds"]:
            raise ValueError("an offset with seconds")
        return _in_utc(match, modes)

    return ColumnType(
        string_schema("io.debezium.time.ZonedTime"),
        lambda text: iso(text).decode(),
        lambda text: b'"%b"' % iso(text),
        None,
    )


def _in_utc(match: re.Match[bytes], modes: ValueModes) -> bytes:
    offset = int(match["hours"]) * 3600
    offset += int(match["minutes"] or 0) * 60 + int(match["seconds"] or 0)
    if match["sign"] == b"+":
        offset = -offset
    micros = micros_of_day(match["time"]) + offset * MICROS_PER_SECOND
    # The end of the day in UTC is 24:00; every other time wraps round.
    if micros != MICROS_PER_DAY or modes.debezium_values or offset:
        micros %= MICROS_PER_DAY
    seconds, fraction = divmod(micros, MICROS_PER_SECOND)
    minutes, second = divmod(seconds, 60)
    digits = b".%06d" % fraction if fraction else b""
    return b"%02d:%02d:%02d%bZ" % (*divmod(minutes, 60), second, digits.rstrip(b"0"))
