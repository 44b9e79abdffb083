"""How the producer's events differ from Debezium's on purpose. Pure.

These are all: where an event of Debezium's says what was never stored, the producer's says what
was, unless `bemi.debezium.values=true`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.differential.comparison import ABSENT, RECORD, Difference
from tests.differential.rules import Rule, kind_of

_WITH_DEFAULT = re.compile(r"^value\.(before|after)\.d\d_")

LEFT_OUT_BY_DEBEZIUM = frozenset(
    (
        *("box", "lseg", "path", "polygon", "circle", "line", "composite", "pg_lsn", "cube"),
        *("txid_snapshot", "xid", "tid", "regclass", "int2vector", "float_range", "tsquery"),
        *("int4multirange", "lquery", "jsonpath", "array_of_varbit", "array_of_money"),
        *("array_of_name", "array_of_xml", "array_of_interval", "array_of_point"),
        *("array_of_pair", "array_of_positive", "array_of_price", "array_of_title"),
        "array_of_pg_lsn",
    )
)
"""Kinds whose columns Debezium leaves out; the producer has their values as text."""

FALSE_VALUES: Mapping[str, str] = {
    "bit_1": "the bits as text: a number of bytes cannot tell '0' from ''",
    "bit_7": "the bits as text: Debezium's bytes lose leading zeros",
    "bit_64": "the bits as text: Debezium's bytes lose leading zeros",
    "bit_varying_1": "the bits as text",
    "bit_varying_20": "the bits as text: Debezium's bytes lose leading zeros",
    "varbit_unbounded": "the bits as text: Debezium's bytes lose leading zeros",
    "numeric_3__2": "a negative scale is read as 2046 fraction digits",
    "name": "a value becomes NULL, or '' where NULL is not allowed",
    "date": "infinity becomes a date",
    "timetz": "the zone is lost, and 24:00 becomes 00:00",
    "timetz_0": "the zone is lost",
    "timetz_3": "the zone is lost",
    "timestamp": "what is beyond 64 bits becomes another time",
    "timestamp_4": "what is beyond 64 bits becomes infinity",
    "timestamp_6": "what is beyond 64 bits becomes another time",
    "interval": "what is beyond 64 bits becomes the largest",
    "interval_3": "a microsecond is lost in floating point",
    "array_of_bit_1": "the array becomes NULL",
    "array_of_bit_7": "the array becomes NULL",
    "array_of_text": "arrays in the array become addresses of Java objects",
    "array_of_integer": "arrays in the array become NULL",
    "array_of_ltree": "an array of NULL becomes NULL",
    "array_of_tsvector": "an array of NULL becomes NULL",
    "array_of_mood": "an array of NULL becomes NULL",
    "array_of_isbn": "an array of NULL becomes NULL",
    "array_of_date": "BC is lost, and infinity becomes a date",
    "array_of_time": "24:00 becomes 00:00",
    "array_of_timetz": "the zone is lost",
}
"""Kinds of which Debezium reports some value as another one, and what is lost."""


def _value_rule(kind: str) -> Rule:
    return Rule(f"{kind}: {FALSE_VALUES[kind]}", lambda difference: kind_of(difference) == kind)


def _left_out_rule(kind: str) -> Rule:
    def covers(difference: Difference) -> bool:
        return difference.debezium == ABSENT and kind_of(difference) == kind

    return Rule(f"{kind}: the column is left out", covers)


RULES: tuple[Rule, ...] = (
    Rule(
        "before: a column that was not sent is invented",
        lambda d: d.path.startswith("value.before.") and d.ours == ABSENT,
    ),
    Rule(
        "NULL is replaced by the column's default",
        lambda d: d.ours is None and _WITH_DEFAULT.match(d.path) is not None,
    ),
    Rule(
        "a truncate is left out",
        lambda d: d.path == RECORD and d.debezium == ABSENT and '"op": "t"' in str(d.ours),
    ),
    Rule(
        "a row of a table without columns is left out",
        lambda d: d.path == RECORD and d.topic.endswith(".no_columns"),
    ),
    Rule(
        "END does not count what is left out",
        lambda d: (
            d.topic.endswith(".transaction")
            and d.path.startswith(("value.event_count", "value.data_collections"))
        ),
    ),
    *(_left_out_rule(kind) for kind in sorted(LEFT_OUT_BY_DEBEZIUM)),
    *(_value_rule(kind) for kind in FALSE_VALUES),
)
