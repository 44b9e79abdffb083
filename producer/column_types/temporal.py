"""date, time, timestamp and timestamptz in time.precision.mode. Pure.

The words of the modes and the ranges are Debezium's. PostgreSQL's infinities:

  isostring, timestamptz   "infinity", "-infinity"
  timestamp as a count     the two constants Debezium documents; Long's ends in nanoseconds
  date as a count          Int's ends, which are no date of PostgreSQL

Debezium's own values for infinity in mode isostring, and for a date, are dates that exist;
`debezium_values` has them. A count that does not fit its integer raises ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from orjson import dumps

from producer.column_types import calendar
from producer.column_types.calendar import FRACTION_DIGITS, shape
from producer.column_types.column_type import ColumnType, EncodeJson, ValueModes
from producer.column_types.numbers import MAX_INT32, MAX_INT64, integer_schema
from producer.column_types.strings import string_schema
from producer.connect_schema import INT32, INT64, ConnectSchema

INFINITY: Final = (b"infinity", b"-infinity")
_MICROS_PER_MILLI, _NANOS_PER_MICRO = 1000, 1000
_MILLI_DIGITS: Final = 3
_UTC: Final = b"+00"
_DATE_SHAPE: Final = b"0000-00-00"
_DATE_LENGTH: Final = 10

_DATE_INFINITY = {b"infinity": MAX_INT32, b"-infinity": -MAX_INT32 - 1}
_DEBEZIUM_DATE_INFINITY = {b"infinity": -2147472692, b"-infinity": -2147472691}
_DEBEZIUM_ISO_DATE_INFINITY = {
    b"infinity": b"-5877611-06-21",
    b"-infinity": b"-5877611-06-22",
}
_MICROS_INFINITY = {b"infinity": 9223372036825200000, b"-infinity": -9223372036832400000}
_NANOS_INFINITY = {b"infinity": MAX_INT64, b"-infinity": -MAX_INT64 - 1}
_DEBEZIUM_ISO_TIMESTAMP_INFINITY = {
    b"infinity": b"+294247-01-10T04:00:25.2Z",
    b"-infinity": b"-290308-12-21T19:59:27.6Z",
}

ToIso = Callable[[bytes], bytes]
ToCount = Callable[[bytes], int]


def date_type(modes: ValueModes) -> ColumnType:
    """Return the type of date."""
    mode = modes.time_precision_mode
    if mode == "isostring":
        return _iso_date_type(modes)
    name = "org.apache.kafka.connect.data.Date" if mode == "connect" else "io.debezium.time.Date"
    infinity = _DEBEZIUM_DATE_INFINITY if modes.debezium_values else _DATE_INFINITY

    def count(text: bytes) -> int:
        return infinity[text] if text in INFINITY else calendar.days_since_epoch(text)

    return _counted(integer_schema(INT32, name), count)


def _iso_date_type(modes: ValueModes) -> ColumnType:
    def iso(text: bytes) -> bytes:
        if text in INFINITY:
            return _DEBEZIUM_ISO_DATE_INFINITY[text] + b"Z" if modes.debezium_values else text
        return calendar.iso_date(text) + b"Z"

    def encode(text: bytes) -> bytes:
        return b'"%bZ"' % text if shape(text) == _DATE_SHAPE else b'"%b"' % iso(text)

    return _iso(string_schema("io.debezium.time.IsoDate"), iso, encode)


def time_type(modifier: int, modes: ValueModes) -> ColumnType:
    """Return the type of time; the modifier is the number of its second's digits."""
    mode = modes.time_precision_mode
    if mode == "isostring":
        return _iso_time_type(modes)
    schema, per_unit, factor = _units("Time", modifier, mode)

    def count(text: bytes) -> int:
        return calendar.micros_of_day(text) * factor // per_unit

    return _counted(schema, count)


def _iso_time_type(modes: ValueModes) -> ColumnType:
    midnight = b"00:00:00Z" if modes.debezium_values else b"24:00:00Z"

    def iso(text: bytes) -> bytes:
        if text == b"24:00:00":
            return midnight
        if shape(text) in _TIME_SHAPES:
            return text + b"Z"
        raise ValueError("no time")

    return _iso(string_schema("io.debezium.time.IsoTime"), iso, lambda text: b'"%b"' % iso(text))


def timestamp_type(modifier: int, modes: ValueModes) -> ColumnType:
    """Return the type of timestamp; the modifier is the number of its second's digits."""
    mode = modes.time_precision_mode
    if mode == "isostring":
        return _iso_timestamp_type(modes)
    schema, per_unit, factor = _units("Timestamp", modifier, mode)
    infinity = _NANOS_INFINITY if factor > 1 else _MICROS_INFINITY
    overflows = modes.debezium_values and factor == per_unit == 1

    def count(text: bytes) -> int:
        try:
            number = calendar.micros_since_epoch(text) * factor // per_unit
        except ValueError:
            if text in infinity:
                return infinity[text] // per_unit
            raise
        if -MAX_INT64 <= number <= MAX_INT64:
            return number
        if overflows:
            return _overflowed(number)
        raise ValueError("a timestamp later than this mode can count")

    if per_unit == factor == 1:
        return ColumnType(schema, count, _micros_encoder(count), None)
    return _counted(schema, count)


def _overflowed(micros: int) -> int:
    """Return what Debezium counts: seconds end at Long's end, their fraction wraps round it."""
    seconds, fraction = divmod(micros, calendar.MICROS_PER_SECOND)
    total = min(seconds * calendar.MICROS_PER_SECOND, MAX_INT64) + fraction
    return total if total <= MAX_INT64 else total - (MAX_INT64 + 1) * 2


def _micros_encoder(count: ToCount) -> EncodeJson:
    # Debezium's default for a timestamp: 0.8 us without the calls and factors of `count`, 1.1 with.
    factors, second_length = calendar.FACTORS, calendar.SECOND_LENGTH
    micros_of_second = calendar.micros_of_second

    def encode(text: bytes) -> bytes:
        factor = factors.get(shape(text))
        if not factor:
            return b"%d" % count(text)
        whole = micros_of_second(text[:second_length])
        return b"%d" % (whole + int(text[second_length + 1 :]) * factor)

    return encode


def _iso_timestamp_type(modes: ValueModes) -> ColumnType:
    def iso(text: bytes) -> bytes:
        if text in INFINITY:
            return _DEBEZIUM_ISO_TIMESTAMP_INFINITY[text] if modes.debezium_values else text
        return calendar.iso_timestamp(text, None)

    def encode(text: bytes) -> bytes:
        if shape(text) in _TIMESTAMP_SHAPES:
            return b'"%bT%bZ"' % (text[:_DATE_LENGTH], text[_DATE_LENGTH + 1 :])
        return b'"%b"' % iso(text)

    return _iso(string_schema("io.debezium.time.IsoTimestamp"), iso, encode)


_TIMESTAMP_SHAPES: Final = calendar.FACTORS.keys()
_TIME_SHAPES: Final = calendar.TIME_FACTORS.keys()


def timestamptz_type(modifier: int, modes: ValueModes) -> ColumnType:
    """Return the type of timestamptz: ISO in UTC with all its digits, in every mode."""
    del modes
    digits = modifier if 0 <= modifier <= FRACTION_DIGITS else FRACTION_DIGITS
    # What is put behind a text of the usual shape: the digits that are missing.
    endings = {
        b"0000-00-00 00:00:00%b+00" % (b"." + b"0" * shown if shown else b""): (
            b"" if not digits else b"." * (not shown) + b"0" * (digits - shown)
        )
        for shown in range(digits + 1)
    }

    def iso(text: bytes) -> bytes:
        return text if text in INFINITY else calendar.iso_timestamp(text, digits)

    def encode(text: bytes) -> bytes:
        ending = endings.get(shape(text))
        if ending is None or text[-3:] != _UTC:
            return b'"%b"' % iso(text)
        return b'"%bT%b%bZ"' % (text[:_DATE_LENGTH], text[_DATE_LENGTH + 1 : -3], ending)

    return _iso(string_schema("io.debezium.time.ZonedTimestamp"), iso, encode)


def _units(kind: str, modifier: int, mode: str) -> tuple[ConnectSchema, int, int]:
    """Return the schema of a Time or Timestamp as a count, and how microseconds become it.

    The count is the microseconds divided by the second number, times the third.
    """
    is_milli = 0 <= modifier <= _MILLI_DIGITS
    if kind == "Time" and mode == "adaptive_time_microseconds":
        is_milli = False
    of_millis = INT32 if kind == "Time" else INT64
    if mode == "connect":
        name = f"org.apache.kafka.connect.data.{kind}"
        return integer_schema(of_millis, name), _MICROS_PER_MILLI, 1
    if mode == "nanoseconds":
        return integer_schema(INT64, f"io.debezium.time.Nano{kind}"), 1, _NANOS_PER_MICRO
    if is_milli and mode != "microseconds":
        return integer_schema(of_millis, f"io.debezium.time.{kind}"), _MICROS_PER_MILLI, 1
    return integer_schema(INT64, f"io.debezium.time.Micro{kind}"), 1, 1


def _counted(schema: ConnectSchema, count: ToCount) -> ColumnType:
    return ColumnType(schema, count, lambda text: dumps(count(text)), None)


def _iso(schema: ConnectSchema, iso: ToIso, encode: EncodeJson) -> ColumnType:
    return ColumnType(schema, lambda text: iso(text).decode(), encode, None)
