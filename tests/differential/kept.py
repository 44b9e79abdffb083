"""How the producer's events differ from Debezium's whatever is asked for. Pure.

These are all that remain with `bemi.debezium.values=true`: what docs/debezium.md lists under
"What the setting does not restore", as far as a record shows it.
"""

from __future__ import annotations

import json
import re
import struct

from tests.differential.comparison import ABSENT, MESSAGES, RECORD, Difference
from tests.differential.rules import Rule, kind_of

_JAVA_OBJECT = re.compile(r"\[L[\w.$]+;@[0-9a-f]+")
_KEY_CHANGES = ("headers.__debezium.newkey", "headers.__debezium.oldkey")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
_NAN_DEFAULT = re.compile(r"\.d1_double_precision\.(type\[[01]\]|default)$")
# Debezium's and the producer's, as counts and as texts.
_INFINITIES_BY_JAVA = (
    (-622191234, -2147472692),
    ("+292278994-08-16Z", "-5877611-06-21Z"),
    (-625821272, -2147472691),
    ("+292269055-12-02Z", "-5877611-06-22Z"),
)
_IDES_OF_MARCH_BY_JAVA = (
    (-703383, -735160),
    ("0044-03-15Z", "-0043-03-15Z"),
    (-63517953600000, -63517780800000),
    (-63517953600000000, -63517780800000000),
    ("-0043-03-13T12:00:00Z", "-0043-03-15T12:00:00Z"),
    ("0044-03-15T12:00:00.000000Z", "-0043-03-15T12:00:00.000000Z"),
)
_BEFORE_CHRIST_BY_JAVA = (
    *_IDES_OF_MARCH_BY_JAVA[:2],
    (1001860, -2440550),
    ("4713-01-01Z", "-4712-01-01Z"),
)
_BARE_DATE = re.compile(
    r":(?:\d{4,}-\d\d-\d\d(?:T\d\d:\d\d:\d\d\.\d{3}Z)?|\d\d:\d\d:\d\d\.\d{3}Z)(?=[,}])"
)
_A_DATE = "a date"
_HUNDREDS = "." + "0" * 2046


def _pair(difference: Difference) -> tuple[object, object]:
    return difference.debezium, difference.ours


def _is_same_real(d: Difference) -> bool:
    """Tell whether both are numbers of nine digits at most that are one and the same `real`."""
    numbers = [value for value in _pair(d) if isinstance(value, float)]
    # What has more digits is a double precision.
    if len(numbers) < 2 or any(number != float(f"{number:.9g}") for number in numbers):
        return False
    try:
        return struct.pack(">f", numbers[0]) == struct.pack(">f", numbers[1])
    except OverflowError:
        return False


def _is_same_header(d: Difference, theirs: str) -> bool:
    """Tell whether Debezium's key in a header is ours, once its dates are quoted."""
    try:
        # NaN and the infinities by their names, as the producer writes them.
        key = json.loads(theirs.encode("latin-1"), strict=False, parse_constant=str)
    except ValueError:
        return False
    return (
        isinstance(d.ours, dict)
        and key.keys() == d.ours.keys()
        and all(key[name] == ours or _is_date(key[name], ours) for name, ours in d.ours.items())
    )


def _is_date(theirs: object, ours: object) -> bool:
    return theirs == _A_DATE and isinstance(ours, int)


def _is_same_but_for_control_characters(d: Difference) -> bool:
    return d.path in _KEY_CHANGES and isinstance(d.debezium, str) and _is_same_header(d, d.debezium)


def _is_same_but_for_bare_dates(d: Difference) -> bool:
    if d.path not in _KEY_CHANGES or not isinstance(d.debezium, str):
        return False
    quoted, count = _BARE_DATE.subn(f':"{_A_DATE}"', d.debezium)
    return count > 0 and _is_same_header(d, quoted)


def _is_named_number(d: Difference) -> bool:
    return (
        d.path.startswith(tuple(f"{name}." for name in _KEY_CHANGES))
        and isinstance(d.debezium, float)
        and d.ours == {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(d.debezium))
    )


RULES: tuple[Rule, ...] = (
    Rule("Java before 19 writes more digits of some reals than tell them apart", _is_same_real),
    Rule(
        "an array in an array of texts is the address of a Java object",
        lambda d: d.ours is None and bool(_JAVA_OBJECT.fullmatch(str(d.debezium))),
    ),
    Rule(
        "a row with such an address never equals what it was, so it is not skipped as unchanged",
        lambda d: (
            d.path == RECORD
            and d.ours == ABSENT
            and '"op": "u"' in d.debezium
            and bool(_JAVA_OBJECT.search(d.debezium))
        ),
    ),
    Rule(
        "a row with such an address is counted where it is not skipped",
        lambda d: (
            d.topic == "*.transaction"
            and (d.path, d.debezium, d.ours)
            in (
                ("value.event_count", 1, 0),
                ("value.data_collections.public.nested", 1, ABSENT),
            )
        ),
    ),
    Rule(
        "arrays of dates and times are read by java.sql, whose calendar is Julian before 1582",
        lambda d: d.path.endswith("]") and _pair(d) in _IDES_OF_MARCH_BY_JAVA,
    ),
    Rule(
        "an array with a time that nanoseconds do not reach has null there, not in its place",
        lambda d: (
            kind_of(d) == "array_of_timestamp" and _pair(d) == ([9223372036854775807, None], None)
        ),
    ),
    Rule(
        "java.sql.Date has an infinity of its own in arrays",
        lambda d: d.path.endswith("]") and _pair(d) in _INFINITIES_BY_JAVA,
    ),
    Rule(
        "java.sql.Date has an infinity of its own in snapshots",
        lambda d: not d.path.endswith("]") and _pair(d) in _INFINITIES_BY_JAVA,
    ),
    Rule(
        "a snapshot reads dates before Christ as those after",
        lambda d: not d.path.endswith("]") and _pair(d) in _BEFORE_CHRIST_BY_JAVA,
    ),
    Rule(
        "a negative scale is 2046 zeros in snapshots",
        lambda d: d.debezium == f"{d.ours}{_HUNDREDS}",
    ),
    Rule(
        "a snapshot reads a name that the stream does not",
        lambda d: kind_of(d) == "name" and _pair(d) == ("pg_class", ""),
    ),
    Rule(
        "a key whose column is masked stands in clear text",
        lambda d: (
            d.path in ("key.a", *(f"{name}.a" for name in _KEY_CHANGES)) and d.ours == "*" * 7
        ),
    ),
    Rule(
        "a propagated type switches a hash off",
        lambda d: (
            d.path.endswith(".secret.parameters.masked")
            or (d.path.endswith(".secret") and bool(_HEX_DIGEST.fullmatch(str(d.ours))))
        ),
    ),
    Rule(
        "half a character is left where one is cut",
        lambda d: (
            isinstance(d.debezium, str)
            and d.debezium != d.ours
            and _HALF_CHARACTER.sub("?", d.debezium) == d.ours
        ),
    ),
    Rule(
        "a table that is renamed out of the filters is published by its old name",
        lambda d: d.topic == "*-public-key_only" and d.path == RECORD and '"id": 40' in d.debezium,
    ),
    Rule(
        "a table that is renamed out of the filters is counted by its old name",
        lambda d: (
            d.topic == "*-tx"
            and (d.path, d.debezium, d.ours)
            in (
                ("value.event_count", 1, 0),
                ("value.data_collections.public.key_only", 1, ABSENT),
            )
        ),
    ),
    Rule(
        "Avro's schema has the name of NaN for a default, which registries refuse",
        lambda d: _NAN_DEFAULT.search(d.path) is not None,
    ),
    Rule(
        "the messages of a transaction are named after a Java object in END",
        lambda d: d.path.endswith(f"data_collections.{MESSAGES}.name"),
    ),
    Rule(
        "each message is counted as the first of a collection of its own",
        lambda d: (
            d.topic.endswith("message")
            and d.path.endswith("transaction.data_collection_order")
            and d.debezium == 1
        ),
    ),
    Rule("control characters stand raw in a header", _is_same_but_for_control_characters),
    Rule("what is no number stands without quotes in a header", _is_named_number),
    Rule(
        "dates and times of Connect stand without quotes in a header",
        _is_same_but_for_bare_dates,
    ),
)
