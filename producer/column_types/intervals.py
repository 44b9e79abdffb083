"""interval in interval.handling.mode. Pure.

As a number it is microseconds, a month taken as a twelfth of 365.25 days; as a string ISO
8601 with all its parts, which loses nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

from orjson import dumps

from producer.column_types.calendar import FRACTION_DIGITS, MICROS_PER_DAY, MICROS_PER_SECOND
from producer.column_types.column_type import ColumnType, ValueModes
from producer.column_types.numbers import MAX_INT64, integer_schema
from producer.column_types.strings import string_schema
from producer.connect_schema import INT64

_MICROS_PER_MONTH: Final = 2_629_800 * MICROS_PER_SECOND
_DAYS_PER_MONTH: Final = 365.25 / 12
_NANO: Final = Decimal("1e-9")
_INFINITY: Final = (b"infinity", b"-infinity")  # Since PostgreSQL 17.

_match = re.compile(
    rb"P(?:(-?\d{1,10})Y)?(?:(-?\d{1,10})M)?(?:(-?\d{1,10})D)?"
    rb"(?:T(?:(-?\d{1,10})H)?(?:(-?\d{1,2})M)?(?:(-?)(\d{1,2})(?:\.(\d{1,6}))?S)?)?"
).fullmatch


@dataclass(frozen=True, slots=True)
class _Interval:
    years: int
    months: int
    days: int
    hours: int
    minutes: int
    micros: int


def interval_type(modes: ValueModes) -> ColumnType:
    """Return the type of interval."""
    if modes.interval_handling_mode == "string":

        def iso(text: bytes) -> bytes:
            return text if text in _INFINITY else _iso(_parse(text), modes)

        return ColumnType(
            string_schema("io.debezium.time.Interval"),
            lambda text: iso(text).decode(),
            lambda text: b'"%b"' % iso(text),
            None,
        )
    count = _debezium_micros if modes.debezium_values else _micros

    def parse(text: bytes) -> int:
        return count(_parse(text))

    return ColumnType(
        integer_schema(INT64, "io.debezium.time.MicroDuration"),
        parse,
        lambda text: dumps(parse(text)),
        None,
    )


def _parse(text: bytes) -> _Interval:
    match = _match(text)
    if match is None:
        raise ValueError("no interval")
    *parts, sign, seconds, fraction = match.groups()
    micros = int(seconds or 0) * MICROS_PER_SECOND
    micros += int((fraction or b"").ljust(FRACTION_DIGITS, b"0"))
    years, months, days, hours, minutes = (int(part or 0) for part in parts)
    return _Interval(years, months, days, hours, minutes, -micros if sign else micros)


def _iso(interval: _Interval, modes: ValueModes) -> bytes:
    seconds = _debezium_seconds(interval) if modes.debezium_values else _seconds(interval)
    return b"P%dY%dM%dDT%dH%dM%bS" % (
        *(interval.years, interval.months, interval.days, interval.hours, interval.minutes),
        seconds,
    )


def _seconds(interval: _Interval) -> bytes:
    whole, fraction = divmod(abs(interval.micros), MICROS_PER_SECOND)
    digits = b".%06d" % fraction if fraction else b""
    return b"%b%d%b" % (b"-" * (interval.micros < 0), whole, digits.rstrip(b"0"))


def _micros(interval: _Interval) -> int:
    micros = (interval.years * 12 + interval.months) * _MICROS_PER_MONTH
    micros += interval.days * MICROS_PER_DAY
    micros += (interval.hours * 60 + interval.minutes) * 60 * MICROS_PER_SECOND
    micros += interval.micros
    if -MAX_INT64 <= micros <= MAX_INT64:
        return micros
    raise ValueError("an interval longer than this mode can count")


def _debezium_float(interval: _Interval) -> float:
    # Whole and broken seconds are added as floats, so 1.235 becomes 1.2349999999999999.
    whole, micros = divmod(abs(interval.micros), MICROS_PER_SECOND)
    seconds = whole + micros / MICROS_PER_SECOND
    return -seconds if interval.micros < 0 else seconds


def _debezium_seconds(interval: _Interval) -> bytes:
    seconds = Decimal(repr(_debezium_float(interval)))
    cut = seconds.quantize(_NANO, ROUND_DOWN)
    return f"{cut:f}".rstrip("0").rstrip(".").encode()


def _debezium_micros(interval: _Interval) -> int:
    days = (interval.years * 12 + interval.months) * _DAYS_PER_MONTH + interval.days
    minutes = (days * 24 + interval.hours) * 60 + interval.minutes
    micros = (minutes * 60 + _debezium_float(interval)) * 1e6
    return int(max(-MAX_INT64 - 1, min(MAX_INT64, micros)))
