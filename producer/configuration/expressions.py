"""Debezium's lists of regular expressions. Pure.

An expression must match the whole name and does not tell ASCII letters' case apart. They are
Java's; what Python's `re` reads is read alike, and what it does not read, or may read in another
way, is refused rather than guessed at.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

Expression = re.Pattern[str]

_NEXT_ITEM = re.compile(r"(?:\\.|[^\\,])*", re.DOTALL)


def split_list(text: str) -> tuple[str, ...]:
    r"""Return the items between commas; a comma that is escaped, `\,`, is part of its item.

    Raises ValueError when the text ends within an escape.
    """
    items = []
    position = 0
    while position <= len(text):
        item = _NEXT_ITEM.match(text, position)
        position = item.end() if item else position
        if text[position : position + 1] == "\\":
            raise ValueError("ends with a backslash that escapes nothing")
        items.append((item.group() if item else "").strip().replace("\\,", ","))
        position += 1
    return tuple(item for item in items if item)


def compile_expression(text: str) -> Expression:
    """Return the expression.

    Raises ValueError when it is none, or one that Java and Python may read differently.
    """
    with warnings.catch_warnings():
        # What `re` warns of, such as sets within sets, means something else in Java.
        warnings.simplefilter("error")
        try:
            return re.compile(text, re.IGNORECASE | re.ASCII)
        except (re.error, Warning) as error:
            raise ValueError(f"cannot use the expression {text}: {error}") from None


def compile_expressions(texts: Iterable[str]) -> tuple[Expression, ...]:
    """Return the expressions of a list that is split already."""
    return tuple(compile_expression(text) for text in texts)


def matches_any(expressions: Iterable[Expression], name: str) -> bool:
    """Tell whether one of the expressions matches the whole name."""
    return any(expression.fullmatch(name) for expression in expressions)
