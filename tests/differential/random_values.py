"""Random values of a kind, as the text PostgreSQL reads. Pure, given the generator."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable

from tests.differential.column_kinds import ColumnKind

BIG_CHARACTERS = 9000
"""More than a page holds even when compressed, so that the value is stored out of line."""

_ALPHABET = string.ascii_letters + string.digits + " '\"\\,{}[]()<>&\t\néß€漢😀\u2028"
# Precise decimals have no form for these, and a NULL in a required column ends Debezium.
_NO_DECIMALS = frozenset({"NaN", "Infinity", "-Infinity"})
_SPECIAL_SHARE = 0.25


def random_value(rng: random.Random, kind: ColumnKind, *, required: bool = False) -> str:
    """Return a value: one of the kind's interesting ones, or a random one where there are some.

    A required one is none that Debezium ends at.
    """
    make = _FAMILIES.get(kind.family)
    if required and kind.family == "bytea":
        make = None  # What was stored out of line and is not sent is null as base64.
    if make is not None and rng.random() > _SPECIAL_SHARE:
        return make(rng, kind)
    if required and kind.family == "numeric":
        return rng.choice([value for value in kind.values if value not in _NO_DECIMALS])
    return rng.choice(kind.values)


def big_text(rng: random.Random) -> str:
    """Return a text that cannot be compressed below a page."""
    return "".join(rng.choices(string.ascii_letters + string.digits, k=BIG_CHARACTERS))


def _boolean(rng: random.Random, _kind: ColumnKind) -> str:
    return rng.choice(("t", "f"))


def _whole(bits: int) -> Callable[[random.Random, ColumnKind], str]:
    def make(rng: random.Random, _kind: ColumnKind) -> str:
        # Small numbers as often as large ones.
        size = rng.randint(1, bits - 1)
        return str(rng.randint(-(1 << size), (1 << size) - 1))

    return make


def _float(rng: random.Random, kind: ColumnKind) -> str:
    exponent = rng.randint(-36, 36) if kind.sql_type == "real" else rng.randint(-300, 300)
    exponent = rng.choice((0, exponent))
    return f"{rng.uniform(-10, 10):.{rng.randint(0, 17)}f}e{exponent}"


def _numeric(rng: random.Random, kind: ColumnKind) -> str:
    if kind.sql_type == "numeric":
        digits = "".join(rng.choices(string.digits, k=rng.randint(1, 60)))
        point = rng.randint(0, len(digits))
        return rng.choice(("", "-")) + (digits[:point] or "0") + "." + (digits[point:] or "0")
    precision, scale = (int(part) for part in kind.sql_type[8:-1].split(","))
    whole = rng.randint(0, 10 ** (precision - scale) - 1)
    fraction = f".{rng.randint(0, 10**scale - 1):0{scale}d}" if scale else ""
    return f"{rng.choice(('', '-'))}{whole}{fraction}"


def _text(rng: random.Random, _kind: ColumnKind) -> str:
    if rng.random() < 0.1:
        return big_text(rng)
    return "".join(rng.choices(_ALPHABET, k=rng.randint(0, 40)))


def _short_text(rng: random.Random, _kind: ColumnKind) -> str:
    return "".join(rng.choices(_ALPHABET, k=rng.randint(0, 5)))


def _bytea(rng: random.Random, _kind: ColumnKind) -> str:
    return "\\x" + rng.randbytes(rng.choice((0, 1, 5, 50, BIG_CHARACTERS))).hex()


def _json(rng: random.Random, _kind: ColumnKind) -> str:
    return json.dumps(_document(rng, 3), ensure_ascii=rng.random() < 0.5)


def _document(rng: random.Random, depth: int) -> object:
    choice = rng.randint(0, 6 if depth else 4)
    if choice == 5:
        return [_document(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    if choice == 6:
        return {_word(rng): _document(rng, depth - 1) for _ in range(rng.randint(0, 4))}
    return (None, True, rng.randint(-(10**6), 10**12), rng.uniform(-1e6, 1e6), _word(rng))[choice]


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase + 'é"\\ ', k=rng.randint(0, 10)))


def _uuid(rng: random.Random, _kind: ColumnKind) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _date(rng: random.Random, _kind: ColumnKind) -> str:
    return f"{rng.randint(1, 9999):04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _time(rng: random.Random, _kind: ColumnKind) -> str:
    fraction = f".{rng.randint(0, 999999):06d}"[: rng.choice((0, 2, 4, 7))].rstrip(".")
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}{fraction}"


def _timestamp(rng: random.Random, kind: ColumnKind) -> str:
    return f"{_date(rng, kind)} {_time(rng, kind)}"


def _timestamptz(rng: random.Random, kind: ColumnKind) -> str:
    offset = rng.choice(("+00", "-08", "+05:45", "+13"))
    return f"{_timestamp(rng, kind)}{offset}".replace("0001-", "0002-")


def _interval(rng: random.Random, _kind: ColumnKind) -> str:
    parts = (
        f"{rng.randint(-200, 200)} months",
        f"{rng.randint(-1000, 1000)} days",
        f"{rng.randint(-100000, 100000)}.{rng.randint(0, 999999):06d} seconds",
    )
    return " ".join(rng.sample(parts, rng.randint(1, 3)))


_FAMILIES: dict[str, Callable[[random.Random, ColumnKind], str]] = {
    "boolean": _boolean,
    "int2": _whole(16),
    "int4": _whole(32),
    "int8": _whole(64),
    "float": _float,
    "numeric": _numeric,
    "text": _text,
    "short_text": _short_text,
    "bytea": _bytea,
    "json": _json,
    "uuid": _uuid,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "interval": _interval,
}
